"""The list of images to leave out, as editors on several systems save it."""

import os
from pathlib import Path

import pytest
from errors import refuses
from tiny import changed_all, check_settings, compose_settings
from trees import touch

from cyclegan_ad.data.locate import find_dataset_folder, read_exclude_list
from cyclegan_ad.settings.dataset import Dataset

NAMES = ["normal/a.png", "caf\u00e9.png"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_in_the_encoding_of_another_system(tmp_path: Path, encoding: str, end: str) -> None:
    (tmp_path / "list").write_bytes(end.join([*NAMES, ""]).encode(encoding))
    assert read_exclude_list(str(tmp_path / "list")) == NAMES


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("caf\u00e9".encode("latin-1"))
    (tmp_path / "unmarked").write_bytes("a.png\r\n".encode("utf-16-le"))
    os.mkfifo(tmp_path / "pipe")  # <(ls): read once more, it would be empty
    for path, reason in (
        ("list", "not a text file in UTF-8"),
        ("unmarked", "not a text file in UTF-8"),
        ("none", "No such file"),
        ("pipe", "not a regular file"),
        ("", "Is a directory"),
    ):
        with refuses(setting="dataset.exclude=", file=tmp_path / path, facts=reason):
            read_exclude_list(str(tmp_path / path))


def dataset_of(option: str, **given: object) -> Dataset:
    job = compose_settings("train", [f"dataset={option}"])
    changes = {f"dataset.{name}": value for name, value in given.items()}
    return check_settings(changed_all(job, changes)).dataset


def find(tmp_path: Path, option: str, **given: object) -> Path:
    return find_dataset_folder(dataset_of(option, **given), tmp_path / "data", tmp_path / "cache")


@pytest.mark.parametrize("place", ["bottle", "mvtec_ad/bottle", "mvtec_anomaly_detection/bottle"])
def test_a_category_of_mvtec_is_searched(tmp_path: Path, place: str) -> None:
    root = touch(tmp_path / "data" / place, "train/good/0.png", "test/hole/1.png")
    assert find(tmp_path, "mvtec", category="bottle") == root
    above = root.parent
    assert find(tmp_path, "mvtec", category="bottle", root=str(above)) == root
    assert find(tmp_path, "mvtec", category="bottle", root=str(root)) == root
    with refuses(file=tmp_path / "data", facts=("cable", "train/good/"), remedy="category"):
        find(tmp_path, "mvtec", category="cable")


def test_own_images_need_a_place(tmp_path: Path) -> None:
    with refuses(setting="dataset.root", remedy="dataset.root=PATH"):
        find(tmp_path, "folder")
    with refuses(setting="dataset.root", remedy=("dataset.category=bottle", "dataset.root=PATH")):
        find(tmp_path, "mvtec")
    with refuses(setting="dataset.root", value=tmp_path / "gone", remedy="dataset.root=PATH"):
        find(tmp_path, "mvtec", root=str(tmp_path / "gone"))


def test_names_that_are_not_understood_are_told_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "A/1.png", "B/2.png")
    with refuses(facts=("A (1 image)", "B (1 image)"), remedy="dataset.normal=NAME"):
        find(tmp_path, "folder", root=str(tmp_path))
    assert find(tmp_path, "folder", root=str(tmp_path), normal="A", abnormal="B") == tmp_path
    with refuses(setting="dataset.abnormal", value="C"):
        find(tmp_path, "folder", root=str(tmp_path), normal="A", abnormal="C")


def test_the_folder_of_a_table(tmp_path: Path) -> None:
    table = touch(tmp_path / "lots", "t.csv") / "t.csv"
    assert find(tmp_path, "folder", table=str(table)) == tmp_path / "lots"
    other = touch(tmp_path / "images")
    other.mkdir()
    assert find(tmp_path, "folder", table=str(table), root=str(other)) == other
    with refuses(setting="dataset.table", value=tmp_path / "x" / "t.csv", remedy="path, label"):
        find(tmp_path, "folder", table=str(tmp_path / "x" / "t.csv"))
