"""Files that are not to be read."""

import os
import socket

import pytest

from cyclegan_ad.data.formats import image_bytes
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes


def test_a_regular_file_and_a_link_to_it(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "link.png").symlink_to("a.png")
    assert read_bytes(tmp_path / "a.png") == read_bytes(str(tmp_path / "link.png")) == b"abc"


def test_pipes_devices_sockets_folders_and_loops_are_neither_read_nor_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))  # its name may have 108 letters
        for name, reason in {
            "pipe.png": "not a regular file",
            "zero.png": "not a regular file",
            "socket.png": "not a regular file",
            "folder.png": "Is a directory",
            "loop.png": "Too many levels of symbolic links",
            "absent.png": "No such file or directory",
        }.items():
            with pytest.raises(UnreadableImage, match=rf"^cannot be read \({reason}\)$"):
                read_bytes(tmp_path / name)


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(image_bytes, "MAX_FILE_BYTES", 2**20)
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(UnreadableImage, match=r"^file of 1\.0 GiB: expected at most 0 GiB$"):
        read_bytes(tmp_path / "a.png")
