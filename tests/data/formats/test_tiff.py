"""TIFF: whatever the tags say is read right, or refused by name."""

import importlib.util
import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from cyclegan_ad.data.images import UnreadableImage, decode_image, read_mask, upright_size

SIDE = 8
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2
EXTRA_SAMPLES, SAMPLE_FORMAT, ORIENTATION, COLOUR_MAP = 338, 339, 274, 320

needs_imagecodecs = pytest.mark.skipif(
    importlib.util.find_spec("imagecodecs") is None, reason="imagecodecs unpacks these bits"
)


def tiff(values, bits, photometric, *, order="<", planar=1, tags=()) -> bytes:
    """An uncompressed TIFF of values (H, W, C), with one strip for each plane."""
    height, width, channels = values.shape
    planes = [values] if planar == 1 else np.split(values, channels, axis=2)
    strips = [pack(plane.reshape(height, -1), bits, order) for plane in planes]
    entries = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [photometric]}
    entries |= {273: [0] * len(strips), 277: [channels], 278: [height]}
    entries |= {279: [len(strip) for strip in strips], 284: [planar], **dict(tags)}
    first_spill = 8 + 2 + 12 * len(entries) + 4
    first_strip = first_spill + sum(4 * len(one) for one in entries.values() if len(one) > 1)
    ends = itertools.accumulate(map(len, strips), initial=first_strip)
    entries[273] = list(ends)[:-1]
    records = spill = b""
    for tag, value in sorted(entries.items()):
        data = struct.pack(f"{order}{len(value)}I", *value)
        if len(value) > 1:
            data, spill = struct.pack(f"{order}I", first_spill + len(spill)), spill + data
        records += struct.pack(f"{order}HHI", tag, 4, len(value)) + data
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(entries))
    return start + records + bytes(4) + spill + b"".join(strips)


def pack(rows, bits, order) -> bytes:
    if bits % 8 == 0:
        return rows.astype(f"{order}{rows.dtype.kind}{bits // 8}").tobytes()
    each = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def written(values, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


def random_values(bits, channels, *, below=None):
    high = 2**bits if below is None else below
    return np.random.default_rng(bits).integers(0, high, (SIDE, SIDE, channels)).astype(np.int64)


def assert_decoded(data, expected) -> None:
    decoded = decode_image(data, SIDE, 3).astype(float)
    assert np.abs(decoded - expected).max() <= 1.01


def refusal(data) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, SIDE, 3)
    return str(caught.value)


DEPTHS = [1, 8, 16, *(pytest.param(bits, marks=needs_imagecodecs) for bits in (2, 4, 10, 12, 14))]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, GREY])
def test_grey_of_each_depth_is_scaled_by_its_own_white(photometric, bits, order):
    values, white = random_values(bits, 1), 2**bits - 1
    expected = values if photometric == GREY else white - values
    assert_decoded(tiff(values, bits, photometric, order=order), expected * 255.0 / white)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", DEPTHS)
def test_rgb_of_each_depth_in_pixels_and_in_planes(bits, planar, order):
    values = random_values(bits, 3)
    data = tiff(values, bits, RGB, planar=planar, order=order)
    assert_decoded(data, values * 255.0 / (2**bits - 1))


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "channels"), [(WHITE_IS_ZERO, 1), (GREY, 1), (RGB, 3)])
@pytest.mark.parametrize("extra", [UNSPECIFIED, PREMULTIPLIED, STRAIGHT])
def test_extra_samples(extra, photometric, channels, bits, planar):
    values, white = random_values(bits, channels + 1), 2**bits - 1
    if extra == PREMULTIPLIED:
        values[..., :-1] = np.minimum(values[..., :-1], values[..., -1:])
    data = tiff(values, bits, photometric, planar=planar, tags={EXTRA_SAMPLES: [extra]}.items())
    if photometric == WHITE_IS_ZERO and extra == PREMULTIPLIED:
        assert "2 x" in refusal(data)
        return
    colour = white - values[..., :-1] if photometric == WHITE_IS_ZERO else values[..., :-1]
    alpha = values[..., -1:] / white if extra == STRAIGHT else 1.0
    decoded = decode_image(data, SIDE, 3)
    # Pillow multiplies the high bytes of 16-bit pixels.
    assert np.abs(decoded - colour * 255.0 / white * alpha).max() <= (2.01 if bits == 16 else 1.01)


def test_a_channel_of_unknown_meaning_may_only_be_opaque():
    values = random_values(8, 4)
    assert "no ExtraSamples" in refusal(tiff(values, 8, RGB))
    values[..., 3] = 255
    assert_decoded(tiff(values, 8, RGB), values[..., :3])


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(bits):
    values = random_values(bits, 1)
    colours = np.random.default_rng(1).integers(0, 65536, (3, 2**bits))
    data = tiff(values, bits, PALETTE, tags={COLOUR_MAP: colours.ravel().tolist()}.items())
    assert_decoded(data, colours.T[values[..., 0]] / 257.0)
    dark = tiff(values, bits, PALETTE, tags={COLOUR_MAP: (colours // 256).ravel().tolist()}.items())
    assert "ColorMap of 8-bit values" in refusal(dark)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [1, 2])
def test_cmyk(planar, bits):
    values = random_values(bits, 4)
    paper = 1 - values / (2**bits - 1)
    decoded = decode_image(tiff(values, bits, CMYK, planar=planar), SIDE, 3)
    assert np.abs(decoded - paper[..., :3] * paper[..., 3:] * 255).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])  # MinIsWhite: by Pillow and by tifffile
def test_orientation(bits, orientation, tmp_path):
    shown = np.random.default_rng(2).integers(0, 256, (3, 5, 1)).astype(np.int64)
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.swapaxes(0, 1),
        6: np.rot90(shown, 1),
        7: np.rot90(shown, 2).swapaxes(0, 1),
        8: np.rot90(shown, -1),
    }[orientation]
    values = (255 - stored) * (1 if bits == 8 else 257)
    data = tiff(values, bits, WHITE_IS_ZERO, tags={ORIENTATION: [orientation]}.items())
    expected = Image.fromarray(shown[..., 0].astype(np.uint8)).resize((SIDE, SIDE), 3)
    np.testing.assert_array_equal(decode_image(data, SIDE, 1)[..., 0], expected)
    (tmp_path / "a.tif").write_bytes(data)
    assert upright_size(tmp_path / "a.tif") == (5, 3)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_and_32_bit_grey_is_read_where_it_fits_into_16_bits(order, bits):
    values = random_values(15, 1).astype(np.int64)
    signed = {SAMPLE_FORMAT: [2]}.items()
    assert_decoded(tiff(values, bits, GREY, order=order, tags=signed), values / 257.0)
    values[0, 0] = -1
    assert "from -1 to" in refusal(tiff(values, bits, GREY, order=order, tags=signed))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(random_values(7, 1).astype(np.int64), 8, GREY, tags=[(SAMPLE_FORMAT, [2])]), "8-bit"),
        (tiff(random_values(8, 1) / 255.0, 64, GREY, tags=[(SAMPLE_FORMAT, [3])]), "64-bit floa"),
        (tiff(random_values(8, 5), 8, GREY, tags=[(EXTRA_SAMPLES, [0] * 4)]), "5 x 8 bits"),
        (tiff(random_values(8, 1), 64, GREY), "1 x 64 bits"),
        (tiff(random_values(8, 3), 8, CIELAB), "CIELAB colours"),
        (tiff(random_values(8, 3), 8, YCBCR), "sub-sampled YCbCr"),
        (tiff(random_values(8, 4), 8, CMYK, tags=[(332, [2])]), "inks other than CMYK"),
        (tiff(random_values(8, 1), 8, GREY, tags=[(317, [2])]), "predictor HORIZONTAL"),
        (tiff(random_values(8, 1), 8, GREY, tags=[(259, [34712])]), "JPEG2000 compression"),
        (tiff(random_values(8, 1), 8, GREY, tags=[(259, [7]), (258, [12])]), "1 x 12 bits in JPEG"),
    ],
)
def test_what_is_not_known_is_refused_by_name(data, reason):
    message = refusal(data)
    assert message.startswith("TIFF with ") and reason in message
    assert " is not supported: save it as grey or RGB with 8 or 16 bits" in message


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}])
def test_compressed_strips_and_tiles(options, predictor, tile):
    values = np.random.default_rng(3).integers(0, 65536, (40, 40), dtype=np.uint16)
    data = written(
        values, photometric="miniswhite", compression="zlib", predictor=predictor,
        tile=tile, rowsperstrip=None if tile else 7, **options,
    )  # fmt: skip
    decoded = decode_image(data, 40, 1)[..., 0]
    assert np.abs(decoded - (65535 - values) / 257.0).max() <= 0.51
    with pytest.raises(UnreadableImage, match=r"^damaged TIFF \("):
        decode_image(data[: len(data) // 2], 40, 1)


def test_missing_strips_are_not_read_as_black():
    data = tiff(random_values(8, 3), 8, RGB, planar=2, tags=[(279, [64, 0, 64])])
    assert refusal(data) == "damaged TIFF (strips or tiles missing)"


def test_a_codec_that_is_not_installed_is_named(monkeypatch):
    def segments(page, **options):
        raise NotImplementedError("packints_decode requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "segments", segments)
    message = refusal(tiff(random_values(12, 1), 12, GREY))
    assert message.endswith("12 bits in NONE compression needs the package imagecodecs: pip "
                            "install imagecodecs")  # fmt: skip


def test_masks_are_read_at_full_depth(tmp_path):
    marked = np.zeros((SIDE, SIDE, 3), dtype=np.int64)
    marked[2, 3, 1] = 1
    for name, data in {
        "pixels.tif": tiff(marked, 16, RGB),
        "planes.tif": tiff(marked, 16, RGB, planar=2),
        "white.tif": tiff(65535 - marked[..., 1:2], 16, WHITE_IS_ZERO),
    }.items():
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read_mask(tmp_path / name, SIDE), marked.any(axis=2))


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("photometric", [0, 1])
def test_planes_of_a_single_channel_are_its_pixels(bits, photometric):
    values = random_values(bits, 1)
    data = tiff(values, bits, photometric, planar=2)
    white = 2**bits - 1
    assert_decoded(data, (white - values if photometric == 0 else values) * 255 / white)


@pytest.mark.parametrize("planar", [1, 2])
def test_strips_that_are_too_short_are_not_read_on(planar):
    data = tiff(random_values(8, 3), 8, 2, planar=planar, tags={279: [SIDE]}.items())
    assert "strips or tiles too short" in refusal(data) or "missing" in refusal(data)


def test_a_short_strip_beside_a_long_one_is_not_read_on():
    counts = [SIDE * SIDE - SIDE, SIDE * SIDE + SIDE, SIDE * SIDE]
    data = tiff(random_values(8, 3), 8, 2, planar=2, tags={279: counts}.items())
    assert "strips or tiles too short" in refusal(data)
