"""Opens an image file for what its content is, whatever its suffix says."""

import io
import struct
from collections.abc import Iterator

from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cyclegan_ad.data import png, tiff
from cyclegan_ad.data.deep_pixels import DeepPixels
from cyclegan_ad.data.image_bytes import UnreadableImage

MAX_PIXELS = 2**29  # as RGB 2 GiB: Pillow holds four bytes a pixel
# Pillow asks for this limit once more while it decodes a TIFF. To raise it from a sixth of that is
# the only way to read larger ones, and leaves other code that opens images with a limit.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

# No other reader of Pillow is tried: some start other programs.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
MODES_16_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION = 0x0112


def open_image(data: bytes, all_bits: bool = False) -> Image.Image | DeepPixels:
    """Decodes the first frame of an image and turns it upright.

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF or WebP file.
        all_bits: Whether to keep the low bytes of 16-bit colour, which Pillow drops.

    Returns:
        An image in the mode of the file, or its samples where Pillow has no mode for them.

    Raises:
        UnreadableImage: The data is not that, is damaged, or is nothing that is known to be read
            right.
    """
    kind = _format(data)
    if kind == "TIFF":
        page = tiff.read_tags(io.BytesIO(data))
        _require_size(page.imagewidth, page.imagelength)
        tiff.require_known(page)
        if not tiff.pillow_reads(page, all_bits):
            return tiff.read_pixels(page).turned(tiff.orientation(page))
    image, data = _read_header(data, kind)
    _require_size(*image.size)
    raw_mode, key = image.tile[0].args if image.tile else None, image.info.get("transparency")
    try:
        if raw_mode in png.DEEP_COLOUR and (all_bits or key is not None):
            return png.read_16_bit_colour(data, raw_mode, key).turned(_orientation(image))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)  # needs no copy
    except Exception as error:  # decoders raise nearly every type on damaged data
        raise _damaged(kind, error) from error
    if image.mode not in _MODES | MODES_16_BIT:
        raise UnreadableImage(f"pixel mode {image.mode} is not supported")
    if kind == "PNG" and image.mode == "L" and key is not None:
        image.info["transparency"] = png.scaled_to_8_bit(key, raw_mode)
    return image


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height of an image turned upright; its pixels are not decoded.

    Raises:
        UnreadableImage: The data is not a PNG, JPEG, BMP, TIFF or WebP image, or is damaged.
    """
    kind = _format(data)
    if kind == "TIFF":
        page = tiff.read_tags(io.BytesIO(data))
        size, orientation = (page.imagewidth, page.imagelength), tiff.orientation(page)
    else:
        image, _ = _read_header(data, kind)
        size, orientation = image.size, _orientation(image)
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def require_lossless(data: bytes) -> None:
    """Checks, by the content of a file, that its compression keeps pixels as they were.

    Raises:
        UnreadableImage: It does not, or the data is not an image.
    """
    kind = _format(data)
    if kind == "TIFF":
        lossy = tiff.is_lossy(tiff.read_tags(io.BytesIO(data)))
    elif kind == "WebP":
        lossy = b"VP8 " in _webp_chunks(data)
    else:
        lossy = kind == "JPEG"
    if lossy:
        data_of = {"TIFF": "JPEG-compressed TIFF", "WebP": "lossy WebP"}.get(kind, kind)
        raise UnreadableImage(
            f"{data_of} data: lossy compression blurs the edge of a mask; save it as PNG"
        )


def _format(data: bytes) -> str:
    """Which of the readers the first bytes ask for."""
    if not data:
        raise UnreadableImage("empty file")
    for kind, prefixes in (
        ("PNG", (png.SIGNATURE,)),
        ("JPEG", (b"\xff\xd8\xff",)),
        ("BMP", (b"BM",)),
        ("TIFF", tiff.PREFIXES),
    ):
        if data.startswith(prefixes):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    raise UnreadableImage("not a PNG, JPEG, BMP, TIFF or WebP image")


def _read_header(data: bytes, kind: str) -> tuple[ImageFile.ImageFile, bytes]:
    """The image, not decoded yet; and the data it is decoded from."""
    try:
        if kind == "PNG":
            data = png.essential_chunks(data)
        image = _READERS[kind](io.BytesIO(data))
    except Exception as error:
        words = _words(error)
        if words.startswith(("cannot handle", "Unsupported")):  # sound, but not for Pillow
            raise UnreadableImage(f"{kind} is not supported ({words}): save it as PNG") from error
        raise _damaged(kind, error) from error
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        raise UnreadableImage(
            "CMYK JPEG without an Adobe marker is not supported (nothing says whether its values "
            "are inverted): save it as RGB"
        )
    return image, data


def _orientation(image: Image.Image) -> int:
    # Not the method of a PNG, which decodes all pixels in search of it.
    return Image.Image.getexif(image).get(_ORIENTATION, 1)


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"{width} x {height} px are more than the {MAX_PIXELS / 1e6:.0f} megapixels that are "
            "read: scale the image down or cut it into parts"
        )


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    """Names of the chunks of a WebP file, also of those in the frames of an animation."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name
        at += 8 + (16 if name == b"ANMF" else length + length % 2)  # a frame holds chunks


def _damaged(kind: str, error: Exception) -> UnreadableImage:
    return UnreadableImage(f"damaged {kind} ({_words(error)})")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
