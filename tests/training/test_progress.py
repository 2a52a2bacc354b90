"""The training's progress bar, driven by a real trainer."""

import io
import itertools
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from cyclegan_ad.display import terminal
from cyclegan_ad.display.terminal import Heartbeat
from cyclegan_ad.tracking.wandb_workspace import TRAIN_AUROC
from cyclegan_ad.training.progress import TrainingProgress

BATCHES, BATCH_SIZE = 5, 4


class Clock:
    """A clock that the training step moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


LOGGED = {
    "cyclegan": [
        f"loss/{name}_{side}"
        for name in ("cycle", "gan", "discriminator")
        for side in ("normal", "abnormal")
    ],
    "ganomaly": [f"loss/{name}" for name in ("contextual", "latent", "adversarial")]
    + ["loss/discriminator", "learning_rate"],
    "padim": [],
}


class Tiny(pl.LightningModule):
    """Logs the losses of a method; each step takes two seconds of the clock."""

    def __init__(self, clock: Clock, method: str) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(1, 1)
        self.clock = clock
        self.logged = LOGGED[method]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.step()
        for name in self.logged:
            self.log(name, torch.tensor(0.25))
        if self.current_epoch == 1 and "loss/latent" in self.logged:
            self.log(TRAIN_AUROC, 0.75)
        if self.current_epoch == 1 and batch_idx == 0:
            self.print("a message")
        self.clock.now += 2.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def train(
    tmp_path: Path,
    *,
    epochs: int,
    terminal: bool,
    ckpt: Path | None = None,
    method: str = "cyclegan",
    estimated: Callable[[float], list[str]] = lambda seconds: [],
    shows_speed: bool = True,
) -> tuple[str, TrainingProgress]:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, highlight=False)
    progress = TrainingProgress(console, clock, estimated, shows_speed)
    item = {"normal": torch.zeros(1)}
    if method == "cyclegan":
        item["abnormal"] = torch.zeros(1)
    loader: DataLoader[Any] = DataLoader([item] * BATCHES * BATCH_SIZE, batch_size=BATCH_SIZE)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            callbacks=[progress],
            default_root_dir=tmp_path,
        )
        trainer.fit(Tiny(clock, method), loader, ckpt_path=ckpt)
        if ckpt is None:
            trainer.save_checkpoint(tmp_path / "last.ckpt")
    return out.getvalue(), progress


def test_a_pipe_gets_a_line_every_tenth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = train(tmp_path, epochs=8, terminal=False)
    lines = text.splitlines()
    assert [re.findall(r"\((\d+)%\)", line)[0] for line in lines] == [
        f"{tenth}0" for tenth in range(1, 11)
    ]
    # 8 epochs of 5 steps of 2 s with 4 pairs each.
    assert lines[4] == (
        "epoch 4/8 (50%), cycle 0.500  adversarial 0.500  discriminator 0.500, "
        "2 pairs/s, 0:40 elapsed, 0:40 left"
    )
    assert lines[-1].startswith("epoch 8/8 (100%)")
    assert "a message" in capsys.readouterr().out


@pytest.mark.parametrize("terminal", [False, True])
def test_the_time_to_the_end_is_estimated_once_after_20_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    asked: list[float] = []

    def estimated(seconds: float) -> list[str]:
        asked.append(seconds)
        return ["about [this] long", "and quicker so"]

    text, _ = train(tmp_path, epochs=8, terminal=terminal, estimated=estimated)
    assert asked == [20 * 2.0]  # of 40 steps of 2 s
    text = text if terminal else capsys.readouterr().out
    assert text.count("about [this] long") == text.count("and quicker so") == 1

    # A resumed training: what is left of it.
    train(tmp_path, epochs=24, terminal=False, ckpt=tmp_path / "last.ckpt", estimated=estimated)
    assert asked[1:] == [(16 * BATCHES - 20) * 2.0]


def test_a_training_of_few_steps_is_not_estimated(tmp_path: Path) -> None:
    train(tmp_path, epochs=3, terminal=False, estimated=lambda _: pytest.fail("estimated"))


def test_a_long_training_tells_of_itself_after_10_s_and_then_every_minute(tmp_path: Path) -> None:
    text, _ = train(tmp_path, epochs=200, terminal=False)
    # 1000 steps of 2 s: a tenth takes 200 s.
    told = [int(m) * 60 + int(s) for m, s in re.findall(r"(\d+):(\d\d) elapsed", text)]
    assert told[0] == 10
    assert max(b - a for a, b in itertools.pairwise([10, *told])) == 60
    assert text.splitlines()[-1].startswith("epoch 200/200 (100%)")


def test_a_step_that_takes_long_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def beat(tell: Callable[[], None]) -> Heartbeat:
        return Heartbeat(lambda: (tell(), told.set()), first_s=0.01, every_s=600)  # type: ignore

    def wait(self: Tiny, batch: Any, batch_idx: int) -> None:
        assert told.wait(60)

    monkeypatch.setattr(terminal, "Heartbeat", beat)
    monkeypatch.setattr(Tiny, "training_step", wait)
    text, _ = train(tmp_path, epochs=1, terminal=False)
    assert text.splitlines()[0].startswith("epoch 1/1 (0%), 0 pairs/s, 0:00 elapsed")


@pytest.mark.parametrize(
    ("method", "losses"),
    [
        ("ganomaly", "contextual 0.250  latent 0.250  adversarial 0.250  discriminator 0.250, "),
        ("padim", ""),
    ],
)
def test_a_method_of_one_class_counts_images_and_shows_its_own_losses(
    tmp_path: Path, method: str, losses: str
) -> None:
    text, _ = train(tmp_path, epochs=8, terminal=False, method=method)
    auroc = "AUROC of training images 0.750, " if method == "ganomaly" else ""
    assert text.splitlines()[0].startswith(f"epoch 1/8 (10%), {losses}2 images/s")
    assert text.splitlines()[4] == (
        f"epoch 4/8 (50%), {losses}{auroc}2 images/s, 0:40 elapsed, 0:40 left"
    )


def test_a_fit_without_batches_shows_no_speed(tmp_path: Path) -> None:
    text, _ = train(tmp_path, epochs=8, terminal=False, method="padim", shows_speed=False)
    assert text.splitlines()[4] == "epoch 4/8 (50%), 0:40 elapsed, 0:40 left"
    assert "/s" not in train(tmp_path, epochs=2, terminal=True, shows_speed=False)[0]


def test_a_continued_training_starts_at_its_epoch(tmp_path: Path) -> None:
    train(tmp_path, epochs=3, terminal=False)
    text, _ = train(tmp_path, epochs=10, terminal=False, ckpt=tmp_path / "last.ckpt")
    lines = text.splitlines()
    # 3 of 10 epochs were done before; the speed is that of the 5 steps since.
    assert lines[0].startswith("epoch 4/10 (40%)")
    assert lines[0].endswith("0:10 elapsed, 1:00 left")
    assert len(lines) == 7


def test_a_terminal_gets_one_bar_within_80_columns(tmp_path: Path) -> None:
    text, progress = train(tmp_path, epochs=2, terminal=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "\n")
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert re.fullmatch(r"epoch 2/2 .* 100% 2 pairs/s 0:00:20 elapsed 0:00:00 left", lines[-2])
    assert lines[-1] == "losses: cycle 0.500  adversarial 0.500  discriminator 0.500"
    assert "a message" in lines
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert progress._progress is None


def test_other_ranks_show_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Trainer, "is_global_zero", False)
    text, _ = train(tmp_path, epochs=1, terminal=False)
    assert text == ""


def test_losses_are_read_at_most_twice_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    def count(self: TrainingProgress, trainer: pl.Trainer) -> str:
        nonlocal reads
        reads += 1
        return ""

    def quick_step(self: Tiny, batch: dict[str, Tensor], batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.step()
        self.clock.now += 0.125

    monkeypatch.setattr(TrainingProgress, "_read_losses", count)
    monkeypatch.setattr(Tiny, "training_step", quick_step)
    train(tmp_path, epochs=8, terminal=True)
    # 40 steps of an eighth of a second.
    assert reads == 10


def test_an_error_gives_the_terminal_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Tiny, batch: Any, batch_idx: int) -> None:
        raise RuntimeError("no luck")

    stopped: list[bool] = []
    stop = TrainingProgress._stop

    def remember(self: TrainingProgress) -> None:
        stopped.append(True)
        stop(self)

    monkeypatch.setattr(Tiny, "training_step", fail)
    monkeypatch.setattr(TrainingProgress, "_stop", remember)
    with pytest.raises(RuntimeError, match="no luck"):
        train(tmp_path, epochs=1, terminal=True)
    assert stopped
