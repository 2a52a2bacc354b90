"""Images, kinds and masks of the user's own folders."""

from pathlib import Path

import pytest
from errors import refuses
from trees import touch

from cyclegan_ad.data.layouts.own_folder import folders_read
from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.samples import Sample, list_samples


def own(root: Path, **given: object) -> list[Sample]:
    return list_samples("folder", root, labelling=Labelling(**given))  # type: ignore[arg-type]


def test_sub_folders_are_the_kinds(tmp_path: Path) -> None:
    touch(tmp_path, "OK/a.png", "OK/day 2/b.png", "NOK/c.png", "NOK/Kratzer tief/d.png")
    assert own(tmp_path) == [
        Sample("NOK/Kratzer tief/d.png", 1, "Kratzer tief"),
        Sample("NOK/c.png", 1, "NOK"),
        Sample("OK/a.png", 0, "OK"),
        Sample("OK/day 2/b.png", 0, "day 2"),
    ]


def test_masks_of_the_abnormal_folder_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "OK/a.png", "NOK/a.jpg", "NOK/crack/b.png", "masks/a.png", "masks/crack/b.png")
    masks = {sample.path: sample.mask for sample in own(tmp_path)}
    assert masks == {
        "NOK/a.jpg": ("masks/a.png",),
        "NOK/crack/b.png": ("masks/crack/b.png",),
        "OK/a.png": (),
    }


def test_masks_one_level_deeper_and_in_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "l1/OK/a.png", "l1/NOK/b.png", "l1/masks/b.png", "l2/OK/c.png", "l2/NOK/d.png")
    touch(tmp_path, "masks/d.png")
    masks = {sample.path: sample.mask for sample in own(tmp_path) if sample.label}
    assert masks == {"l1/NOK/b.png": ("l1/masks/b.png",), "l2/NOK/d.png": ("masks/d.png",)}


def test_masks_of_several_abnormal_folders(tmp_path: Path) -> None:
    touch(tmp_path, "good/a.png", "crack/1.png", "dent/1.png", "dent/2.png")
    touch(tmp_path, "masks/crack/1.png", "masks/2.png")
    given = {"abnormal": ("crack", "dent")}
    masks = {sample.path: sample.mask for sample in own(tmp_path, **given) if sample.label}
    assert masks == {
        "crack/1.png": ("masks/crack/1.png",),
        "dent/1.png": (),
        "dent/2.png": ("masks/2.png",),
    }
    touch(tmp_path, "masks/1.png")
    with refuses(file="masks/1.png", facts=("crack/1", "dent/1"), remedy="sub-folder of masks/"):
        own(tmp_path, **given)


def test_single_files_by_a_glob(tmp_path: Path) -> None:
    touch(tmp_path, "x_ok_1.png", "x_bad_1.png", "masks/x_bad_1.png", "x_bad_2.txt")
    found = own(tmp_path, normal=("x_ok_*",), abnormal=("x_bad_*",))
    assert found == [
        Sample("x_bad_1.png", 1, "abnormal", ("masks/x_bad_1.png",)),
        Sample("x_ok_1.png", 0, "normal"),
    ]


def test_an_image_named_twice_counts_once_but_not_for_both_classes(tmp_path: Path) -> None:
    touch(tmp_path, "all/a.png", "all/bad/b.png")
    assert len(own(tmp_path, normal=("all", "all/*.png"))) == 2
    with refuses(
        setting="dataset.normal",
        value="[all]",
        facts=("all/bad/b.png", "dataset.abnormal=[all/bad]"),
    ):
        own(tmp_path, normal=("all",), abnormal=("all/bad",))


def test_folders_that_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "l1/OK/a.png", "l1/NOK/b.png")
    assert folders_read(tmp_path, Labelling()) == ["l1/NOK", "l1/OK", "l1/masks", "masks"]


@pytest.mark.parametrize("folder", ["gone", "a file"])
def test_no_folder_at_all(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").touch()
    with refuses(file=tmp_path / folder, remedy="dataset.root=PATH"):
        own(tmp_path / folder)
