"""Flags: written as calibrate reads them, one for each image, and taken back."""

import csv
import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from errors import refuses
from inspected import png

from cyclegan_ad.inspection.flags import COLUMNS, TABLE, Flags


def values(sha256: str, label: str = "abnormal", note: str = "") -> dict[str, str]:
    facts = {"decision": "normal", "zone": "pass", "score": "1.5", "threshold": "2.0"}
    return {"sha256": sha256, "label": label, "note": note, **facts}


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_flag_is_a_row_with_the_path_of_the_image(tmp_path: Path) -> None:
    image = tmp_path / "é, part.png"
    image.write_bytes(png())
    out = tmp_path / "out"
    Flags(out).add(image, values("aa", note='a "note",\nwith all'), keep=False)
    [row] = read(out)
    assert tuple(row) == COLUMNS
    assert row["path"] == str(image) and row["note"] == 'a "note",\nwith all'
    assert row["time"].endswith("+00:00")
    assert Flags(out).rows() == [row]  # of a later start


def test_a_second_flag_replaces_the_first_and_undo_removes_it(tmp_path: Path) -> None:
    flags = Flags(tmp_path)
    for sha256, label in (("aa", "abnormal"), ("bb", "normal"), ("aa", "normal")):
        flags.add(tmp_path / sha256, values(sha256, label), keep=False)
    assert [(row["sha256"], row["label"]) for row in read(tmp_path)] == [
        ("bb", "normal"),
        ("aa", "normal"),
    ]
    assert flags.remove("bb") and not flags.remove("bb")
    assert [row["sha256"] for row in read(tmp_path)] == ["aa"]


def test_an_uploaded_image_is_copied_and_removed_with_its_flag(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(png())
    flags = Flags(tmp_path / "out")
    row = flags.add(upload, values("cc"), keep=True)
    copy = Path(row["path"])
    assert copy == tmp_path / "out" / "flagged" / "cc.png"
    assert copy.read_bytes() == upload.read_bytes()
    flags.remove("cc")
    assert not copy.exists() and upload.exists()


@pytest.mark.parametrize("text", ["path,label\n", ",".join(COLUMNS) + "\na,b,c,maybe,d,e,f,g,h\n"])
def test_a_damaged_table_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / TABLE).write_text(text)
    with refuses(file=tmp_path / TABLE, remedy="out=PATH"):
        Flags(tmp_path)


def test_flags_of_two_threads_are_all_kept(tmp_path: Path) -> None:
    flags, names = Flags(tmp_path), [f"{i:02}" for i in range(40)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: flags.add(tmp_path / name, values(name), keep=False), names))
    assert sorted(row["sha256"] for row in read(tmp_path)) == names


def test_a_full_disk_leaves_the_copy_of_an_earlier_flag_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(png())
    flags = Flags(tmp_path / "out")
    row = flags.add(upload, values("cc"), keep=True)

    def fill(_: Path, copy: Path) -> None:
        copy.write_bytes(png()[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill)
    with pytest.raises(OSError, match="No space left"):
        flags.add(upload, values("cc", "normal"), keep=True)
    assert Path(row["path"]).read_bytes() == png() and flags.rows() == [row]
