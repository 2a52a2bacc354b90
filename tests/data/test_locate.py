"""The list of images to leave out, as editors on several systems save it."""

import os
from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad.data.locate import read_exclude_list

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
