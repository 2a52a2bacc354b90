"""Image files: what is found in them, and why there is nothing."""

import io

import numpy as np
from image_files import png_file
from PIL import Image

from cyclegan_ad.data.decoded_files import decode_file, decode_in_order, hash_file, hash_in_order

WINDOW = (1000, 3000)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_file_tells_the_values_that_it_uses(tmp_path):
    path = tmp_path / "a.png"

    def span(image, window=None):
        path.write_bytes(image if isinstance(image, bytes) else png(image))
        return decode_file(path, 4, 1, window).span

    grey = np.array([[7, 4095], [9, 100]], dtype=np.uint16)
    assert span(Image.fromarray(grey)) == (7, 4095, 16) == span(Image.fromarray(grey), WINDOW)
    assert span(Image.new("L", (4, 4), 200)) is None
    # Without a window, only the high bytes of colour are read: 4 stands for at most 1279.
    assert span(png_file(np.full((2, 2, 3), 1026), 16, 2)).high == 1279
    assert span(png_file(np.full((2, 2, 3), 1026), 16, 2), WINDOW) == (1026, 1026, 16)


def test_missing_file_and_folder(tmp_path):
    found = list(decode_in_order([tmp_path / "absent.png", tmp_path], 4, 1, None))
    assert [one.reason for one in found] == [
        "cannot be read (No such file or directory)",
        "cannot be read (Is a directory)",
    ]
    assert all(one.pixels is None for one in found)


def test_hashes_are_those_of_the_contents(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(Image.new("L", (4, 4), 200)))
    decoded = decode_file(path, 4, 1, None)
    assert list(hash_in_order([path, tmp_path])) == [decoded.sha256, ""]
    assert hash_file(path) == decoded.sha256 and len(decoded.sha256) == 64
