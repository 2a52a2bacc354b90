"""The test images that a run keeps in a file come back as written, or are told to be damaged."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from errors import refuses

from cyclegan_ad.data.examples import Examples
from cyclegan_ad.evaluation.pictures import Pictures, write_examples
from cyclegan_ad.runs.examples import examples_fingerprint, read_examples

NOT_UTF_8 = os.fsdecode(b"normal/gr\xf6\xdfe.png")


def examples(channels: int = 3) -> Examples:
    pixels = torch.arange(2 * channels * 4 * 4).view(2, channels, 4, 4) % 256
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[1, :2] = True
    return Examples(pixels / 127.5 - 1, [0, 1], [NOT_UTF_8, "abnormal/日本.png"], masks)


@pytest.mark.parametrize("channels", [1, 3])
def test_examples_come_back_as_they_were_written(tmp_path: Path, channels: int) -> None:
    shown = examples(channels)
    maps = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    write_examples(tmp_path, Pictures(shown, -shown.images, maps, np.array([False, True])))
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]
    found = read_examples(tmp_path)
    pixels = (np.arange(2 * channels * 16) % 256).reshape(2, channels, 4, 4).transpose(0, 2, 3, 1)
    assert found.images.dtype == np.uint8 and found.images.shape == (2, 4, 4, channels)
    np.testing.assert_array_equal(found.images, pixels)
    assert found.reconstructions is not None and found.reconstructions.dtype == np.uint8
    np.testing.assert_array_equal(found.reconstructions, 255 - pixels)
    assert found.maps.dtype == np.float32
    np.testing.assert_array_equal(found.maps, maps.numpy())
    assert found.masks.dtype == bool
    np.testing.assert_array_equal(found.masks, shown.masks.numpy())
    assert found.labels.dtype == np.int64 and found.labels.tolist() == [0, 1]
    assert found.paths == [NOT_UTF_8, "abnormal/日本.png"]
    assert found.critical.dtype == bool and found.critical.tolist() == [False, True]


def test_examples_without_reconstructions_come_back_without(tmp_path: Path) -> None:
    write_examples(tmp_path, Pictures(examples(), None, torch.ones(2, 4, 4), np.zeros(2, bool)))
    found = read_examples(tmp_path)
    assert found.reconstructions is None
    assert found.images.shape == (2, 4, 4, 3)


def test_missing_examples_are_told_with_the_remedy(tmp_path: Path) -> None:
    remedy = f"python -m cyclegan_ad.evaluate run={tmp_path}"
    with refuses(file=tmp_path / "examples.npz", remedy=remedy):
        read_examples(tmp_path)


def test_pictures_of_another_run_are_not_shown(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder, value in ((own, 1.0), (other, 2.0)):
        folder.mkdir()
        maps = torch.full((2, 4, 4), value)
        write_examples(folder, Pictures(examples(), None, maps, np.zeros(2, bool)))
    metrics = {"fingerprints": {"examples.npz": examples_fingerprint(own)}}
    assert read_examples(own, metrics).maps.max() == 1
    (own / "examples.npz").write_bytes((other / "examples.npz").read_bytes())
    with refuses(file=own / "examples.npz", remedy="cyclegan_ad.evaluate"):
        read_examples(own, metrics)


@pytest.mark.parametrize("damage", ["empty", "text", "half", "flipped", "incomplete", "pickled"])
def test_damaged_examples_are_told_with_the_remedy(tmp_path: Path, damage: str) -> None:
    write_examples(tmp_path, Pictures(examples(), None, torch.ones(2, 4, 4), np.zeros(2, bool)))
    path = tmp_path / "examples.npz"
    whole = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not an archive")
        case "half":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:60] + bytes(255 - byte for byte in whole[60:90]) + whole[90:])
        case "incomplete":
            np.savez(path, images=np.zeros((1, 2, 2, 1), np.uint8))
        case _:
            np.savez(path, images=np.array([{}], object), allow_pickle=True)
    with refuses(file=path, remedy=f"python -m cyclegan_ad.evaluate run={tmp_path}"):
        read_examples(tmp_path)
