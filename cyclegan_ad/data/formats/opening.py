"""Opening of image files by their content, independent of the suffix."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cyclegan_ad.data.formats import png, tiff, tiff_tags
from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import UnreadableImage

MAX_PIXELS = 2**29  # 2 GiB as RGB: Pillow uses four bytes per pixel
# Pillow checks this limit again while it decodes a TIFF. Raising its default (a sixth of this) is
# the only way to read larger ones; a limit remains for other code that opens images.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

# No other readers of Pillow are used: some start external programs.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": png.WholePngFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
MODES_16_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION = 0x0112


def open_image(data: bytes, all_bits: bool = False) -> Image.Image | DeepPixels:
    """Decode the first frame of an image and apply its EXIF orientation.

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF or WebP file.
        all_bits: Whether to keep the low bytes of 16-bit colour, which Pillow drops.

    Returns:
        An image in the mode of the file, or its samples if Pillow has no mode for them.

    Raises:
        UnreadableImage: The data is of another format, damaged, or has a layout that is not known
            to be read correctly.
    """
    kind = _format(data)
    with _explain_errors(kind, data):
        if kind == "TIFF":
            page = tiff_tags.read_tags(io.BytesIO(data))
            _require_size(page.imagewidth, page.imagelength)
            tiff_tags.require_known(page)
            if not tiff.pillow_reads(page, all_bits):
                return tiff.read_pixels(page).turned(tiff_tags.orientation(page))
        image, data = _read_header(data, kind)
        _require_size(*image.size)
        key = image.info.get("transparency")
        if kind == "PNG":
            raw_mode = str(image.tile[0].args)
            if raw_mode in png.DEEP_COLOUR and (all_bits or key is not None):
                return png.read_16_bit_colour(data, raw_mode, key).turned(_orientation(image))
            if image.mode == "L" and key is not None:
                image.info["transparency"] = png.scaled_to_8_bit(key, raw_mode)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode not in _MODES | MODES_16_BIT:
        raise UnreadableImage(f"{kind} of pixel mode {image.mode} is not supported: save it as PNG")
    return image


def upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height of an image after EXIF orientation, without decoding pixels.

    Raises:
        UnreadableImage: The data is not a PNG, JPEG, BMP, TIFF or WebP image, or is damaged.
    """
    kind = _format(data)
    with _explain_errors(kind, data):
        if kind == "TIFF":
            page = tiff_tags.read_tags(io.BytesIO(data))
            size, orientation = (page.imagewidth, page.imagelength), tiff_tags.orientation(page)
        else:
            image, _ = _read_header(data, kind)
            size, orientation = image.size, _orientation(image)
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def require_lossless(data: bytes) -> None:
    """Check that image data use lossless compression.

    Raises:
        UnreadableImage: The compression is lossy, or the data is not an image.
    """
    kind = _format(data)
    if kind == "TIFF":
        with _explain_errors(kind, data):
            lossy = tiff_tags.read_tags(io.BytesIO(data)).compression == tiff_tags.JPEG
    elif kind == "WebP":
        lossy = b"VP8 " in _webp_chunks(data)
    else:
        lossy = kind == "JPEG"
    if lossy:
        data_of = {"TIFF": "JPEG-compressed TIFF", "WebP": "lossy WebP"}.get(kind, kind)
        raise UnreadableImage(
            f"{data_of} data: lossy compression changes the edges of a mask; save it as PNG"
        )


def _format(data: bytes) -> str:
    """Return the format of image data by its first bytes."""
    if not data:
        raise UnreadableImage("empty file")
    for kind, prefixes in (
        ("PNG", (png.SIGNATURE,)),
        ("JPEG", (b"\xff\xd8\xff",)),
        ("BMP", (b"BM",)),
        ("TIFF", tiff_tags.PREFIXES),
    ):
        if data.startswith(prefixes):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    raise UnreadableImage("not a PNG, JPEG, BMP, TIFF or WebP image")


@contextmanager
def _explain_errors(kind: str, data: bytes) -> Iterator[None]:
    """Turn all exceptions of decoders into ``UnreadableImage`` with a short reason."""
    try:
        yield
    except (UnreadableImage, MemoryError):  # lack of memory is not an error of the file
        raise
    except Exception as error:  # decoders raise many types on damaged data
        words = " ".join(str(error).split()) or type(error).__name__
        if words == "not identified by this driver" and b"\xff\xf7" in data[:4096]:
            raise UnreadableImage("JPEG-LS is not supported: save it as PNG") from error
        if words.startswith(("cannot handle", "Unsupported", "codec configuration")):
            raise UnreadableImage(f"{kind} is not supported ({words}): save it as PNG") from error
        raise UnreadableImage(f"damaged {kind} ({words})") from error


def _read_header(data: bytes, kind: str) -> tuple[ImageFile.ImageFile, bytes]:
    """Return the image, not decoded yet, and the data it will be decoded from."""
    if kind == "PNG":
        data = png.essential_chunks(data)
    elif kind == "JPEG":
        _require_end_of_jpeg(data)
    elif kind == "BMP":
        data = _with_whole_palette(data)
        _refuse_dark_ramp(data)
        _refuse_16_bit_alpha(data)
    image = _READERS[kind](io.BytesIO(data))
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        raise UnreadableImage(
            "CMYK JPEG without an Adobe marker is not supported (unknown whether its values "
            "are inverted): save it as RGB"
        )
    return image, data


def _with_whole_palette(data: bytes) -> bytes:
    """Restore the full palette of a BMP of 4 or 8 bits with two colours.

    Pillow would read each bit of it as a pixel if the colours are black and white.
    """
    if len(data) < 54 or data[14] == 12:  # this header has no number of colours
        return data
    (bits,), (colours,) = struct.unpack_from("<H", data, 28), struct.unpack_from("<I", data, 46)
    if bits not in (4, 8) or colours != 2:
        return data
    return data[:46] + bytes(4) + data[50:]  # 0: 2**bits colours


def _refuse_dark_ramp(data: bytes) -> None:
    """Reject a BMP of 4 bits with the colours 0, 1, 2, ...: Pillow reads each byte as a pixel."""
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        (bits,), entry, colours = struct.unpack_from("<H", data, 24), 3, 0
    else:
        (bits,), (colours,) = struct.unpack_from("<H", data, 28), struct.unpack_from("<I", data, 46)
        entry = 4
    if bits != 4:
        return
    palette = data[14 + header :][: entry * (colours or 16)]
    if all(set(palette[entry * i : entry * i + 3]) == {i} for i in range(len(palette) // entry)):
        raise UnreadableImage(
            "BMP of 4 bits with the colours 0, 1, 2, ... is not supported: save it as PNG"
        )


def _require_end_of_jpeg(data: bytes) -> None:
    """Check that a JPEG has its end marker; without it, missing data are decoded as pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:  # up to the pixels
        at += 1 if data[at + 1] == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    if data.find(b"\xff\xd9", at) < 0:
        raise ValueError("end marker missing")


def _refuse_16_bit_alpha(data: bytes) -> None:
    """Reject a BMP of 16 bits with alpha, which Pillow ignores (unlike that of 32 bits)."""
    if len(data) < 70 or struct.unpack_from("<I", data, 14)[0] < 56:
        return
    bits, compression, alpha = (
        struct.unpack_from("<H", data, 28)[0],
        *struct.unpack_from("<I", data, 30),
        *struct.unpack_from("<I", data, 66),
    )
    if bits == 16 and compression in (3, 6) and alpha:
        raise UnreadableImage("BMP of 16 bits with alpha is not supported: save it as PNG")


def _orientation(image: Image.Image) -> int:
    # Not PngImageFile.getexif, which decodes all pixels to find the chunk.
    return Image.Image.getexif(image).get(_ORIENTATION, 1)


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"{width} x {height} px: expected at most {MAX_PIXELS / 1e6:.0f} megapixels; scale the "
            "image down or crop it"
        )


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    """Yield the names of the chunks of a WebP file, including those in animation frames."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name
        at += 8 + (16 if name == b"ANMF" else length + length % 2)  # a frame holds chunks
