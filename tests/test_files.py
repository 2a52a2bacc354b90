"""Files are whole or absent, in one encoding, with every digit."""

import csv
import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from errors import assert_error, refuses

from cyclegan_ad.detector.saved import save_detector
from cyclegan_ad.files import (
    PATH_TEXT,
    explain_file_errors,
    remove_abandoned,
    replacing,
    write_json,
    write_rows,
    write_text,
)
from cyclegan_ad.runs.checkpoints import WholeCheckpoints


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


ODD_NAMES = [
    "a\rb",
    "a\r\nb",
    "a\nb",
    "a\tb",
    "a,b",
    'a"b',
    '"',
    "",
    " a ",
    "\x1b[31m",
    "\udce8",
    "\u2028",
    "\x00",
    "'",
    "#",
    "nan",
]


def test_any_text_is_read_back_from_a_table_as_it_was(tmp_path: Path) -> None:
    rows = [[name, 0.1 + 0.2, 7] for name in ODD_NAMES]
    write_rows(tmp_path / "a.csv", ["path", "x\ry", "z"], rows)
    with (tmp_path / "a.csv").open(newline="", **PATH_TEXT) as file:
        header, *found = csv.reader(file, strict=True)
    assert header == ["path", "x\ry", "z"]
    assert found == [[name, "0.30000000000000004", "7"] for name in ODD_NAMES]


def test_replacing_puts_the_whole_file_in_place(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # a rename over disks would not be atomic
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with replacing(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o644
    assert files(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert files(tmp_path) == ["a.txt"]
    with pytest.raises(error), replacing(tmp_path / "b.txt") as temporary:
        raise error
    assert files(tmp_path) == ["a.txt"]


def test_numbers_that_json_does_not_know_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"score": 0.1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert path.read_text() == '{\n  "score": 0.1\n}\n'
    assert files(tmp_path) == ["a.json"]


def test_tables_keep_every_digit_and_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    numbers = [0.1 + 0.2, 1e-300, 123456.7890123456, 1 / 3]
    names = ["a,b.png", 'say "x".png', "Größe/日本.png", "two\nlines.png"]
    rows = [[*row] for row in zip(names, range(4), numbers, strict=True)]
    write_rows(path, ["path", "n", "score"], rows)
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "n", "score"]
    assert [row[0] for row in rows] == names
    assert [row[1] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row[2]) for row in rows] == numbers
    assert b"\r" not in path.read_bytes()


def test_names_that_are_not_utf_8_come_back_as_they_were(tmp_path: Path) -> None:
    name = os.fsdecode(b"gr\xf6\xdfe.png")
    write_rows(tmp_path / "a.csv", ["path", "sse"], [[name, 1.5]])
    assert (tmp_path / "a.csv").read_bytes() == b"path,sse\ngr\xf6\xdfe.png,1.5\n"
    with (tmp_path / "a.csv").open(newline="", **PATH_TEXT) as file:
        assert list(csv.reader(file)) == [["path", "sse"], [name, "1.5"]]


def test_texts_are_utf_8_whatever_the_machine_prefers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("io.text_encoding", lambda encoding, stacklevel=2: encoding or "latin-1")
    write_text(tmp_path / "a.txt", "日本")
    assert (tmp_path / "a.txt").read_bytes() == "日本".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_disk_refuses_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"epochs": 3})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with refuses(file=path, facts="No space left on device"), explain_file_errors():
        write_json(path, {"epochs": 4})
    assert json.loads(path.read_text()) == {"epochs": 3}
    assert files(tmp_path) == ["metrics.json"]


@pytest.mark.parametrize(
    ("write", "place", "told"),
    [
        (lambda path: write_json(path, {}), "metrics.json/x", "Is a directory"),
        (lambda path: write_json(path / "a.json", {}), "figures", "File exists"),
    ],
)
def test_a_folder_for_a_file_and_a_file_for_a_folder(
    tmp_path: Path, write: Callable[[Path], None], place: str, told: str
) -> None:
    in_the_way = tmp_path / place
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.touch()
    path = tmp_path / place.partition("/")[0]
    with refuses(file=path, facts=told), explain_file_errors():
        write(path)
    assert in_the_way.is_file()


def test_no_folder_for_temporary_files() -> None:
    nowhere = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    with refuses(remedy="TMPDIR"), explain_file_errors():
        raise nowhere


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path: Path) -> None:
    code = (
        "import resource; from pathlib import Path; from cyclegan_ad.files import *;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));\n"
        "with explain_file_errors(): write_text(Path('a.txt'), 'x' * 5000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert_error(done.stderr.splitlines()[-1], file="a.txt", facts=("UserError", "File too large"))
    assert files(tmp_path) == []


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for leftover in (".scores.csv.x.partial", "figures/.a.png.y.partial"):
        (tmp_path / leftover).touch()
    (tmp_path / "scores.csv").touch()
    remove_abandoned(tmp_path)
    assert files(tmp_path) == ["figures", "scores.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_weights_that_a_disk_refuses_are_told_like_any_other_file(tmp_path: Path) -> None:
    """The writers of torch and safetensors have errors of their own, which name nothing."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    network = torch.nn.Linear(100, 100)
    writers: dict[str, Callable[[Path], object]] = {
        "last.ckpt": lambda path: WholeCheckpoints().save_checkpoint(network.state_dict(), path),
        "weights.safetensors": lambda path: save_detector(
            path.parent,
            method="cyclegan",
            network={},
            tensors=network.state_dict(),
            preprocessing={},
            extractors={},
            trained_on={},
            trained_files=[],
            map_scale=(0.0, 1.0),
            scores={},
            reference={},
        ),
    }
    for name, write in writers.items():
        path = tmp_path / name
        path.write_text("old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
        try:
            with refuses(file=path, facts="File too large"), explain_file_errors():
                write(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert path.read_text() == "old"
    assert files(tmp_path) == sorted(writers)


def test_content_is_on_the_disk_before_the_old_one_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(opened: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(opened).st_mode) else "file")
        sync(opened)

    def renamed(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(tmp_path / "a.txt", "x")
    assert steps == ["file", "rename", "folder"]
    with replacing(tmp_path / "b.txt", durable=False) as temporary:
        temporary.write_text("x")
    assert steps[3:] == ["rename"]


def test_other_errors_of_the_system_are_defects() -> None:
    for error in (BrokenPipeError(errno.EPIPE, "a pipe"), FileNotFoundError(errno.ENOENT, "none")):
        with pytest.raises(type(error)), explain_file_errors():
            raise error
