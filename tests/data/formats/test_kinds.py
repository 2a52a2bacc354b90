"""Formats told by their content: HEIC and AVIF, and what only looks like them."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pillow_heif
import pytest
from PIL import AvifImagePlugin, Image

from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.formats.kinds import kind_of
from cyclegan_ad.data.images import decode_image, read_mask, upright_size

KINDS = ("HEIC", "AVIF")


def photograph() -> Image.Image:
    """96 x 64 px; the upper left quarter is red, the rest grey."""
    pixels = np.full((64, 96, 3), 120, np.uint8)
    pixels[:32, :48] = (220, 30, 30)
    return Image.fromarray(pixels)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    else:
        image.save(buffer, "AVIF", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_photograph_comes_back(kind: str, tmp_path: Path) -> None:
    data = encode(photograph(), kind)
    assert kind_of(data) == kind
    expected = photograph().resize((32, 32), Image.Resampling.BICUBIC)
    difference = decode_image(data, 32, 3).astype(int) - np.asarray(expected)
    assert np.abs(difference).mean() < 3
    path = tmp_path / "a.jpg"  # the content decides
    path.write_bytes(data)
    assert upright_size(path) == (96, 64)
    with pytest.raises(UnreadableImage, match="lossy compression"):
        read_mask(path, 8)
    with pytest.raises(UnreadableImage, match=r"dataset\.window does not apply"):
        decode_image(data, 32, 3, (0, 100))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 2, 5])
def test_the_orientation_is_applied_once(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photograph(), kind, exif=exif.tobytes())
    jpeg = io.BytesIO()
    photograph().save(jpeg, "JPEG", quality=95, exif=exif)
    decoded = decode_image(data, 16, 3).astype(int)
    expected = decode_image(jpeg.getvalue(), 16, 3).astype(int)
    assert np.abs(decoded - expected).mean() < 6  # 25 and more if it is turned otherwise
    for name, content in (("a", data), ("b", jpeg.getvalue())):
        (tmp_path / name).write_bytes(content)
    assert upright_size(tmp_path / "a") == upright_size(tmp_path / "b")


def test_heic_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photograph(), "HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, 16, 3)
    assert str(caught.value) == (
        "HEIC needs the package pillow-heif: pip install 'cyclegan-ad[heif]'"
    )


@pytest.mark.parametrize("too_old", [False, True])
def test_avif_without_support_by_pillow(monkeypatch: pytest.MonkeyPatch, too_old: bool) -> None:
    data = encode(photograph(), "AVIF")
    if too_old:
        monkeypatch.delattr(PIL, "AvifImagePlugin")
        monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    else:
        monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(UnreadableImage, match=r"AVIF is not supported.*upgrade pillow"):
        decode_image(data, 16, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_damaged(kind: str) -> None:
    data = encode(photograph(), kind)
    with pytest.raises(UnreadableImage, match=f"{kind}"):
        decode_image(data[: len(data) // 2], 16, 3)


def test_a_film_is_no_image() -> None:
    film = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(100)
    with pytest.raises(UnreadableImage, match=r"^not a PNG"):
        kind_of(film)
