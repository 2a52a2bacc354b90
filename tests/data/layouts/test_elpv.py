"""Solar cells of the package elpv-dataset: a small folder of its layout, and the package itself."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from errors import refuses
from tiny import check_settings, compose_settings
from trees import touch

from cyclegan_ad.data.layouts.elpv import find_elpv, list_elpv
from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.locate import find_dataset_folder, labelling_of
from cyclegan_ad.data.samples import Sample, has_layout, list_samples
from cyclegan_ad.data.split import split_samples

NAMES = [f"images/cell000{i}.png" for i in range(1, 5)]
LINES = [
    f"{name}  {probability:<18} {kind}\n"
    for name, probability, kind in zip(
        NAMES, ("1.0", "0.0", str(1 / 3), str(2 / 3)), ("mono", "poly", "poly", "mono"), strict=True
    )
]


def write_package(folder: Path, lines: list[str] = LINES) -> Path:
    """A package with the layout of elpv-dataset; gives the folder of its data."""
    data = touch(folder / "elpv_dataset" / "data", *NAMES)
    (folder / "elpv_dataset" / "__init__.py").write_text("raise ImportError('not to be imported')")
    (data / "labels.csv").write_text("".join(lines))
    return data


@pytest.mark.parametrize(
    ("probability", "abnormal"), [(0.5, {1, 4}), (1 / 3, {1, 3, 4}), (0.34, {1, 4}), (1.0, {1})]
)
def test_labels_by_probability(tmp_path: Path, probability: float, abnormal: set[int]) -> None:
    root = write_package(tmp_path)
    found = list_samples("elpv", root, labelling=Labelling(defect_probability=probability))
    kinds = ("mono", "poly", "poly", "mono")
    assert found == [
        Sample(name, int(i in abnormal), kind)
        for i, (name, kind) in enumerate(zip(NAMES, kinds, strict=True), 1)
    ]


def test_without_a_probability_nothing_is_labelled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="defect_probability=None"):
        list(list_elpv(write_package(tmp_path), None))


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("images/cell0001.png 1.0\n", "line 5"),
        ("images/cell0009.png 1.0 mono\n", "images/cell0009.png is missing"),
        ("images/cell0001.png 0.0 mono\n", "images/cell0001.png is listed twice"),
        ("images/cell0001.png 1.5 mono\n", "1.5"),
        ("images/cell0001.png nan mono\n", "nan"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path: Path, line: str, facts: str) -> None:
    root = write_package(tmp_path, [*LINES, line])
    with refuses(
        file=root / "labels.csv",
        facts=("line 5", facts),
        remedy=("correct the table", "install elpv-dataset"),
    ):
        list(list_elpv(root, 0.5))


def test_it_is_found_in_the_package_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    dataset = check_settings(compose_settings("train", ["dataset=elpv"])).dataset
    assert find_dataset_folder(dataset, tmp_path / "data", tmp_path / "cache") == data
    assert "elpv_dataset" not in sys.modules
    assert has_layout("elpv", data) and not has_layout("elpv", data.parent)
    assert labelling_of(dataset).defect_probability == 0.5


def test_another_folder_of_the_layout(tmp_path: Path) -> None:
    data = write_package(tmp_path)
    words = ["dataset=elpv", f"dataset.root={data}"]
    dataset = check_settings(compose_settings("train", words)).dataset
    assert find_dataset_folder(dataset, tmp_path, tmp_path) == data
    (data / "labels.csv").unlink()
    with refuses(setting="dataset.root", value=data, remedy="pip install 'cyclegan-ad[elpv]'"):
        find_dataset_folder(dataset, tmp_path, tmp_path)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan_ad.data.layouts.elpv.find_spec", lambda name: None)
    with refuses(setting="dataset", value="elpv", remedy="pip install 'cyclegan-ad[elpv]'"):
        find_elpv()


@pytest.mark.skipif(find_spec("elpv_dataset") is None, reason="needs the extra 'elpv'")
def test_the_images_of_the_package() -> None:
    root = find_elpv()
    found = {
        probability: list_samples("elpv", root, labelling=Labelling(defect_probability=probability))
        for probability in (0.5, 1 / 3)
    }
    counts = {p: sum(sample.label for sample in samples) for p, samples in found.items()}
    assert counts == {0.5: 821, 1 / 3: 1116} and len(found[0.5]) == 2624
    split = split_samples([s.path for s in found[0.5]], [s.label for s in found[0.5]], 0)
    assert len(split.test) == 2 * 410
