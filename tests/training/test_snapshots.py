"""Pictures during training, with a tiny module and a real trainer."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cyclegan_ad.display.drawing import to_pixels
from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.training import snapshots
from cyclegan_ad.training.snapshots import ReconstructionSnapshots

IMAGES = torch.linspace(-1, 1, 3 * 64).reshape(3, 1, 8, 8)


class Tiny(pl.LightningModule):
    """Reconstructs by halving, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = nn.Linear(1, 1)
        self.frozen = nn.Dropout(0.5).eval()
        self.asked: list[tuple[int, bool, bool]] = []
        self.modes: list[tuple[bool, bool, bool]] = []

    def reconstruct(self, images: Tensor) -> Tensor:
        self.asked.append((self.current_epoch, self.training, torch.is_grad_enabled()))
        return self.frozen(images) / 2

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        self.modes.append((self.training, self.layer.training, self.frozen.training))
        optimizer: Any = self.optimizers()
        optimizer.step()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def train(tmp_path: Path, module: Tiny, snapshots: ReconstructionSnapshots, epochs: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=TensorBoardLogger(tmp_path, name="tensorboard", version=""),
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            callbacks=[snapshots],
            default_root_dir=tmp_path,
        )
        trainer.fit(module, DataLoader(torch.zeros(4, 1), batch_size=2))  # type: ignore[arg-type]


def callback(tmp_path: Path, every: int) -> ReconstructionSnapshots:
    return ReconstructionSnapshots(
        IMAGES, [0, 1, 1], ["a", "b", "c"], run_dir=tmp_path, every_n_epochs=every
    )


def test_a_picture_every_n_epochs_on_disk_and_in_the_logger(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    module = Tiny()
    train(tmp_path, module, callback(tmp_path, every=2), epochs=5)
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["epoch_0002.png", "epoch_0004.png"]
    assert module.asked == [(1, False, False), (3, False, False)]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Images("reconstructions")] == [3, 7]


def test_each_part_gets_its_mode_back(tmp_path: Path) -> None:
    module = Tiny()
    train(tmp_path, module, callback(tmp_path, every=1), epochs=2)
    assert module.modes == 4 * [(True, True, False)]  # 2 steps before the first picture, 2 after


def test_the_picture_shows_what_was_reconstructed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []

    def keep(*args: Any, scale: tuple[float, float], **_: Any) -> Path:
        drawn.append((*args, scale))
        return tmp_path / "a.png"

    monkeypatch.setattr(snapshots, "reconstruction_figure", keep)
    monkeypatch.setattr(snapshots, "log_images", lambda *_: None)
    train(tmp_path, Tiny(), callback(tmp_path, every=1), epochs=1)
    images, reconstructions, maps, labels, captions, path, scale = drawn[0]
    np.testing.assert_array_equal(reconstructions, to_pixels(IMAGES / 2))
    np.testing.assert_allclose(maps, ((IMAGES / 2) ** 2)[:, 0])
    np.testing.assert_array_equal(images, to_pixels(IMAGES))
    assert scale == overlay_scale(maps, [0, 1, 1])
    assert labels.tolist() == [0, 1, 1]
    assert captions == ["a", "b", "c"]
    assert path.name == "epoch_0001.png"


def test_it_draws_no_random_numbers(tmp_path: Path) -> None:
    states = []
    for name, every in (("with", 1), ("without", 1000)):
        torch.manual_seed(0)
        train(tmp_path / name, Tiny(), callback(tmp_path / name, every), epochs=2)
        states.append(torch.get_rng_state())
    assert torch.equal(states[0], states[1])


def test_other_ranks_draw_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Trainer, "is_global_zero", False)
    module = Tiny()
    train(tmp_path, module, callback(tmp_path, every=1), epochs=1)
    assert module.asked == []
