"""Masks: which file belongs to which image, and the union of those of one image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan_ad.data.masks import LOSSLESS_SUFFIXES, match_masks, read_masks
from cyclegan_ad.errors import UserError


def save(root: Path, **masks: np.ndarray) -> None:
    for name, pixels in masks.items():
        Image.fromarray(pixels).save(root / f"{name}.png")


@pytest.mark.parametrize("suffix", [*LOSSLESS_SUFFIXES, ".PNG", ".Tif"])
def test_lossless_masks_match_by_name(suffix: str) -> None:
    masks = {f"m/b{suffix}": "i/b", f"m/a{suffix}": "i/a", f"m/a_1{suffix}": "i/a"}
    expected = {"i/a": [f"m/a{suffix}", f"m/a_1{suffix}"], "i/b": [f"m/b{suffix}"]}
    assert match_masks(masks, ["i/a", "i/b", "i/c"], Path()) == expected


def test_masks_that_cannot_be_used_are_named() -> None:
    with pytest.raises(UserError, match=r"^ground-truth masks m/a\.JPG, m/b\.jpeg in data: JPEG"):
        match_masks({"m/b.jpeg": "i/b", "m/a.JPG": "i/a"}, ["i/a", "i/b"], Path("data"))
    with pytest.raises(
        UserError, match=r"matches ground-truth mask m/b\.png in data \(m/b\.png needs"
    ):
        match_masks({"m/a.png": "i/a", "m/b.png": "i/b"}, ["i/a"], Path("data"))


def test_ground_truth_is_the_union_of_the_masks(tmp_path: Path) -> None:
    left, top = np.zeros((2, 4, 4), np.uint8)
    left[:, :2], top[0] = 255, 1
    save(tmp_path, left=left, top=top)
    masks = {7: ("left.png", "top.png"), 8: ("top.png",), 9: ()}
    truth, unreadable = read_masks(tmp_path, masks, 4)
    assert unreadable == {} and list(truth) == [7, 8]
    np.testing.assert_array_equal(truth[7], (left > 0) | (top > 0))
    np.testing.assert_array_equal(truth[8], top > 0)
    assert all(mask.dtype == bool for mask in truth.values())


def test_many_masks_keep_their_images(tmp_path: Path) -> None:
    masks = {}
    for i in range(40):
        pixels = np.zeros((8, 8), np.uint8)
        pixels.flat[i] = 255
        save(tmp_path, **{f"{i}": pixels})
        masks[i] = (f"{i}.png",)
    truth, unreadable = read_masks(tmp_path, masks, 8)
    assert unreadable == {} and list(truth) == list(range(40))
    assert [int(mask.argmax()) for mask in truth.values()] == list(range(40))


def test_every_unreadable_mask_is_reported_and_half_a_defect_is_no_ground_truth(
    tmp_path: Path,
) -> None:
    save(tmp_path, good=np.ones((4, 4), np.uint8))
    (tmp_path / "empty.png").touch()
    masks = {0: ("empty.png", "good.png", "absent.png"), 1: ("good.png",)}
    truth, unreadable = read_masks(tmp_path, masks, 4)
    assert list(truth) == [1]
    assert unreadable == {
        "empty.png": "empty file",
        "absent.png": "cannot be read (No such file or directory)",
    }
