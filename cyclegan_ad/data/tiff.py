"""TIFF files: what their tags say, and the pixels of those that Pillow does not read right.

Pillow maps some combinations of tags to its modes and passes over tags that change what a value
means. Here all of those are looked at, and what is not known is refused.
"""

import logging
import math
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.deep_pixels import Colours, DeepPixels
from cyclegan_ad.data.image_bytes import UnreadableImage

if TYPE_CHECKING:
    from tifffile import TiffPage

PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNCOMPRESSED, _LZW, _DEFLATE, _PACKBITS, _LZMA, _ZSTD = 1, 5, (8, 32946), 32773, 34925, 50000
_WITH_PREDICTOR = {_LZW, *_DEFLATE, _LZMA, _ZSTD}
_LOSSLESS = {_UNCOMPRESSED, _PACKBITS, *_WITH_PREDICTOR}
_CCITT, _JPEG = {2, 3, 4}, 7
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_COLOURS: dict[int, Colours] = {
    _WHITE_IS_ZERO: "grey",
    _BLACK_IS_ZERO: "grey",
    _RGB: "RGB",
    _PALETTE: "palette",
    _CMYK: "CMYK",
    _YCBCR: "YCbCr",
}
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2  # ExtraSamples; the first is passed over
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_SEPARATE_PLANES = 2


def read_tags(file: BinaryIO) -> "TiffPage":
    """Reads the tags of the first page.

    Args:
        file: A TIFF file.

    Returns:
        The page; its pixels can be read as long as the file is open.

    Raises:
        UnreadableImage: The tags are damaged.
    """
    from tifffile import TiffFile  # 0.4 s, only for sets that have a TIFF

    # It logs what it passes over; what pixels depend on is checked here, and said of each file.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        page = TiffFile(file).pages.first
    except Exception as error:  # damaged tags raise nearly every type
        raise damaged(error) from error
    if any(tag not in page.tags for tag in (256, 257, 262)):
        raise damaged("no ImageWidth, ImageLength or PhotometricInterpretation")
    if page.imagewidth < 1 or page.imagelength < 1:
        raise damaged(f"{page.imagewidth} x {page.imagelength} px")
    return page


def orientation(page: "TiffPage") -> int:
    """1 to 8 as in EXIF; other values mean 1."""
    if (tag := page.tags.get(274)) is not None:
        return tag.value
    stand_in = Image.new("1", (1, 1))  # Pillow finds the orientation in an XMP packet
    if (xmp := page.tags.get(700)) is not None:
        stand_in.info["xmp"] = bytes(xmp.value)
    return stand_in.getexif().get(0x0112, 1)


def require_known(page: "TiffPage") -> None:
    """Checks that the tags describe pixels that are read right, all of them present.

    Raises:
        UnreadableImage: They do not.
    """
    bits, channels, values = page.bitspersample, page.samplesperpixel, page.sampleformat
    grey = page.photometric == _BLACK_IS_ZERO and channels == 1
    if page.compression not in _LOSSLESS | _CCITT | {_JPEG}:
        _refuse(f"{_name(page.compression)} compression")
    if page.photometric not in _CHANNELS:
        _refuse(f"{_name(page.photometric)} colours")
    if not isinstance(bits, int) or page.dtype is None:
        _refuse(f"channels of {bits} bits")
    if values not in (_UNSIGNED, _SIGNED):
        _refuse(f"{bits}-bit {'floating-point' if values == _FLOAT else _name(values)} values")
    if values == _SIGNED and not (grey and bits in (16, 32)):
        _refuse(f"signed {bits}-bit values")
    if bits > 16 and not (grey and bits == 32):
        _refuse(f"{channels} x {bits} bits")
    _require_known_channels(page)
    if page.imagedepth != 1 or page.tiledepth != 1:
        _refuse("an image depth")
    if page.photometric == _CMYK and page.tags.valueof(332, 1) != 1:
        _refuse("inks other than CMYK")
    if page.photometric == _YCBCR:
        _require_plain_ycbcr(page)
    if page.compression not in _LOSSLESS:
        _require_read_by_pillow(page)
    if page.predictor != 1 and (
        page.predictor != 2 or bits not in (8, 16, 32) or page.compression not in _WITH_PREDICTOR
    ):
        _refuse(f"predictor {_name(page.predictor)} of {bits}-bit values")
    if page.fillorder not in (1, 2):
        raise damaged(f"FillOrder {page.fillorder}")
    _require_all_segments(page)


def pillow_reads(page: "TiffPage", all_bits: bool) -> bool:
    """Whether Pillow reads the pixels of a page that `require_known` let pass, and all right."""
    bits, photometric, extra = page.bitspersample, page.photometric, _extra_samples(page)
    if page.compression not in _LOSSLESS:
        return True
    if page.parent.is_bigtiff or page.sampleformat != _UNSIGNED or _extra_is_unknown(page):
        return False
    if page.samplesperpixel == 1 and page.fillorder == 1:
        return bits in (1, 2, 4, 8) or (bits == 16 and photometric == _BLACK_IS_ZERO)
    if page.samplesperpixel == 1:
        return bits in (1, 2, 4) and photometric != _PALETTE
    if page.planarconfig == _SEPARATE_PLANES or page.fillorder != 1:
        return False
    if bits == 16 and not all_bits:
        return photometric == _RGB and extra in ((), (_UNSPECIFIED,), (_STRAIGHT,))
    return bits == 8 and (
        photometric in (_RGB, _CMYK)
        or (photometric in (_BLACK_IS_ZERO, _PALETTE) and extra == (_STRAIGHT,))
    )


def read_pixels(page: "TiffPage") -> DeepPixels:
    """Reads the pixels of a page that `require_known` let pass.

    Returns:
        Its pixels as they are stored, not turned by `orientation`.

    Raises:
        UnreadableImage: They are damaged, or need a package that is not installed.
    """
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    values = np.empty((height, width, channels), page.dtype)
    try:
        for segment, (plane, _, top, left, _), shape in page.segments(maxworkers=1):
            rows, columns = min(shape[1], height - top), min(shape[2], width - left)
            pixels = segment[0, :rows, :columns]
            if pixels.shape[:2] != (rows, columns):
                raise ValueError("a strip or tile is too short")
            channel = slice(plane, plane + 1) if pixels.shape[2] == 1 else slice(None)
            values[top : top + rows, left : left + columns, channel] = pixels
    except Exception as error:  # decoders raise nearly every type on damaged data
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            raise UnreadableImage(
                f"TIFF of {channels} x {page.bitspersample} bits, compression "
                f"{_name(page.compression)}, needs the package imagecodecs: pip install imagecodecs"
            ) from error
        raise damaged(error) from error
    return _interpret(page, values)


def is_lossy(page: "TiffPage") -> bool:
    """Whether the compression of a page may change pixels."""
    return page.compression == _JPEG


def damaged(reason: object) -> UnreadableImage:
    """The error for a damaged file."""
    words = " ".join(str(reason).split()) or type(reason).__name__
    return UnreadableImage(f"damaged TIFF ({words})")


def _interpret(page: "TiffPage", values: NDArray) -> DeepPixels:
    """What the tags say of the samples, (H, W, C)."""
    bits, photometric = page.bitspersample, page.photometric
    channels, extra = _CHANNELS[photometric], _extra_samples(page)
    if _extra_is_unknown(page) and values[..., channels].min() < 2**bits - 1:
        _refuse("a channel that may be alpha (no ExtraSamples says so)")
    alpha = extra[:1] == (_STRAIGHT,)
    values = values[..., : channels + alpha]
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    elif bits == 32 or page.sampleformat == _SIGNED:
        low, high = values.min(), values.max()
        if low < 0 or high > 65535:
            raise UnreadableImage(f"grey values from {low} to {high} do not fit into 16 bits")
        values, bits = values.astype(np.uint16), 16
    return DeepPixels(
        values,
        bits,
        _COLOURS[photometric],
        white_is_zero=photometric == _WHITE_IS_ZERO,
        alpha=alpha,
        palette=_palette(page) if photometric == _PALETTE else None,
    )


def _palette(page: "TiffPage") -> NDArray[np.uint16]:
    """(2**bits, 3) uint16."""
    colours = np.asarray(page.tags.valueof(320, ()), dtype=np.uint16).reshape(-1)
    if len(colours) != 3 * 2**page.bitspersample:
        raise damaged(f"ColorMap of {len(colours)} values")
    if 0 < colours.max() < 256:
        _refuse("a ColorMap of 8-bit values")
    return colours.reshape(3, -1).T


def _require_known_channels(page: "TiffPage") -> None:
    channels, extra = page.samplesperpixel, _extra_samples(page)
    known = {
        _WHITE_IS_ZERO: {(), (_UNSPECIFIED,), (_STRAIGHT,)},
        _BLACK_IS_ZERO: {(), (_UNSPECIFIED,), (_PREMULTIPLIED,), (_STRAIGHT,)},
        _RGB: {(), *((first, *[_UNSPECIFIED] * more) for first in range(3) for more in range(3))},
        _PALETTE: {(), (_UNSPECIFIED,), (_STRAIGHT,)},
        _CMYK: {(), (_UNSPECIFIED,), (_UNSPECIFIED,) * 2},
        _YCBCR: {()},
    }[page.photometric]
    if _extra_is_unknown(page) and page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return
    if extra not in known or channels != _CHANNELS[page.photometric] + len(extra):
        kinds = f" and ExtraSamples {', '.join(map(str, extra))}" if extra else ""
        colours = _COLOURS[page.photometric]
        _refuse(f"{channels} x {page.bitspersample} bits of {colours} pixels{kinds}")


def _require_plain_ycbcr(page: "TiffPage") -> None:
    """Other coefficients and ranges than those of JPEG are passed over by Pillow."""
    for tag, plain in ((529, (0.299, 0.587, 0.114)), (532, (0, 255, 128, 255, 128, 255))):
        rationals = page.tags.valueof(tag)
        if rationals is None:
            continue
        values = [a / b for a, b in zip(rationals[::2], rationals[1::2], strict=True)]
        if not np.allclose(values, plain, atol=1e-3):
            _refuse(f"{'YCbCrCoefficients' if tag == 529 else 'ReferenceBlackWhite'} {values}")
    if page.compression != _JPEG and (page.subsampling != (1, 1) or page.bitspersample != 8):
        _refuse(f"{page.bitspersample}-bit sub-sampled YCbCr and no JPEG compression")


def _require_read_by_pillow(page: "TiffPage") -> None:
    """Of codecs that are left to Pillow, what it reads right."""
    plain_jpeg = (
        page.bitspersample == 8
        and page.photometric != _PALETTE
        and page.planarconfig != _SEPARATE_PLANES
        and page.samplesperpixel == _CHANNELS[page.photometric]
    )
    plain_fax = page.bitspersample * page.samplesperpixel == 1 and page.photometric != _PALETTE
    if page.parent.is_bigtiff or not (plain_jpeg if page.compression == _JPEG else plain_fax):
        offsets = " and 64-bit offsets" if page.parent.is_bigtiff else ""
        channels = f"{page.samplesperpixel} x {page.bitspersample} bits"
        _refuse(f"{channels}{offsets} in {_name(page.compression)} compression")


def _require_all_segments(page: "TiffPage") -> None:
    """Strips and tiles that are not there are read as black, or as whatever lies at byte 0."""
    try:
        needed = math.prod(page.chunked)
    except Exception as error:
        raise damaged(error) from error
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) < needed or not all(offset and count for offset, count in segments):
        raise damaged("strips or tiles are missing")


def _extra_samples(page: "TiffPage") -> tuple[int, ...]:
    """ExtraSamples, empty if there is none."""
    value = page.extrasamples
    return tuple(int(one) for one in (value if isinstance(value, tuple) else (value,)))


def _extra_is_unknown(page: "TiffPage") -> bool:
    """Whether there is one more channel than the colours have, and no tag says what it is."""
    one_more = page.samplesperpixel == _CHANNELS[page.photometric] + 1
    return one_more and _extra_samples(page) in ((), (999,))  # 999: Corel Draw


def _name(value: object) -> str:
    """The name that the TIFF specification has for a value, or the value if it has none."""
    return str(getattr(value, "name", value))


def _refuse(what: str) -> NoReturn:
    raise UnreadableImage(
        f"TIFF with {what} is not supported: save it as grey or RGB with 8 or 16 bits a channel"
    )
