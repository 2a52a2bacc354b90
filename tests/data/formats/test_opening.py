"""Files opened for what they are: kinds, limits, damage."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_files import SIGNATURE, png_chunk
from PIL import Image

from cyclegan_ad.data.formats import opening
from cyclegan_ad.data.images import UnreadableImage, decode_image, upright_size

SIDE = 48
RAMP = np.add.outer(3 * np.arange(SIDE), 2 * np.arange(SIDE)).astype(np.uint8)


def saved(image, file_format, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def refusal(data) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, 8, 3)
    return str(caught.value)


def test_an_image_of_182_megapixels_is_read():
    """Pillow by itself takes it for an attack."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 13500, 13500, 1, 0, 0, 0, 0))
    row = b"\0" + b"\xff" * 844 + bytes(844)  # left half white
    pixels = png_chunk(b"IDAT", zlib.compress(row * 13500, 1))
    data = SIGNATURE + header + pixels + png_chunk(b"IEND", b"")
    decoded = decode_image(data, 16, 1)[..., 0]
    assert (decoded[:, :6] == 255).all() and (decoded[:, 10:] == 0).all()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_the_limit_is_stated(file_format, monkeypatch):
    monkeypatch.setattr(opening, "MAX_PIXELS", 1_000_000)
    assert refusal(saved(Image.new("L", (1001, 1000)), file_format)) == (
        "1001 x 1000 px: expected at most 1 megapixels; scale the image down or crop it"
    )


def test_a_decompression_bomb_is_refused():
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
    bomb = SIGNATURE + header + saved(Image.new("L", (2, 2)), "PNG")[33:]
    assert refusal(bomb).startswith("60000 x 60000 px: expected at most 537 megapixels")


def test_sound_files_of_kinds_that_pillow_lacks_are_not_called_damaged():
    data = saved(Image.fromarray(RAMP), "JPEG")
    frame = data.index(b"\xff\xc0")
    assert refusal(data[: frame + 4] + b"\x0c" + data[frame + 5 :]) == (
        "JPEG is not supported (cannot handle 12-bit layers): save it as PNG"
    )
    lossless = data[:2] + data[frame:].replace(b"\xff\xc0", b"\xff\xf7", 1)
    assert refusal(lossless) == "JPEG-LS is not supported: save it as PNG"
    data = saved(Image.fromarray(RAMP), "BMP")
    assert refusal(data[:28] + b"\x02" + data[29:]).startswith("BMP is not supported (Unsupported")


def test_cmyk_jpegs_need_the_marker_that_says_how_they_are_stored():
    cmyk = Image.merge("CMYK", [Image.fromarray(RAMP // n) for n in (1, 2, 3, 4)])
    data = saved(cmyk, "JPEG", quality=98)
    expected = np.asarray(cmyk.convert("RGB")).astype(int)
    assert np.abs(decode_image(data, SIDE, 3) - expected).max() <= 20
    marker = data.index(b"\xff\xee")
    assert "without an Adobe marker" in refusal(data[:marker] + data[marker + 16 :])


@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_of_black_and_white_in_more_than_one_bit(bits):
    marked = np.random.default_rng(0).integers(0, 2, (8, 8))
    rows = (marked[::-1, ::2] << 4 | marked[::-1, 1::2]) if bits == 4 else marked[::-1]
    pixels = rows.astype(np.uint8).tobytes()
    size = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, bits, 0, len(pixels), 0, 0, 2, 0)
    palette = bytes(4) + b"\xff\xff\xff\0"
    data = b"BM" + struct.pack("<IHHI", 62 + len(pixels), 0, 0, 62) + size + palette + pixels
    np.testing.assert_array_equal(decode_image(data, 8, 1)[..., 0], marked * 255)


@pytest.mark.parametrize("colours", [3, 16])
def test_bmp_of_4_bits_whose_colours_are_their_numbers(colours):
    size = struct.pack("<IiiHHIIiiII", 40, 8, 1, 1, 4, 0, 4, 0, 0, colours, 0)
    head = b"BM" + struct.pack("<IHHI", 58 + 4 * colours, 0, 0, 54 + 4 * colours) + size
    ramp = b"".join(bytes([i, i, i, 0]) for i in range(colours))
    assert "BMP of 4 bits with the colours 0, 1, 2" in refusal(head + ramp + b"\x01\x20\x12\0")
    other = b"\x09\x09\x09\0" + ramp[4:]
    decoded = decode_image(head + other + b"\x01\x20\x12\0", 8, 1)
    assert decoded.min() >= 1 and decoded.max() <= 9


FILES = [
    ("PNG", {}),
    ("PNG", {"save_all": True, "append_images": [Image.new("L", (SIDE, SIDE))]}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("BMP", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
]


@pytest.mark.parametrize(("file_format", "options"), FILES)
def test_damage_gives_a_reason_or_pixels(file_format, options, tmp_path):
    data = saved(Image.fromarray(RAMP), file_format, **options)
    rng = np.random.default_rng(0)
    damaged = [data[: len(data) * part // 25] for part in range(25)]
    for _ in range(40):
        changed = bytearray(data)
        changed[rng.integers(0, min(len(data), 200))] = rng.integers(0, 256)
        changed[-rng.integers(1, min(len(data), 200))] = rng.integers(0, 256)
        damaged.append(bytes(changed))
    path, refused = tmp_path / "a", 0
    for one in damaged:
        path.write_bytes(one)
        for read in (lambda one=one: decode_image(one, 8, 3), lambda: upright_size(path)):
            try:
                read()
            except UnreadableImage as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused >= 20


def test_a_bmp_of_16_bits_with_alpha_is_refused():
    header = struct.pack("<IiiHHIIiiII", 108, 2, 2, 1, 16, 3, 8, 0, 0, 0, 0)
    masks = struct.pack("<4I", 0x7C00, 0x3E0, 0x1F, 0x8000)
    start = 14 + 108
    rest = header + masks + bytes(108 - len(header) - len(masks)) + bytes(8)
    data = b"BM" + struct.pack("<IHHI", start + 8, 0, 0, start) + rest
    with pytest.raises(UnreadableImage, match="BMP of 16 bits with alpha is not supported"):
        decode_image(data, 2, 3)


def test_a_jpeg_whose_rest_is_zeros_is_damaged():
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", comment=b"\xff\xd9")
    data = file.getvalue()
    half = data[: len(data) // 2]
    with pytest.raises(UnreadableImage, match=r"damaged JPEG \(end marker missing\)"):
        decode_image(half + bytes(len(data) - len(half)), 8, 3)
    appended = decode_image(data + b"something behind", 8, 3)
    np.testing.assert_array_equal(appended, decode_image(data, 8, 3))


def test_too_little_memory_is_not_called_damage(monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(opening, "_read_header", exhausted)
    with pytest.raises(MemoryError):
        opening.open_image(SIGNATURE + bytes(20))
