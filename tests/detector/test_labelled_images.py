"""Labelled images: of folders and tables, each once, with what a person says of them."""

import os
from pathlib import Path

from errors import refuses
from PIL import Image

from cyclegan_ad.detector.labelled_images import (
    LabelledImage,
    count_classes,
    find_labelled,
    find_withdrawn,
    mark_trained,
)
from cyclegan_ad.files import file_sha256, write_rows


def picture(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)
    return path


def test_labelled_images_of_a_folder_count_once(tmp_path: Path) -> None:
    picture(tmp_path / "OK" / "a.png", 1)
    picture(tmp_path / "NOK" / "scratch" / "b.png", 2)
    picture(tmp_path / "NOK" / "c.png", 2)
    found, copies = find_labelled(tmp_path)
    assert [(one.path.name, one.label) for one in found] == [("a.png", 0), ("c.png", 1)]
    assert copies == 1
    assert [image.counts for image in mark_trained(found, {found[0].sha256})] == [False, True]
    picture(tmp_path / "odd" / "OK" / "a.png", 1)
    picture(tmp_path / "odd" / "scratch" / "b.png", 2)
    with refuses(setting="images", value=tmp_path / "odd", facts="scratch", remedy="abnormal/"):
        find_labelled(tmp_path / "odd")
    picture(tmp_path / "OK" / "d.png", 2)
    with refuses(file="c.png", facts=["d.png", "normal", "abnormal"], remedy="remove one"):
        find_labelled(tmp_path)


def test_groups_of_a_table(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png", number)
    table = tmp_path / "parts.csv"
    table.write_text("path,label,group\n0.png,1,P1\n1.png,1,P1\n2.png,0,P1\n")
    found, _ = find_labelled(table)
    assert [(one.path.name, one.group) for one in found] == [
        ("2.png", "P1"),
        ("0.png", "P1"),
        ("1.png", "P1"),
    ]
    assert count_classes(found) == (1, 1)
    # The training saw an image of the part, so that none of it counts.
    assert count_classes(mark_trained(found, {found[0].sha256})) == (0, 0)
    (tmp_path / "3.png").write_bytes((tmp_path / "0.png").read_bytes())
    picture(tmp_path / "4.png", 4)
    table.write_text("path,label,group\n0.png,1,P1\n1.png,1,P1\n3.png,1,P2\n4.png,1,P2\n")
    assert count_classes(find_labelled(table)[0]) == (1, 0)  # a copy joins the two
    table.write_text("path,label,group\n0.png,1,P1\n1.png,1,\n")
    with refuses(file="parts.csv", facts=["line 3", "group"], remedy="remove the column"):
        find_labelled(table)


def test_escapes_alone_and_tables(tmp_path: Path) -> None:
    path = picture(tmp_path / "escapes" / "abnormal" / "e.png", 5)
    [only], copies = find_labelled(tmp_path / "escapes")
    assert (only.path, only.label, copies) == (path, 1, 0)
    table = tmp_path / "flags.csv"
    header = "time,path,sha256,label,decision,zone,score,threshold,note\n"
    row = f"{{}},{path},x,{{}},normal,pass,1,2,\n"
    table.write_text(header + row.format("10:00", "abnormal") + row.format("11:00", "abnormal"))
    [again], copies = find_labelled(table)
    assert (again, copies) == (only, 1)
    table.write_text("path;label\nescapes/abnormal/e.png;1\n")
    assert find_labelled(table) == ([LabelledImage(path, 1, only.sha256)], 0)
    for text, facts in (
        ("path,label\nescapes/abnormal/e.png,perhaps\n", ["line 2", "perhaps"]),
        ("path,label\ngone.png,normal\n", ["line 2", "gone.png"]),
        ("file,label\n", ["path"]),
        ("path,label\n", ["no images"]),
        (header + row.format("10:00", "abnormal") + row.format("11:00", "normal"), ["same file"]),
    ):
        table.write_text(text)
        with refuses(facts=facts, file=path if "same file" in facts else table):
            find_labelled(table)
    with refuses(setting="images", value=tmp_path / "gone", remedy="columns path, label"):
        find_labelled(tmp_path / "gone")
    with refuses(setting="images", value=tmp_path, remedy="normal/"):
        find_labelled(tmp_path)


def test_paths_of_a_table_as_a_program_writes_them(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, and spaces at the ends of a name."""
    names = [os.fsdecode(b"part\xff.png"), " spaced.png"]
    paths = [picture(tmp_path / name, grey) for grey, name in enumerate(names)]
    table = tmp_path / "flags.csv"
    write_rows(table, ["path", "label"], [[str(path), "abnormal"] for path in paths])
    found, _ = find_labelled(table)
    assert [one.path for one in found] == paths
    table.write_bytes(b"path, label\npart\xff.png , abnormal\n spaced.png,abnormal\n")
    assert [one.path for one in find_labelled(table)[0]] == paths


def test_an_escape_is_named_by_its_file_or_its_hash(tmp_path: Path) -> None:
    path = picture(tmp_path / "a, b.png", 1)
    sha256 = file_sha256(path)
    escapes = [{"sha256": sha256, "score": 1.0}]
    described = {"calibrations": [{"time": "2026-11-26", "score": "sse", "escapes": escapes}]}
    assert find_withdrawn(str(path), described) == sha256
    assert find_withdrawn(sha256.upper(), described) == sha256
    other = picture(tmp_path / "other.png", 2)
    for named in (str(other), "gone.png"):
        with refuses(setting="withdraw", value=named, facts="detector.json"):
            find_withdrawn(named, described)
