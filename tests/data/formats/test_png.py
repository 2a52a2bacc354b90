"""PNG: depths, transparent colours, and chunks that the pixels do not depend on."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_files import png_chunk, png_file
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cyclegan_ad.data.formats.opening import open_image
from cyclegan_ad.data.formats.png import SIGNATURE, essential_chunks
from cyclegan_ad.data.images import UnreadableImage, decode_image, upright_size

SIDE = 6
PALETTE = 3
GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6


def random_values(bits, channels):
    return np.random.default_rng(bits).integers(0, 2**bits, (SIDE, SIDE, channels))


def saved(image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_each_depth_is_black(bits):
    values = random_values(bits, 1)
    values[0, 0] = 2**bits - 1
    transparency = png_chunk(b"tRNS", struct.pack(">H", 2**bits - 1))
    decoded = decode_image(png_file(values, bits, GREY, ahead=transparency), SIDE, 3)
    expected = np.where(values == 2**bits - 1, 0, values * 255.0 / (2**bits - 1))
    assert np.abs(decoded - expected).max() <= 0.51


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_is_black_where_all_bits_agree(bits):
    values = random_values(bits, 3)
    values[1, 1] = values[0, 0]
    values[1, 1, 0] ^= 1
    transparency = png_chunk(b"tRNS", struct.pack(">3H", *values[0, 0]))
    decoded = decode_image(png_file(values, bits, RGB, ahead=transparency), SIDE, 3)
    expected = values >> (bits - 8)
    expected[0, 0] = 0
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize(("colour_type", "channels"), [(GREY_ALPHA, 2), (RGB, 3), (RGBA, 4)])
def test_16_bit_colour(colour_type, channels):
    values = random_values(16, channels)
    alpha = values[..., -1:] / 65535 if channels in (2, 4) else 1.0
    colour = values[..., :-1] if channels in (2, 4) else values
    decoded = decode_image(png_file(values, 16, colour_type), SIDE, 3)
    assert np.abs(decoded - colour / 257 * alpha).max() <= 2.01  # of the high bytes


def test_long_texts_and_profiles_are_no_damage():
    text = PngInfo()
    text.add_text("Description", "x" * 2**21, zip=True)
    pixels = Image.fromarray(random_values(8, 3).astype(np.uint8))
    data = saved(pixels, pnginfo=text, icc_profile=bytes(2**21))
    np.testing.assert_array_equal(decode_image(data, SIDE, 3), pixels)


def test_orientation_behind_the_pixels_counts(tmp_path):
    values = random_values(8, 1)[:4]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = png_file(values, 8, GREY, behind=png_chunk(b"eXIf", exif.tobytes()[6:]))
    upright = png_file(np.rot90(values, -1), 8, GREY)
    np.testing.assert_array_equal(decode_image(turned, 8, 1), decode_image(upright, 8, 1))
    (tmp_path / "a.png").write_bytes(turned)
    assert upright_size(tmp_path / "a.png") == (4, 6)


@pytest.mark.parametrize("default_image", [False, True])
def test_of_an_animation_the_first_frame_counts(default_image):
    first, second = (Image.new("RGB", (SIDE, SIDE), (value, 0, 9)) for value in (10, 20))
    data = saved(first, save_all=True, append_images=[second] * 2, default_image=default_image)
    np.testing.assert_array_equal(decode_image(data, SIDE, 3), first)
    assert b"fcTL" in data and b"fcTL" not in essential_chunks(data)


def test_changed_pixels_are_damage():
    data = bytearray(saved(Image.fromarray(random_values(8, 3).astype(np.uint8)), compress_level=0))
    data[-30] ^= 1  # not compressed: decodes to another pixel
    with pytest.raises(UnreadableImage, match=r"^damaged PNG \(wrong checksum of pixels\)$"):
        decode_image(bytes(data), SIDE, 3)


@pytest.mark.parametrize("bits", [8, 16])
def test_missing_rows_are_damage(bits):
    values = np.random.default_rng(bits).integers(1, 2**bits, (SIDE, SIDE, 3))
    whole = png_file(values, bits, RGB)
    values[-1] = 0  # a sound row that looks like one that never came
    assert not np.asarray(decode_image(png_file(values, bits, RGB), SIDE, 3))[-1].any()
    at = whole.index(b"IHDR") + 8
    header = b"IHDR" + whole[at - 4 : at] + struct.pack(">I", SIDE + 1) + whole[at + 4 : at + 9]
    taller = whole[: at - 8] + header + struct.pack(">I", zlib.crc32(header)) + whole[at + 13 :]
    with pytest.raises(UnreadableImage, match="rows missing"):
        decode_image(taller, SIDE, 3)


def test_interlaced_rows_that_are_missing_are_damage():
    grey = np.random.default_rng(0).integers(1, 255, (5, 7), dtype=np.uint8)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
    passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [grey[top::down, left::across] for left, top, across, down in passes]
    raw = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    ihdr = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, GREY, 0, 0, 1))

    def file(rows: bytes) -> bytes:
        pixels = png_chunk(b"IDAT", zlib.compress(rows))
        return SIGNATURE + ihdr + pixels + png_chunk(b"IEND", b"")

    decoded = np.asarray(open_image(file(raw)))
    np.testing.assert_array_equal(decoded, grey)
    with pytest.raises(UnreadableImage, match="rows missing"):
        open_image(file(raw[:-8]))


def test_palettes_that_are_missing_late_or_short_are_damage():
    palette = png_chunk(b"PLTE", bytes(range(12)))
    index = np.full((SIDE, SIDE, 1), 3)
    decode_image(png_file(index, 8, PALETTE, ahead=palette), SIDE, 3)
    whole = png_file(index, 8, PALETTE, ahead=palette)
    late = whole.replace(palette, b"")
    late = late.replace(png_chunk(b"IEND", b""), palette + png_chunk(b"IEND", b""))
    for data, reason in (
        (whole.replace(palette, b""), "palette missing"),
        (late, "palette missing"),
        (whole.replace(palette, palette * 2), "PLTE chunk repeated or after the pixels"),
        (png_file(index + 1, 8, PALETTE, ahead=palette), "exceeds the palette of 4 colours"),
    ):
        with pytest.raises(UnreadableImage, match=reason):
            decode_image(data, SIDE, 3)


def test_a_chunk_that_must_be_understood():
    data = png_file(random_values(8, 1), 8, GREY, ahead=png_chunk(b"CgBI", b"1234"))
    with pytest.raises(UnreadableImage, match=r"unknown critical chunk b'CgBI'"):
        decode_image(data, SIDE, 1)


def test_of_a_transparent_grey_the_bits_of_a_pixel_count():
    values = random_values(1, 1)
    for key, expected in ((2, values * 255), (3, values * 0)):  # black, and white, is transparent
        transparency = png_chunk(b"tRNS", struct.pack(">H", key))
        decoded = decode_image(png_file(values, 1, GREY, ahead=transparency), SIDE, 1)
        np.testing.assert_array_equal(decoded, expected)


EXIF = Image.Exif()
EXIF[0x0112] = 6
TEXTS = {
    "long packed XMP": png_chunk(
        b"iTXt",
        b"XML:com.adobe.xmp\0\1\0\0\0"
        + zlib.compress(bytes(2**21) + b'tiff:Orientation="6"' + bytes(2**21)),
    ),
    "plain XMP": png_chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation>6</tiff:Orientation>"
    ),
    "long packed Exif": png_chunk(
        b"zTXt",
        b"Raw profile type exif\0\0"
        + zlib.compress(b"\nexif\n9\n" + EXIF.tobytes().hex().encode() + b"00" * 2**20),
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_orientation_is_found_in_texts_of_any_length(text):
    values = np.arange(24).reshape(4, 6, 1)
    turned = decode_image(png_file(values, 8, GREY, ahead=TEXTS[text]), 6, 1)
    upright = decode_image(png_file(np.rot90(values, -1), 8, GREY), 6, 1)
    np.testing.assert_array_equal(turned, upright)


def test_texts_that_are_no_exif_are_passed_over():
    for body in (
        b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n9\nnot hex"),
        b"XML:com.adobe.xmp\0",
    ):
        for kind in (b"zTXt", b"iTXt", b"tEXt"):
            data = png_file(random_values(8, 1), 8, GREY, ahead=png_chunk(kind, body))
            assert decode_image(data, SIDE, 1).shape == (SIDE, SIDE, 1)
