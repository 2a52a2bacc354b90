import io

import numpy as np
import pytest
from image_files import png_file
from PIL import Image

from cyclegan_ad.data.images import UnreadableImage, decode_image, read_mask, upright_size


def random_pixels(*shape, high=256, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def encode(image, file_format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_rgb_and_grey_pass_unchanged_at_their_own_size():
    colour = random_pixels(8, 8, 3)
    grey = random_pixels(8, 8)
    decoded = decode_image(encode(Image.fromarray(colour)), 8, 3)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, colour)
    decoded = decode_image(encode(Image.fromarray(grey), "BMP"), 8, 1)
    np.testing.assert_array_equal(decoded[..., 0], grey)


def test_grey_to_rgb_repeats_and_rgb_to_grey_is_luma():
    grey = random_pixels(8, 8)
    as_rgb = decode_image(encode(Image.fromarray(grey)), 8, 3)
    np.testing.assert_array_equal(as_rgb, np.repeat(grey[..., None], 3, axis=2))
    colour = random_pixels(8, 8, 3)
    as_grey = decode_image(encode(Image.fromarray(colour)), 8, 1)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert as_grey.shape == (8, 8, 1)
    assert np.abs(as_grey[..., 0] - luma).max() <= 0.51


def test_resize_is_pillows_bicubic():
    pixels = random_pixels(37, 21, 3)
    expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
    decoded = decode_image(encode(Image.fromarray(pixels)), 16, 3)
    np.testing.assert_array_equal(decoded, np.asarray(expected))


@pytest.mark.parametrize("size_px", [7, 50, 200])
def test_grey_images_are_resized_once_and_equal_three_channels(size_px):
    pixels = np.random.default_rng(4).integers(0, 256, (90, 61), dtype=np.uint8)
    grey = Image.fromarray(pixels)
    expected = grey.convert("RGB").resize((size_px, size_px), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_image(encode(grey, "PNG"), size_px, 3), expected)


def test_jpeg_is_decoded_in_full():
    """Decoding at a smaller scale is faster, but gives other pixels."""
    noise = np.random.default_rng(5).normal(0, 8, (400, 400, 3))
    ramp = np.linspace(40, 200, 400)[:, None, None] + noise
    data = encode(Image.fromarray(ramp.clip(0, 255).astype(np.uint8)), "JPEG")
    bicubic = Image.Resampling.BICUBIC
    expected = np.asarray(Image.open(io.BytesIO(data)).resize((40, 40), bicubic))
    np.testing.assert_array_equal(decode_image(data, 40, 3), expected)
    fast = Image.open(io.BytesIO(data))
    fast.draft("RGB", (40, 40))
    assert fast.size < (400, 400)
    assert (np.asarray(fast.resize((40, 40), bicubic)) != expected).any()


def test_rgba_and_la_are_composed_on_black():
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[0, 0] = (200, 100, 50, 255)
    rgba[0, 1] = (200, 100, 50, 0)
    rgba[1, 0] = (200, 100, 50, 128)
    decoded = decode_image(encode(Image.fromarray(rgba)), 2, 3)
    assert decoded[0, 0].tolist() == [200, 100, 50]
    assert decoded[0, 1].tolist() == [0, 0, 0]
    assert np.abs(decoded[1, 0] - np.array([200, 100, 50]) * 128 / 255).max() <= 1
    la = np.array([[[90, 255], [90, 0]], [[90, 255], [7, 255]]], dtype=np.uint8)
    assert decode_image(encode(Image.fromarray(la)), 2, 1)[..., 0].tolist() == [[90, 0], [90, 7]]


def test_palette_with_and_without_transparency():
    palette = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert decode_image(encode(palette), 2, 3).tolist() == [
        [[255, 0, 0], [0, 255, 0]],
        [[0, 0, 255], [0, 255, 0]],
    ]
    assert decode_image(encode(palette, transparency=1), 2, 3).tolist() == [
        [[255, 0, 0], [0, 0, 0]],
        [[0, 0, 255], [0, 0, 0]],
    ]


def test_transparent_colour_of_grey_images_is_black():
    grey = Image.fromarray(np.array([[10, 200], [200, 30]], dtype=np.uint8))
    decoded = decode_image(encode(grey, transparency=200), 2, 1)
    assert decoded[..., 0].tolist() == [[10, 0], [0, 30]]
    deep = Image.fromarray(np.array([[2570, 51400], [0, 65535]], dtype=np.uint16))
    decoded = decode_image(encode(deep, transparency=51400), 2, 1)
    assert decoded[..., 0].tolist() == [[10, 0], [0, 255]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_is_divided_by_257_and_rounded(file_format):
    values = np.array([[0, 128, 129], [257, 25700, 32768], [65406, 65407, 65535]], dtype=np.uint16)
    data = encode(Image.fromarray(values), file_format)
    expected = [[0, 0, 1], [1, 100, 128], [254, 255, 255]]
    assert decode_image(data, 3, 1)[..., 0].tolist() == expected
    np.testing.assert_array_equal(decode_image(data, 3, 3)[..., 2], expected)


def test_32_bit_integers_must_fit_into_16_bits():
    fits = Image.fromarray(np.array([[0, 65535], [257, 514]], dtype=np.int32))
    assert decode_image(encode(fits, "TIFF"), 2, 1)[..., 0].tolist() == [[0, 255], [1, 2]]
    for value in (-1, 65536):
        wide = Image.fromarray(np.array([[0, value]], dtype=np.int32))
        with pytest.raises(UnreadableImage, match=f"{value}.*dataset.window="):
            decode_image(encode(wide, "TIFF"), 2, 1)
        low, high = sorted((0, value))
        decoded = decode_image(encode(wide, "TIFF"), 2, 1, (low, high))[0, :, 0]
        assert decoded.tolist() == ([0, 255] if value > 0 else [255, 0])


WINDOW = (1000, 3000)
# round(255 * (value - 1000) / 2000) from 0 to 255; 1004 is 0.51
WINDOWED = {0: 0, 999: 0, 1000: 0, 1003: 0, 1004: 1, 2000: 128, 2996: 254, 2997: 255, 65535: 255}


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_window_maps_stored_values_linearly(file_format):
    values = np.array([*WINDOWED], dtype=np.uint16).reshape(3, 3)
    data = encode(Image.fromarray(values), file_format)
    expected = np.array([*WINDOWED.values()]).reshape(3, 3)
    for channels in (1, 3):
        decoded = decode_image(data, 3, channels, WINDOW)
        np.testing.assert_array_equal(decoded, np.stack([expected] * channels, axis=2))
    np.testing.assert_array_equal(decode_image(data, 3, 1, (0, 65535)), decode_image(data, 3, 1))


def test_a_window_keeps_transparent_pixels_black():
    deep = Image.fromarray(np.array([[2000, 3000], [2500, 9]], dtype=np.uint16))
    data = encode(deep, transparency=3000)
    assert decode_image(data, 2, 1, (-1000, 3000))[..., 0].tolist() == [[191, 0], [223, 64]]


def test_a_window_applies_to_each_channel_of_16_bit_colour():
    values = np.array([[[0, 1000, 2000], [3000, 1500, 4095]]], dtype=np.uint16)
    data = png_file(np.repeat(values, 2, axis=0), 16, 2)
    assert decode_image(data, 2, 3, WINDOW)[0].tolist() == [[0, 0, 128], [255, 64, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "CMYK"])
def test_a_window_does_not_apply_to_8_bits(mode):
    data = encode(Image.new(mode, (4, 4)), "TIFF")
    with pytest.raises(UnreadableImage, match=r"8 bits.*dataset\.window does not apply"):
        decode_image(data, 4, 1, WINDOW)


def test_a_mask_is_never_windowed(tmp_path):
    values = np.array([[0, 1], [0, 4095]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", 2).tolist() == [[False, True], [False, True]]


def test_1_bit_and_cmyk():
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).convert("1")
    assert decode_image(encode(bits), 2, 1)[..., 0].tolist() == [[0, 255], [255, 0]]
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert decode_image(encode(cmyk, "TIFF"), 4, 3)[0, 0].tolist() == [255, 0, 0]
    assert decode_image(encode(cmyk, "TIFF"), 4, 1)[0, 0].tolist() == [76]


@pytest.mark.parametrize(("file_format", "mode"), [("JPEG", "L"), ("PNG", "L"), ("PNG", "I;16")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, file_format, mode):
    upright = np.zeros((16, 16), dtype=np.uint8)
    upright[:8, :8] = 255  # the top left quarter
    upright[:8, 8:] = 128  # the top right one
    undo = {  # how a camera stores the upright picture under each orientation
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = Image.fromarray(upright)
    stored = stored if undo is None else stored.transpose(undo)
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(stored, file_format, exif=exif), 16, 1)[..., 0].astype(int)
    assert np.abs(decoded - upright).max() <= 3


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "TIFF", "BMP"])
def test_other_formats(file_format):
    grey = Image.new("RGB", (8, 8), (90, 90, 90))
    assert np.abs(decode_image(encode(grey, file_format), 4, 1).astype(int) - 90).max() <= 2


def test_first_frame_counts():
    first, second = (Image.new("L", (4, 4), value) for value in (10, 20))
    data = encode(first, "TIFF", save_all=True, append_images=[second])
    assert decode_image(data, 4, 1).max() == 10


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_truncated_files(file_format, fraction):
    data = encode(Image.fromarray(random_pixels(64, 64, 3)), file_format)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data[: int(fraction * len(data))], 8, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^empty file$"),
        (b"not an image", "^not a PNG, JPEG, BMP, TIFF, WebP, HEIC, AVIF, DICOM or NIfTI image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "^not a PNG"),
        (encode(Image.fromarray(np.zeros((2, 2), dtype=np.float32)), "TIFF"), "32-bit fl.*8 or 16"),
        (encode(Image.new("LAB", (2, 2)), "TIFF"), "^TIFF with CIELAB colours is not supported"),
        (encode(Image.new("L", (2, 2)), "GIF"), "^not a PNG"),
    ],
)
def test_unreadable_data(data, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(data, 4, 1)


def test_wrong_channels():
    with pytest.raises(ValueError, match=r"channels=4: expected 1 \(grey\) or 3"):
        decode_image(encode(Image.new("L", (2, 2))), 2, 4)


def test_masks_of_one_image_are_united(tmp_path):
    left, top = np.zeros((4, 4), dtype=np.uint8), np.zeros((4, 4), dtype=np.uint8)
    left[:, 0] = 255
    top[0] = 1  # any value but zero counts
    paths = [save(tmp_path / "left.png", left), save(tmp_path / "top.png", top)]
    for path, expected in zip(paths, (left, top), strict=True):
        mask = read_mask(path, 4)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, expected > 0)


def test_masks_of_any_mode(tmp_path):
    marked = np.array([[0, 1], [0, 0]])
    blue = np.zeros((2, 2, 3), dtype=np.uint8)
    blue[..., 2] = marked  # too dark for a grey level of its own
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    rgba[0, 1, 0] = 255
    images = {
        "bool": Image.fromarray((marked * 255).astype(np.uint8)).convert("1"),
        "deep": Image.fromarray(marked.astype(np.uint16)),
        "blue": Image.fromarray(blue),
        "rgba": Image.fromarray(rgba),
    }
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png", 2), marked == 1)


def test_masks_of_16_bit_channels_keep_their_low_bytes(tmp_path):
    marked = np.zeros((3, 4, 3), dtype=np.uint16)
    marked[1, 2, 0] = 1
    (tmp_path / "rgb.png").write_bytes(png_file(marked, 16, 2))
    expected = marked.any(axis=2)[[0, 1, 1, 2]]  # nearest neighbour
    np.testing.assert_array_equal(read_mask(tmp_path / "rgb.png", 4), expected)
    grey_and_alpha = np.stack([marked[..., 0], np.full((3, 4), 3)], axis=2)
    (tmp_path / "la.png").write_bytes(png_file(grey_and_alpha, 16, 4))
    np.testing.assert_array_equal(read_mask(tmp_path / "la.png", 4), expected)
    grey_and_alpha[..., 1] = 0
    (tmp_path / "la.png").write_bytes(png_file(grey_and_alpha, 16, 4))
    assert not read_mask(tmp_path / "la.png", 4).any()


def test_small_values_mark_whatever_their_alpha(tmp_path):
    label = np.zeros((4, 4), dtype=np.uint8)
    label[1, 2] = label[2, 2] = 1
    alpha = np.full((4, 4), 100, dtype=np.uint8)
    alpha[2, 2] = 0
    expected = (label != 0) & (alpha != 0)
    for mode, bands in (("LA", [label, alpha]), ("RGBA", [label, label * 0, label, alpha])):
        Image.fromarray(np.stack(bands, axis=2), mode).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 4), expected)


def test_a_transparent_grey_does_not_mark(tmp_path):
    deep = Image.fromarray(np.array([[0, 500], [700, 500]], dtype=np.uint16))
    deep.save(tmp_path / "mask.png", transparency=500)
    assert read_mask(tmp_path / "mask.png", 2).tolist() == [[False, False], [True, False]]


def test_a_mask_is_of_the_size_of_its_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph, mask = tmp_path / "photograph.jpg", tmp_path / "mask.png"
    Image.new("L", (96, 64)).save(photograph, exif=exif)
    assert upright_size(photograph) == (64, 96)
    Image.new("L", (96, 64), 255).save(mask)
    with pytest.raises(UnreadableImage, match=r"^mask is 96 x 64 px, its image 64 x 96 px after"):
        read_mask(mask, 8, upright_size(photograph))
    with pytest.raises(UnreadableImage, match=r"^mask is 96 x 64 px, its image 95 x 64 px: draw"):
        read_mask(mask, 8, (95, 64))
    assert read_mask(mask, 8, (96, 64)).all()
    Image.new("L", (96, 64), 255).save(mask, exif=exif)
    assert read_mask(mask, 8, upright_size(photograph)).all()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"format": "JPEG"}, "JPEG"),
        ({"format": "WEBP"}, "lossy WebP"),
        (
            {"format": "WEBP", "save_all": True, "append_images": [Image.new("L", (8, 8))]},
            "lossy W",
        ),
        ({"format": "TIFF", "compression": "jpeg"}, "JPEG-compressed TIFF"),
    ],
)
def test_lossy_masks_are_refused_whatever_their_suffix(options, what, tmp_path):
    Image.fromarray(random_pixels(8, 8)).save(tmp_path / "mask.png", **options)
    with pytest.raises(UnreadableImage, match=f"^{what}.* data: lossy .* save it as PNG$"):
        read_mask(tmp_path / "mask.png", 8)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "WEBP", "lossless": True},
        {"format": "TIFF", "compression": "tiff_lzw"},
        {"format": "BMP"},
    ],
)
def test_lossless_masks_are_read_whatever_their_suffix(options, tmp_path):
    pixels = random_pixels(8, 8, high=2)
    Image.fromarray(pixels).save(tmp_path / "mask.png", **options)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 8), pixels == 1)


def test_unreadable_masks(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"^empty file$"):
        read_mask(tmp_path / "mask.png", 4)
    with pytest.raises(UnreadableImage, match=r"^cannot be read \(No such file"):
        read_mask(tmp_path / "absent.png", 4)
