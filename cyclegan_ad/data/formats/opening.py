"""Opening of image files by their content, independent of the suffix."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cyclegan_ad.data.formats import bmp, dicom, nifti, png, tiff, tiff_tags
from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, require_package
from cyclegan_ad.data.formats.kinds import kind_of

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
_MODES_16_BIT = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_ORIENTATION = 0x0112
_REASON = 200  # characters; some decoders quote the data


def open_image(data: bytes, as_stored: bool = False) -> Image.Image | DeepPixels:
    """Decode the first frame of an image and apply its orientation (EXIF, or HEIF's own).

    Args:
        data: Contents of a PNG, JPEG, BMP, TIFF, WebP, HEIC, AVIF, DICOM or NIfTI file.
        as_stored: Whether to keep all values for a window or a mask: the low bytes of 16-bit
            colour, which Pillow drops, and those of DICOM without the window of the file.

    Returns:
        An image in the mode of the file with at most 8 bits per sample, or its samples if Pillow
        has no such mode for them.

    Raises:
        UnreadableImage: The data is of another format, damaged, needs a package that is not
            installed, or has a layout that is not known to be read correctly.
    """
    kind = kind_of(data)
    deep = False
    with _explain_errors(kind, data):
        if kind == "DICOM":
            _require_size(*dicom.image_size(data))
            return dicom.read_pixels(data, as_stored)
        if kind == "NIfTI":
            _require_size(*nifti.image_size(data))
            return nifti.read_pixels(data, as_stored)
        if kind == "TIFF":
            page = tiff_tags.read_tags(io.BytesIO(data))
            _require_size(page.imagewidth, page.imagelength)
            tiff_tags.require_known(page)
            if not tiff.pillow_reads(page, as_stored):
                return tiff.read_pixels(page).turned(tiff_tags.orientation(page))
            deep = page.bitspersample == 16
        image, data = _read_header(data, kind)
        _require_size(*image.size)
        key = image.info.get("transparency")
        if kind == "PNG":
            raw_mode = str(image.tile[0].args)
            deep = raw_mode in png.DEEP_COLOUR
            if deep and (as_stored or key is not None):
                return png.read_16_bit_colour(data, raw_mode, key).turned(_orientation(image))
            if image.mode == "L" and key is not None:
                image.info["transparency"] = png.scaled_to_8_bit(key, raw_mode)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode in _MODES_16_BIT:
        values = np.asarray(image).astype(np.uint16)[..., None]
        key = image.info.get("transparency")
        return DeepPixels(values, 16, "grey") if key is None else png.with_transparent(values, key)
    if image.mode not in _MODES:
        raise UnreadableImage(f"{kind} of pixel mode {image.mode} is not supported: save it as PNG")
    if deep and image.mode == "RGB":  # with the low bytes unknown: at most 255
        return DeepPixels(np.asarray(image).astype(np.uint16) << 8 | 255, 16, "RGB")
    return image


def upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height of an image after EXIF orientation, without decoding pixels.

    Raises:
        UnreadableImage: The data is not an image of a known format, or is damaged.
    """
    kind = kind_of(data)
    with _explain_errors(kind, data):
        if kind in ("DICOM", "NIfTI"):
            return (dicom if kind == "DICOM" else nifti).image_size(data)
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
    kind = kind_of(data)
    if kind == "TIFF":
        with _explain_errors(kind, data):
            lossy = tiff_tags.read_tags(io.BytesIO(data)).compression == tiff_tags.JPEG
    elif kind == "WebP":
        lossy = b"VP8 " in _webp_chunks(data)
    else:
        lossy = kind in ("JPEG", "HEIC", "AVIF", "DICOM")  # what most of these files are
    if lossy:
        data_of = {"TIFF": "JPEG-compressed TIFF", "WebP": "lossy WebP"}.get(kind, kind)
        raise UnreadableImage(
            f"{data_of} data: lossy compression changes the edges of a mask; save it as PNG"
        )


@contextmanager
def _explain_errors(kind: str, data: bytes) -> Iterator[None]:
    """Turn all exceptions of decoders into ``UnreadableImage`` with a short reason."""
    try:
        yield
    except (UnreadableImage, MemoryError):  # lack of memory is not an error of the file
        raise
    except Exception as error:  # decoders raise many types on damaged data
        words = " ".join(str(error)[:_REASON].split()) or type(error).__name__
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
        data = bmp.with_whole_palette(data)
        bmp.refuse_dark_ramp(data)
        bmp.refuse_16_bit_alpha(data)
    image = _reader(kind)(io.BytesIO(data))
    if kind == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        raise UnreadableImage(
            "CMYK JPEG without an Adobe marker is not supported (unknown whether its values "
            "are inverted): save it as RGB"
        )
    return image, data


def _reader(kind: str) -> type[ImageFile.ImageFile]:
    """Return Pillow's reader of a format, or the one of a package that is installed for it."""
    if kind == "HEIC":
        require_package("pillow_heif", "HEIC", "heif")
        from pillow_heif import HeifImageFile  # turns images upright and says so in their EXIF data

        return HeifImageFile
    if kind == "AVIF":
        try:
            from PIL import AvifImagePlugin
        except ImportError:  # Pillow < 11.3
            supported = False
        else:
            supported = AvifImagePlugin.SUPPORTED
        if not supported:
            raise UnreadableImage(
                "AVIF is not supported by this build of Pillow: pip install --upgrade pillow"
            )
        return AvifImagePlugin.AvifImageFile
    return _READERS[kind]


def _require_end_of_jpeg(data: bytes) -> None:
    """Check that a JPEG has its end marker; without it, missing data are decoded as pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:  # up to the pixels
        at += 1 if data[at + 1] == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    if data.find(b"\xff\xd9", at) < 0:
        raise ValueError("end marker missing")


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
