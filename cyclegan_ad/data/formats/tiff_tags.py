"""Checks of the tags of a TIFF: pixels must be complete and of a layout that is read correctly.

Pillow maps some combinations of tags to its modes and ignores tags that change the meaning of
values. Here all of these are checked, and unknown layouts are rejected.
"""

import logging
import math
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.formats.deep_pixels import Colours
from cyclegan_ad.data.formats.image_bytes import UnreadableImage

if TYPE_CHECKING:
    from tifffile import TiffPage

PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNCOMPRESSED, LZW, DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, (8, 32946), 32773, 34925, 50000
WITH_PREDICTOR = {LZW, *DEFLATE, LZMA, ZSTD}
LOSSLESS = {UNCOMPRESSED, PACKBITS, *WITH_PREDICTOR}
CCITT, JPEG = {2, 3, 4}, 7
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
COLOURS: dict[int, Colours] = {
    WHITE_IS_ZERO: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
}
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2  # ExtraSamples; the first is ignored
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
_INTEGER_TYPES = (3, 4)  # tag types SHORT and LONG
SEPARATE_PLANES = 2


def read_tags(file: BinaryIO) -> "TiffPage":
    """Read the tags of the first page.

    Args:
        file: A TIFF file.

    Returns:
        The page; its pixels can be read while the file is open.

    Raises:
        Exception: The tags are damaged; any type of exception is possible.
    """
    from tifffile import TiffFile  # takes 0.4 s, only needed for TIFF files

    # It logs what it ignores; whatever pixels depend on is checked here and reported per file.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    page = TiffFile(file).pages.first
    if any(tag not in page.tags for tag in (256, 257, 262)):
        raise ValueError("ImageWidth, ImageLength or PhotometricInterpretation missing")
    if page.imagewidth < 1 or page.imagelength < 1:
        raise ValueError(f"{page.imagewidth} x {page.imagelength} px")
    return page


def orientation(page: "TiffPage") -> int:
    """Return the orientation, 1 to 8 as in EXIF; other values mean 1."""
    if (tag := page.tags.get(274)) is not None:
        return tag.value if tag.dtype in _INTEGER_TYPES else 1  # as in Pillow
    stand_in = Image.new("1", (1, 1))  # Pillow finds the orientation in an XMP packet
    if (xmp := page.tags.get(700)) is not None:
        stand_in.info["xmp"] = bytes(xmp.value)
    return stand_in.getexif().get(0x0112, 1)


def require_known(page: "TiffPage") -> None:
    """Check that the pixels are complete and of a layout that is read correctly.

    Raises:
        UnreadableImage: The layout is not supported.
        Exception: The tags are damaged.
    """
    bits, channels, values = page.bitspersample, page.samplesperpixel, page.sampleformat
    grey = page.photometric == BLACK_IS_ZERO and channels == 1
    if page.compression not in LOSSLESS | CCITT | {JPEG}:
        reject(f"{name_of(page.compression)} compression")
    if page.photometric not in CHANNELS:
        reject(f"{name_of(page.photometric)} colours")
    if not isinstance(bits, int) or page.dtype is None:
        reject(f"channels of {bits} bits")
    if values not in (UNSIGNED, SIGNED):
        reject(f"{bits}-bit {'floating-point' if values == FLOAT else name_of(values)} values")
    if values == SIGNED and not (grey and bits in (16, 32)):
        reject(f"signed {bits}-bit values")
    if bits > 16 and not (grey and bits == 32):
        reject(f"{channels} x {bits} bits")
    _require_known_channels(page)
    if page.photometric == PALETTE:
        palette(page)
    if page.imagedepth != 1 or page.tiledepth != 1:
        reject("an image depth")
    if page.photometric == CMYK and page.tags.valueof(332, 1) != 1:
        reject("inks other than CMYK")
    if page.photometric == YCBCR:
        _require_plain_ycbcr(page)
    if page.compression not in LOSSLESS:
        _require_read_by_pillow(page)
    if page.predictor != 1 and (
        page.predictor != 2 or bits not in (8, 16, 32) or page.compression not in WITH_PREDICTOR
    ):
        reject(f"predictor {name_of(page.predictor)} of {bits}-bit values")
    if page.fillorder not in (1, 2):
        raise ValueError(f"FillOrder {page.fillorder}")
    _require_all_segments(page)


def palette(page: "TiffPage") -> NDArray[np.uint16]:
    """Return the RGB of each palette index, (2**bits, 3) uint16."""
    colours = np.asarray(page.tags.valueof(320, ()), dtype=np.uint16).reshape(-1)
    if len(colours) != 3 * 2**page.bitspersample:
        raise ValueError(f"ColorMap of {len(colours)} values")
    if 0 < colours.max() < 256:
        reject("a ColorMap of 8-bit values")
    return colours.reshape(3, -1).T


def _require_known_channels(page: "TiffPage") -> None:
    channels, extra = page.samplesperpixel, extra_samples(page)
    rgb = {(first, *[UNSPECIFIED] * more) for first in range(3) for more in range(3)}
    known: dict[int, set[tuple[int, ...]]] = {
        WHITE_IS_ZERO: {(), (UNSPECIFIED,), (STRAIGHT,)},
        BLACK_IS_ZERO: {(), (UNSPECIFIED,), (PREMULTIPLIED,), (STRAIGHT,)},
        RGB: {(), *rgb},
        PALETTE: {(), (UNSPECIFIED,), (STRAIGHT,)},
        CMYK: {(), (UNSPECIFIED,), (UNSPECIFIED,) * 2},
        YCBCR: {()},
    }
    if extra_is_unknown(page) and page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        return
    if extra not in known[page.photometric] or channels != CHANNELS[page.photometric] + len(extra):
        kinds = f" and ExtraSamples {', '.join(map(str, extra))}" if extra else ""
        colours = COLOURS[page.photometric]
        reject(f"{channels} x {page.bitspersample} bits of {colours} pixels{kinds}")


def _require_plain_ycbcr(page: "TiffPage") -> None:
    """Check that coefficients and ranges are those of JPEG: Pillow ignores others."""
    for tag, plain in ((529, (0.299, 0.587, 0.114)), (532, (0, 255, 128, 255, 128, 255))):
        rationals = page.tags.valueof(tag)
        if rationals is None:
            continue
        values = [a / b for a, b in zip(rationals[::2], rationals[1::2], strict=True)]
        if not np.allclose(values, plain, atol=1e-3):
            reject(f"{'YCbCrCoefficients' if tag == 529 else 'ReferenceBlackWhite'} {values}")
    if page.compression != JPEG and (page.subsampling != (1, 1) or page.bitspersample != 8):
        reject(f"{page.bitspersample}-bit sub-sampled YCbCr and no JPEG compression")


def _require_read_by_pillow(page: "TiffPage") -> None:
    """Check that Pillow correctly reads a page whose codec is left to it."""
    plain_jpeg = page.bitspersample == 8 and page.samplesperpixel == CHANNELS[page.photometric]
    plain_fax = page.bitspersample * page.samplesperpixel == 1
    plain = plain_jpeg if page.compression == JPEG else plain_fax
    odd = page.photometric == PALETTE or page.planarconfig == SEPARATE_PLANES
    if page.parent.is_bigtiff or odd or not plain:
        offsets = " and 64-bit offsets" if page.parent.is_bigtiff else ""
        channels = f"{page.samplesperpixel} x {page.bitspersample} bits"
        reject(f"{channels}{offsets} in {name_of(page.compression)} compression")


def _require_all_segments(page: "TiffPage") -> None:
    """Check that no strip or tile is missing, which would be read as black or as byte 0 onwards."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    complete = len(segments) >= math.prod(page.chunked)
    if not complete or not all(offset and count for offset, count in segments):
        raise ValueError("strips or tiles missing")
    if page.compression == UNCOMPRESSED:
        separate = page.planarconfig == SEPARATE_PLANES
        width = page.tilewidth if page.is_tiled else page.imagewidth
        bits = width * page.bitspersample * (1 if separate else page.samplesperpixel)
        rows = page.tilelength if page.is_tiled else page.rowsperstrip
        down = math.ceil(page.imagelength / rows)
        for i, (_, count) in enumerate(segments[: math.prod(page.chunked)]):
            left = rows if page.is_tiled else page.imagelength - i % down * rows
            if count < min(rows, left) * math.ceil(bits / 8):
                raise ValueError("strips or tiles too short")


def extra_samples(page: "TiffPage") -> tuple[int, ...]:
    """Return the values of ExtraSamples, empty if there are none."""
    value = page.extrasamples
    return tuple(int(one) for one in (value if isinstance(value, tuple) else (value,)))


def extra_is_unknown(page: "TiffPage") -> bool:
    """Return whether there is one more channel than the colours have, of unknown meaning."""
    one_more = page.samplesperpixel == CHANNELS[page.photometric] + 1
    return one_more and extra_samples(page) in ((), (999,))  # 999: Corel Draw


def name_of(value: object) -> str:
    """Return the name of a value in the TIFF specification, or the value if it has none."""
    return str(getattr(value, "name", value))


def reject(what: str) -> NoReturn:
    """Raise the error for a layout that is not supported."""
    raise UnreadableImage(
        f"TIFF with {what} is not supported: save it as grey or RGB with 8 or 16 bits per channel"
    )
