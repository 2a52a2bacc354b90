"""The layout of MVTec AD with the names of other datasets."""

from pathlib import Path

import pytest
from errors import refuses
from trees import labels, touch

from cyclegan_ad.data.samples import Sample, has_layout, list_samples


def test_btad(tmp_path: Path) -> None:
    touch(tmp_path, "train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "ground_truth/ko/2.png")
    assert list_samples("mvtec_like", tmp_path) == [
        Sample("test/ko/2.bmp", 1, "ko", ("ground_truth/ko/2.png",)),
        Sample("test/ok/1.bmp", 0, "ok"),
        Sample("train/ok/0.bmp", 0, "ok"),
    ]


@pytest.mark.parametrize("normal", ["good", "Good", "OK", "normal"])
def test_visa_and_kolektor(tmp_path: Path, normal: str) -> None:
    touch(tmp_path, f"train/{normal}/0.JPG", f"test/{normal}/1.JPG", "test/bad/2.JPG")
    touch(tmp_path, "ground_truth/bad/2.png", f"ground_truth/{normal}/1.png")
    expected = {"test/bad/2.JPG": 1, f"test/{normal}/1.JPG": 0, f"train/{normal}/0.JPG": 0}
    assert labels(tmp_path, layout="mvtec_like") == expected


def test_a_category_of_mvtec_is_listed_alike_by_both(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/0.png", "test/good/1.png", "test/hole/2.png")
    touch(tmp_path, "ground_truth/hole/2_mask.png")
    assert list_samples("mvtec_like", tmp_path) == list_samples("mvtec", tmp_path)


def test_the_datasets_of_the_paper_take_good_alone(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/0.png", "train/ok/1.png", "test/ok/2.png")
    assert labels(tmp_path, layout="mvtec") == {"test/ok/2.png": 1, "train/good/0.png": 0}
    assert not has_layout("mvtec", touch(tmp_path / "other", "train/ok/0.png", "test/ko/1.png"))
    assert has_layout("mvtec_like", tmp_path / "other")


def test_normal_images_alone(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/0.png")
    assert labels(tmp_path, layout="mvtec_like") == {"train/good/0.png": 0}


def test_another_layout_is_told_with_what_was_found(tmp_path: Path) -> None:
    touch(tmp_path, "train/parts/0.png", "test/crack/1.png")
    with refuses(
        file=tmp_path,
        facts=("train/parts (1 image)", "test/crack (1 image)"),
        remedy="dataset=folder",
    ):
        list_samples("mvtec_like", tmp_path)
