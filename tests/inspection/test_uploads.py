"""Uploads: judged by content and size before anything is decoded; names are no paths."""

import errno
import gzip
import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
from inspected import png
from PIL import Image

from cyclegan_ad.inspection import uploads as module
from cyclegan_ad.inspection.uploads import RefusedUpload, Uploads


def test_a_file_is_kept_under_its_hash(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 10_000)
    path, sha256 = uploads.keep(png())
    assert path == tmp_path / hashlib.sha256(png()).hexdigest() == tmp_path / sha256
    assert uploads.keep(png()) == (path, sha256)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, this is text", "not a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG"),
        (b"PK\x03\x04 a ZIP", "not a PNG"),
        (png()[:20], "damaged PNG"),
        (bytes(128) + b"DICM" + b"1.2.840.10008.1.2.1.99\0", "deflated DICOM"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(RefusedUpload, match=reason):
        Uploads(tmp_path, 10_000).keep(data)
    assert not list(tmp_path.iterdir())


def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(content, "PNG")  # 50 kB that decode to 400 megapixels
    with pytest.raises(RefusedUpload, match="20000 x 20000 px: expected at most 100 megapixels"):
        Uploads(tmp_path, 100_000_000).keep(content.getvalue())


def test_compressed_data_do_not_expand_in_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(64 * 2**20))  # 64 kB
    tracemalloc.start()
    with pytest.raises(RefusedUpload, match="expands to more than"):
        Uploads(tmp_path, 100_000).keep(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize(("name", "most"), [("MOST_UPLOADED", 2), ("MOST_UPLOADED_BYTES", 1500)])
def test_a_session_takes_only_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(module, name, most)
    uploads = Uploads(tmp_path, 10_000)
    with pytest.raises(RefusedUpload, match="takes no more"):
        for seed in range(3):
            uploads.keep(png(seed=seed))
    assert len(list(tmp_path.iterdir())) < 3


def test_a_full_disk_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads, write = Uploads(tmp_path, 10_000), Path.write_bytes

    def fill(path: Path, data: bytes) -> int:
        write(path, data[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match="No space left"):
        uploads.keep(png())
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "write_bytes", write)
    assert uploads.keep(png())[0].read_bytes() == png()
