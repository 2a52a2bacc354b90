"""Table 1 on folders made of empty files: images are counted, not opened."""

import csv
from pathlib import Path

import pytest

from cyclegan_ad.reference.paper import paper_table1
from experiments.table1 import DEFAULTS, EXPLANATION, table1


def place_files(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        (folder / f"{i:03d}.png").touch()


def settings(tmp_path: Path, **changes: str) -> dict[str, str]:
    places = {"data_dir": str(tmp_path / "data"), "out": str(tmp_path / "out")}
    return DEFAULTS | places | changes


@pytest.fixture
def some_data(tmp_path: Path) -> Path:
    """Screw and brain_mri of the paper's sizes, one hazelnut of too few, nothing else."""
    data = tmp_path / "data"
    screw = data / "mvtec_ad" / "screw"
    place_files(screw / "train" / "good", 320)
    place_files(screw / "test" / "good", 41)
    place_files(screw / "test" / "thread_top", 119)
    place_files(data / "brain_mri" / "no", 98)
    place_files(data / "brain_mri" / "yes", 155)
    place_files(data / "hazelnut" / "train" / "good", 5)
    place_files(data / "hazelnut" / "test" / "cut", 1)
    return tmp_path


def test_what_is_there_is_counted_and_the_rest_named(
    some_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = [str(error) for error in table1(settings(some_data))]
    names = ["hazelnut", "tile", "wood", "breast_ultrasound", "retina_oct"]
    assert [text.split()[1].rstrip(":") for text in missing] == names
    assert "expected at least 2 per class" in missing[0]
    assert "unpack it there" in missing[1]

    with (some_data / "out" / "table1.csv").open() as file:
        rows = {row.pop("dataset"): row for row in csv.DictReader(file)}
    # 119 abnormal images: half of them, rounded down, test; 361 normal ones.
    expected = {
        "screw": [302, 60, 59, 59, 301, 59, 60, 60, 59],
        "brain_mri": [49, 106, 49, 49, 49, 106, 49, 49, 49],
    }
    assert {
        name: [int(v) for v in list(row.values())[:-1]] for name, row in rows.items()
    } == expected
    assert rows["brain_mri"]["remark"] == ""
    assert rows["screw"]["remark"].startswith("ours differs from Table 1; paper: 361 normal and")

    assert "302 / 301" in capsys.readouterr().out
    text = (some_data / "out" / "table1.md").read_text()
    assert "| screw | 302 / 301 | 60 / 59 | 59 / 60 | 59 / 60 | 59 |" in text
    assert EXPLANATION in text


def test_sizes_that_fit_table1_but_not_table2_are_told(tmp_path: Path) -> None:
    busi = tmp_path / "data" / "breast_ultrasound"
    for name, count in (("normal", 133), ("benign", 437), ("malignant", 84)):
        place_files(busi / name, count)
    assert table1(settings(tmp_path, dataset="breast_ultrasound")) == []
    [row] = csv.DictReader((tmp_path / "out" / "table1.csv").open())
    assert [row["train_normal"], row["train_abnormal"], row["test_normal"]] == ["67", "455", "66"]
    assert "ours differs" not in row["remark"]
    assert "ours tests on 66, Table 2 on 65 of each class" in row["remark"]


def test_nothing_is_written_where_nothing_is_there(tmp_path: Path) -> None:
    assert len(table1(settings(tmp_path))) == 7
    assert not (tmp_path / "out").exists()


def test_the_explanation_names_the_sizes_of_the_reference() -> None:
    paper = paper_table1()
    differing = {n: s for n, s in paper.items() if s.test_normal != s.behind_table2}
    assert {n: (s.test_normal, s.behind_table2) for n, s in differing.items()} == {
        "screw": (60, 59),
        "tile": (41, 42),
        "breast_ultrasound": (66, 65),
    }
    assert "60 for screw, 41 for tile and 66 for breast ultrasound" in EXPLANATION
    assert "computed on 59, 42 and 65" in EXPLANATION
