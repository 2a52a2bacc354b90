"""Test images that are kept to be looked at: which ones, and how they are looked at."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.examples import choose_examples, examples_at, spread_evenly
from cyclegan_ad.evaluation.pictures import reconstruct_with_maps
from cyclegan_ad.methods.interface import EmbeddingResult

SIZE = 8
CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """8 even images a class; the mask of an abnormal one is its left half."""
    root = tmp_path / "even"
    mask = Image.new("L", (SIZE, SIZE), 0)
    mask.paste(255, (0, 0, SIZE // 2, SIZE))
    for name in ("normal", "abnormal", "masks"):
        (root / name).mkdir(parents=True)
        for i in range(8):
            image = (
                mask
                if name == "masks"
                else Image.new("L", (SIZE, SIZE), 9 * i + (name == "normal"))
            )
            image.save(root / name / f"{i}.png")
    return root


def read(root: Path, **changes: Any) -> AnomalyDataModule:
    arguments: dict[str, Any] = {
        "name": "even",
        "layout": "folder",
        "root": root,
        "channels": 1,
        "window": None,
        "size_px": SIZE,
        "seed": 0,
        "batch_size": 4,
        "copies_per_epoch": 1,
        "augmentation": "none",
        "classes": ("normal", "abnormal"),
        "calibration_fraction": 0.0,
        "normal_only": False,
        "exclude": (),
        "skip_unreadable": False,
        "storage": "memory",
        "memory_limit_mib": 64,
        "cache_dir": root.parent / "cache",
        "images_on": "auto",
    }
    data = AnomalyDataModule(**(arguments | changes))
    data.setup()
    return data


@pytest.mark.parametrize(
    ("per_class", "chosen"),
    [(1, [2]), (2, [1, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_examples_are_spread_over_the_test_set(
    root: Path, per_class: int, chosen: list[int]
) -> None:
    data = read(root, calibration_fraction=0.5)
    examples = choose_examples(data, per_class)
    of_class = [[i for i in data.split.test if data.samples[i].label == label] for label in (0, 1)]
    expected = [indices[k] for indices in of_class for k in chosen]
    assert spread_evenly(data, per_class) == expected
    assert examples.captions == [data.samples[i].path for i in expected]
    assert examples.labels == [0] * len(chosen) + [1] * len(chosen)
    assert torch.equal(examples.images, data.images_at(expected))
    assert examples.masks.dtype == torch.bool
    assert examples.masks.shape == (2 * len(chosen), SIZE, SIZE)
    assert not examples.masks[: len(chosen)].any()
    assert examples.masks[len(chosen) :, :, : SIZE // 2].all()
    assert not examples.masks[len(chosen) :, :, SIZE // 2 :].any()


def test_examples_by_index_come_in_the_given_order(root: Path) -> None:
    data = read(root)
    chosen = [data.split.test[k] for k in (3, 5, 0)]  # the abnormal ones come first in the list
    examples = examples_at(data, chosen)
    assert examples.captions == [data.samples[i].path for i in chosen]
    assert examples.labels == [1, 0, 1]
    assert torch.equal(examples.images, data.images_at(chosen))
    assert examples.masks.any((1, 2)).tolist() == [True, False, True]


def test_examples_without_ground_truth(root: Path) -> None:
    for mask in (root / "masks").iterdir():
        mask.unlink()
    examples = choose_examples(read(root), 2)
    assert examples.masks.shape == (4, SIZE, SIZE)
    assert not examples.masks.any()


class Shaded:
    """Reconstructs differently from place to place."""

    shade = torch.arange(16.0).view(4, 4) / 16

    def reconstruct(self, images: Tensor) -> Tensor:
        return images * self.shade


class Embeds:
    """Makes no reconstruction; its map is the image."""

    def embed(self, images: Tensor) -> EmbeddingResult:
        return EmbeddingResult(images.sum((1, 2, 3)).double(), images[:, 0] + 1)


IMAGES = torch.linspace(-1, 1, 3 * 2 * 16).view(3, 2, 4, 4)


def test_images_are_looked_at_as_they_are() -> None:
    reconstructions, maps = reconstruct_with_maps(Shaded(), IMAGES, CPU)
    assert reconstructions is not None
    assert torch.equal(reconstructions, IMAGES * Shaded.shade)
    torch.testing.assert_close(maps, (IMAGES * (1 - Shaded.shade)).square().sum(1))
    assert not maps.requires_grad and maps.dtype == torch.float32


def test_a_method_without_reconstructions_is_looked_at() -> None:
    reconstructions, maps = reconstruct_with_maps(Embeds(), IMAGES, CPU)
    assert reconstructions is None
    assert torch.equal(maps, IMAGES[:, 0] + 1)
