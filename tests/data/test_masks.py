"""Masks: which file belongs to which image, and the union of those of one image."""

from pathlib import Path

import numpy as np
import pytest
from errors import refuses
from PIL import Image

from cyclegan_ad.data.masks import match_masks, read_masks


def save(root: Path, **masks: np.ndarray) -> None:
    for name, pixels in masks.items():
        Image.fromarray(pixels).save(root / f"{name}.png")


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".Tif", ".jpg"])
def test_masks_match_by_name(suffix: str) -> None:
    masks = {f"m/b{suffix}": "i/b", f"m/a{suffix}": "i/a", f"m/a_1{suffix}": "i/a"}
    expected = {"i/a": [f"m/a{suffix}", f"m/a_1{suffix}"], "i/b": [f"m/b{suffix}"]}
    assert match_masks(masks, ["i/a", "i/b", "i/c"], Path()) == expected


def test_a_mask_of_no_image_is_named() -> None:
    with refuses(file="m/b.png", facts="data"):
        match_masks({"m/a.png": "i/a", "m/b.png": "i/b"}, ["i/a"], Path("data"))


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"  # the same to look at


def test_names_match_in_either_unicode_form() -> None:
    for mask, image in ((COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)):
        found = match_masks({f"m/{mask}.png": f"i/{mask}"}, [f"i/{image}"], Path())
        assert found == {f"i/{image}": [f"m/{mask}.png"]}
    both = [f"i/{COMPOSED}", f"i/{DECOMPOSED}"]
    masks = {f"m/{name}.png": f"i/{name}" for name in (COMPOSED, DECOMPOSED)}
    assert match_masks(masks, both, Path()) == {
        image: [image.replace("i/", "m/") + ".png"] for image in both
    }
    with refuses(facts=("2 images", "suffix"), remedy="rename"):
        match_masks({"m/a.png": "i/a"}, ["i/a", "i/a"], Path())  # a.png and a.jpg
    twice = ["i/\u00e9\u00e8", "i/e\u0301\u00e8"]
    with refuses(facts=("2 images", "Unicode"), remedy="rename"):
        match_masks({"m/x.png": "i/\u00e9e\u0300"}, twice, Path())


def test_ground_truth_is_the_union_of_the_masks(tmp_path: Path) -> None:
    left, top = np.zeros((2, 4, 4), np.uint8)
    left[:, :2], top[0] = 255, 1
    save(tmp_path, left=left, top=top)
    save(tmp_path, image=left, black=np.zeros((4, 4), np.uint8))
    files = {
        7: ("left.png", "top.png"),
        8: ("top.png", "black.png"),
        9: (),
        10: ("black.png", "black.png"),
    }
    found = read_masks(tmp_path, {i: ("image.png", paths) for i, paths in files.items()}, 4)
    truth = found.truth
    assert found.unreadable == {} and list(truth) == [7, 8]
    assert found.empty == [10]  # nobody has drawn the defect
    np.testing.assert_array_equal(truth[7], (left > 0) | (top > 0))
    np.testing.assert_array_equal(truth[8], top > 0)
    assert all(mask.dtype == bool for mask in truth.values())


def test_many_masks_keep_their_images(tmp_path: Path) -> None:
    masks = {}
    for i in range(40):
        pixels = np.zeros((8, 8), np.uint8)
        pixels.flat[i] = 255
        save(tmp_path, **{f"{i}": pixels})
        masks[i] = (f"{i}.png", [f"{i}.png"])
    found = read_masks(tmp_path, masks, 8)
    assert found.unreadable == {} and list(found.truth) == list(range(40))
    assert [int(mask.argmax()) for mask in found.truth.values()] == list(range(40))


def test_every_unreadable_mask_is_reported_and_half_a_defect_is_no_ground_truth(
    tmp_path: Path,
) -> None:
    save(tmp_path, good=np.ones((4, 4), np.uint8))
    (tmp_path / "empty.png").touch()
    masks = {
        0: ("good.png", ["empty.png", "good.png", "absent.png"]),
        1: ("good.png", ["good.png"]),
    }
    found = read_masks(tmp_path, masks, 4)
    assert list(found.truth) == [1]
    assert found.unreadable == {
        "empty.png": "empty file",
        "absent.png": "cannot be read (No such file or directory)",
    }


def test_masks_that_do_not_fit_their_image_are_named(tmp_path: Path) -> None:
    wide = np.ones((4, 6), np.uint8)
    save(tmp_path, wide=wide, tall=wide.T)
    photograph = Image.fromarray(wide)
    exif = photograph.getexif()
    exif[0x0112] = 6  # stored turned; upright it is tall
    photograph.save(tmp_path / "turned.jpg", exif=exif)
    photograph.save(tmp_path / "renamed.png", format="JPEG")
    masks = {
        0: ("turned.jpg", ["tall.png"]),
        1: ("turned.jpg", ["wide.png"]),
        2: ("wide.png", ["renamed.png"]),
    }
    found = read_masks(tmp_path, masks, 4)
    assert list(found.truth) == [0]
    assert found.unreadable["wide.png"].startswith("mask is 6 x 4 px, its image 4 x 6 px")
    assert found.unreadable["renamed.png"].startswith("JPEG data: lossy compression")
