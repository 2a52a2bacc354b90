"""The user's own images as a table."""

import unicodedata
from pathlib import Path

import pytest
from errors import refuses
from trees import touch

from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.samples import Sample, list_samples

FILES = ("img/a.png", "img/b.png", "img/c d.png", "m/b.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return touch(tmp_path / "data", *FILES)


def read(root: Path, text: str, encoding: str = "utf-8", **given: str) -> list[Sample]:
    table = root.parent / "table.csv"
    table.write_bytes(text.encode(encoding))
    return list_samples("folder", root, labelling=Labelling(table=table, **given))


def test_all_columns(root: Path) -> None:
    text = (
        "path,label,mask,group,type,remark\n"
        "img/a.png,0,,P1,,fine\n"
        'img/b.png,1,m/b.png,P2,crack,"one, two"\n'
        "\n"
        "img/c d.png,NOK,,P2,,\n"
    )
    assert read(root, text) == [
        Sample("img/a.png", 0, "img", (), "P1"),
        Sample("img/b.png", 1, "crack", ("m/b.png",), "P2"),
        Sample("img/c d.png", 1, "img", (), "P2"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_as_spreadsheets_save_it(root: Path, encoding: str, mark: str, end: str) -> None:
    lines = [" Path ", "LABEL", "Type"], ["./img\\a.png", "Good", ""], ["img/b.png", "1", "Riß"]
    text = end.join(mark.join(line) for line in lines) + end
    assert read(root, text, encoding) == [
        Sample("img/a.png", 0, "img"),
        Sample("img/b.png", 1, "Riß"),
    ]


def test_spaces_around_a_path_may_belong_to_it(root: Path) -> None:
    touch(root, " a.png", "m/b.png ")
    found = read(root, "path, label, mask\n a.png, 0, \n img/b.png , 1,m/b.png \n")
    assert [sample.path for sample in found] == [" a.png", "img/b.png"]
    assert [sample.mask for sample in found] == [(), ("m/b.png ",)]


def test_names_in_another_unicode_form(root: Path) -> None:
    touch(root, unicodedata.normalize("NFD", "Größe.png"), "b.png")
    found = read(root, "path,label\nGröße.png,0\nb.png,1\n")
    assert [unicodedata.normalize("NFC", sample.path) for sample in found] == ["Größe.png", "b.png"]
    assert all((root / sample.path).is_file() for sample in found)


def test_a_normal_image_has_no_mask(root: Path) -> None:
    [found] = read(root, "path,label,mask\nimg/a.png,0,m/b.png\n")
    assert found.mask == ()


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("path,class\nimg/a.png,0\n", ("label", "path, class")),
        ("img/a.png,0\nimg/b.png,1\n", ("path and label", "img/a.png")),
        ("", ("path and label", "none")),
        ("path,label,groups\nimg/a.png,0,P1\n", ("groups", "group")),
        ("path,label,label\nimg/a.png,0,1\n", ("path, label, label",)),
        ("path,label\nimg/a.png,0\nimg/b.png,sort of\n", ("line 3", "label=sort of", "abnormal")),
        ("path,label\nimg/a.png,2\n", ("line 2", "label=2")),
        ("path,label\nimg/a.png,\n", ("line 2", "label=")),
        ("path,label\nimg/z.png,0\n", ("line 2", "path=img/z.png", "no such file")),
        ("path,label\nimg,0\n", ("line 2", "path=img", "no such file")),
        ("path,label\n../table.csv,0\n", ("line 2", "path=../table.csv", "no such file")),
        ("path,label\n,0\n", ("line 2", "path=", "no such file")),
        ("path,label\nimg/a.png,0\n./img/a.png,1\n", ("line 3", "path=./img/a.png", "line 2")),
        ("path,label,mask\nimg/b.png,1,m/z.png\n", ("line 2", "mask=m/z.png", "no such file")),
        ("path,label,group\nimg/a.png,0,\n", ("line 2", "group=", "empty")),
        ("path,label\nimg/a.png,0,more\n", ("line 2", "3 fields", "2")),
        ('path,label\n"img/a.png,0\n', ("line 2",)),
    ],
)
def test_what_is_wrong_is_told_with_its_line(root: Path, text: str, facts: tuple[str, ...]) -> None:
    with refuses(file=root.parent / "table.csv", facts=facts):
        read(root, text)


def test_a_table_that_cannot_be_read(root: Path) -> None:
    with refuses(setting="dataset.table", facts="UTF-8", remedy="path, label"):
        read(root, "path,label\nGröße.png,0\n", "latin-1")
    gone = root / "gone.csv"
    with refuses(setting="dataset.table", value=gone, facts="No such file"):
        list_samples("folder", root, labelling=Labelling(table=gone))


def test_groups_come_from_one_place(root: Path) -> None:
    text = "path,label\nimg/a.png,0\nimg/b.png,1\n"
    assert [sample.group for sample in read(root, text, group="(.)\\.png")] == ["a", "b"]
    with refuses(setting="dataset.group", facts="dataset.table"):
        read(root, "path,label,group\nimg/a.png,0,P1\n", group="(.)\\.png")


def test_an_excluded_image_need_not_have_a_group(root: Path) -> None:
    table = root.parent / "table.csv"
    table.write_text("path,label\nimg/a.png,0\nimg/c d.png,1\n")
    given = Labelling(table=table, group="/([ab])")
    assert len(list_samples("folder", root, exclude=["c d.png"], labelling=given)) == 1
    with refuses(setting="dataset.group", value="/([ab])", facts="img/c d.png"):
        list_samples("folder", root, labelling=given)
