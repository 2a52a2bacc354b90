"""Settings of the user's own images."""

import os
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from tiny import changed_all, check_settings, compose_settings

from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.settings.dataset import MVTEC_CATEGORIES, PAPER_DATASETS, Dataset


def own(option: str = "folder", **given: object) -> Dataset:
    job = compose_settings("train", [f"dataset={option}"])
    return check_settings(
        changed_all(job, {f"dataset.{name}": value for name, value in given.items()})
    ).dataset


def test_lists_of_names_are_those_of_other_modules() -> None:
    assert set(PAPER_DATASETS) == set(paper_table1())
    assert len(MVTEC_CATEGORIES) == 15 and set(PAPER_DATASETS) & set(MVTEC_CATEGORIES)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"root": "/data/bolts"}, "bolts"),
        ({"root": "/data/bolts/"}, "bolts"),
        ({"root": "/data/./x/../Größe M6 (neu)"}, "Größe M6 _neu_"),
        ({"root": "/data/Gro\u0308\u00dfe"}, "Größe"),
        ({"root": "/data/a,b=c~d"}, "a_b_c_d"),
        ({"root": "/data/-x"}, "-x"),
        ({"root": "/data/.hidden"}, "hidden"),
        ({"root": "/data/\udcff"}, "_"),
        ({"root": "/"}, "folder"),
        ({"root": "/data/" + 99 * "n"}, 60 * "n"),
        ({"root": "/data/screw"}, "own-screw"),
        ({"root": "/data/retina_oct"}, "own-retina_oct"),
        ({"root": "bolts", "table": "/elsewhere/t.csv"}, "bolts"),
        ({"table": "/lots/of/t.csv"}, "of"),
        ({"root": "/data/bolts", "name": "nuts"}, "nuts"),
        ({}, "folder"),
    ],
)
def test_a_dataset_is_named_after_its_folder(given: dict[str, Any], name: str) -> None:
    assert own(**given).name == name


def test_a_relative_folder_and_that_of_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path / "parts")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own(root=".").name == own(table="t.csv").name == "parts"
    assert own(root="~/photos").name == "photos"
    assert os.listdir(tmp_path) == ["parts"]


@pytest.mark.parametrize("category", MVTEC_CATEGORIES)
def test_a_category_gives_its_name(category: str) -> None:
    name = f"own-{category}" if category in PAPER_DATASETS else category
    assert own("mvtec", category=category).name == name
    assert own("mvtec", category=category, root="/moved/there").name == name


def test_a_set_in_the_layout_of_mvtec_is_named_after_its_folder() -> None:
    assert own("mvtec", root="/data/btad/01").name == "01"


@pytest.mark.parametrize(
    ("wrong", "near"), [("Bottel", "bottle"), ("metalnut", "metal_nut"), ("screws", "screw")]
)
def test_an_unknown_category_is_told_with_the_nearest(wrong: str, near: str) -> None:
    with refuses(setting="dataset.category", value=wrong, remedy=(f"mean {near}?", "zipper")):
        own("mvtec", category=wrong)
    with refuses(setting="dataset.category", value="car", remedy="zipper"):
        own("mvtec", category="car")


@pytest.mark.parametrize("option", ["folder", "mvtec"])
def test_own_images_never_have_the_name_of_a_dataset_of_the_paper(option: str) -> None:
    for name in PAPER_DATASETS:
        with refuses(setting="dataset.name", value=name, remedy=f"own-{name}"):
            own(option, name=name, root="/data/mine")


def test_one_name_or_several() -> None:
    assert own(normal="fine").normal == ("fine",)
    assert own(normal=2024, abnormal=["a", 7]).normal == ("2024",)
    assert own(normal=["a", "b*"], abnormal=None).normal == ("a", "b*")
    with refuses(setting="dataset.normal"):
        own(normal=True)


@pytest.mark.parametrize(
    ("option", "given", "setting", "remedy"),
    [
        ("screw", {"normal": "ok"}, "dataset.normal=[ok]", "dataset=folder"),
        ("mvtec", {"table": "t.csv"}, "dataset.table=t.csv", "dataset=folder"),
        ("brain_mri", {"abnormal": ["a", "b"]}, "dataset.abnormal=[a,b]", "dataset=folder"),
        ("folder", {"category": "bottle"}, "dataset.category=bottle", "dataset=mvtec"),
        ("folder", {"normal": "a", "table": "t"}, "dataset.normal=[a]", "dataset.table"),
        ("folder", {"group": "(P"}, "dataset.group=(P", "regular expression"),
        ("screw", {"defect_probability": 0.5}, "dataset.defect_probability=0.5", "dataset=elpv"),
        ("elpv", {"defect_probability": None}, "dataset.defect_probability=null", "number > 0"),
        ("elpv", {"defect_probability": 0.0}, "dataset.defect_probability=0", "number > 0"),
        ("elpv", {"defect_probability": "1/0"}, "dataset.defect_probability=1/0", "number > 0"),
        ("elpv", {"defect_probability": "4/3"}, "dataset.defect_probability=4/3", "<= 1"),
        ("folder", {"keep_copies_together": None}, "dataset.keep_copies_together", "true or false"),
    ],
)
def test_settings_that_do_not_go_together(
    option: str, given: dict[str, Any], setting: str, remedy: str
) -> None:
    with refuses(facts=setting, remedy=remedy):
        own(option, **given)


def test_a_third_as_it_is_typed() -> None:
    assert own("elpv").defect_probability == 0.5
    assert own("elpv", defect_probability="1/3").defect_probability == 1 / 3
    assert own("elpv", defect_probability=0.33).defect_probability == 0.33
    assert own("screw").defect_probability is None


def test_copies_part_in_the_datasets_of_the_paper_alone() -> None:
    together = {name: own(name).keep_copies_together for name in (*PAPER_DATASETS, "demo")}
    assert not any(together.values())
    assert own("folder").keep_copies_together and own("mvtec").keep_copies_together
