"""PNG files: the chunks that their pixels depend on, and 16-bit samples."""

import io
import re
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from cyclegan_ad.data.formats.deep_pixels import Colours, DeepPixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEEP_COLOUR = frozenset({"LA;16B", "RGB;16B", "RGBA;16B"})
_GREY, _PALETTE = 0, 3  # colour types
_CHANNELS = {_GREY: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
# Left, top, step right and step down of each pass of an interlaced image.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_INFLATED_BYTES = 2**20  # per step
_EXIF_TEXT, _XMP_TEXT = b"Raw profile type exif", b"XML:com.adobe.xmp"
_LARGEST_TEXT_BYTES = 2**26


def essential_chunks(data: bytes) -> bytes:
    """Remove what the pixels do not depend on: profiles, texts, later frames of an animation.

    Pillow rejects a file whose texts or profile exceed 1 MiB, finds an orientation after the pixels
    only once they are decoded, and does not check the checksums of the pixels.

    Args:
        data: Contents of a PNG file.

    Returns:
        A PNG file of the same pixels with the orientation, if there is one, before them.

    Raises:
        ValueError: A chunk is damaged, or an unknown chunk is marked as critical.
    """
    view = memoryview(data)
    head: list[memoryview | bytes] = []
    rest: list[memoryview | bytes] = []
    at = len(SIGNATURE)
    seen: set[bytes] = set()
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"PLTE", b"tRNS") and (b"IDAT" in seen or kind in seen):
            raise ValueError(f"{kind.decode()} chunk repeated or after the pixels")
        if kind == b"IDAT" and data[25] == _PALETTE and b"PLTE" not in seen:
            raise ValueError("palette missing")
        seen.add(kind)
        chunk = view[at : at + 12 + length]
        body = chunk[8 : 8 + length]
        at += 12 + length
        if kind == b"IHDR" or kind == b"eXIf":
            head.append(chunk)
        elif kind == b"tRNS" and data[25] == _GREY and len(chunk) == 12 + length == 14:
            # Bits above the bit depth are ignored.
            (grey,), depth = struct.unpack(">H", body), data[24]
            rest.append(_chunk(kind, struct.pack(">H", grey & ((1 << depth) - 1))))
        elif kind in (b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            rest.append(chunk)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            head += _orientation_of_text(kind, bytes(body))
        elif not kind[0] & 0x20:  # upper case: critical
            raise ValueError(f"unknown critical chunk {kind!r}")
        if kind == b"IDAT" and len(chunk) == 12 + length:  # Pillow reports a truncated chunk
            (checksum,) = struct.unpack_from(">I", chunk, 8 + length)
            if zlib.crc32(chunk[4 : 8 + length]) != checksum:
                raise ValueError("wrong checksum of pixels")
        if kind == b"IEND":
            break
    return b"".join([SIGNATURE, *head, *rest])


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", check)


def _orientation_of_text(kind: bytes, body: bytes) -> list[bytes]:
    """Return the orientation in a text chunk as a short chunk; nothing for other texts."""
    keyword, _, text = body.partition(b"\0")
    if keyword not in (_EXIF_TEXT, _XMP_TEXT):
        return []
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif packed:
        text = text[1:]
    try:
        if packed:
            text = zlib.decompressobj().decompress(text, _LARGEST_TEXT_BYTES)
        if keyword == _EXIF_TEXT:  # a name, a length and hexadecimal digits
            exif = bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
            return [_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))]
    except (zlib.error, ValueError):
        return []  # pixels do not depend on it
    found = re.search(rb'tiff:Orientation(="|>)[0-9]', text)
    return [] if found is None else [_chunk(b"iTXt", _XMP_TEXT + b"\0" * 5 + found[0])]


def _require_all_rows(data: bytes) -> None:
    """Check that a complete PNG file holds as many bytes of pixels as its size needs."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    steps = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = (
        (-(-(height - top) // down), -(-(width - left) // across))
        for left, top, across, down in steps
    )
    missing = sum(h * (1 + -(-w * bits // 8)) for h, w in sizes if h > 0 and w > 0)
    inflate = zlib.decompressobj()
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        packed = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while packed:
            missing -= len(inflate.decompress(packed, _INFLATED_BYTES))
            packed = inflate.unconsumed_tail
        at += 12 + length
    if missing > 0:
        raise ValueError("rows missing")


class WholePngFile(PngImagePlugin.PngImageFile):
    """Pillow's reader with checks for missing pixels and invalid palette indices."""

    def load_end(self) -> None:
        """Check the decoded pixels.

        Raises:
            ValueError: Rows are missing, or a pixel is beyond the palette.
        """
        super().load_end()
        last_row = self.crop((0, self.height - 1, self.width, self.height))
        # Missing rows stay black; in an interlaced image the last row is not stored last.
        if not any(last_row.tobytes()) or self.info.get("interlace"):
            assert isinstance(self.fp, io.BytesIO)
            _require_all_rows(self.fp.getvalue())
        if self.mode == "P" and self.palette is not None:
            colours = len(self.palette.palette) // len(self.palette.mode)
            if np.max(self.getextrema()) >= colours:
                raise ValueError(f"a pixel exceeds the palette of {colours} colours")


def scaled_to_8_bit(grey: int, raw_mode: str) -> int:
    """Scale the transparent grey of a PNG of 2, 4 or 8 bits as Pillow scales the pixels.

    Args:
        grey: Value in the file.
        raw_mode: Pillow's raw mode of the pixels: L;2, L;4 or L.
    """
    white = {"L;2": 3, "L;4": 15}.get(raw_mode, 255)
    return (grey & white) * 255 // white


def read_16_bit_colour(
    data: bytes, raw_mode: str, transparent: tuple[int, int, int] | None
) -> DeepPixels:
    """Read all bits of a PNG with several 16-bit channels, of which Pillow keeps the high bytes.

    Args:
        data: Contents of a PNG file that Pillow can decode.
        raw_mode: Pillow's raw mode of the pixels, one of `DEEP_COLOUR`.
        transparent: The transparent colour; None if there is none.

    Returns:
        The samples as stored, with alpha if there is a transparent colour.
    """
    if raw_mode == "LA;16B":  # four bytes per pixel, as in 8-bit RGBA
        both = _decode_as(data, "RGBA").astype(np.uint16)
        return DeepPixels(both[..., ::2] << 8 | both[..., 1::2], 16, "grey", alpha=True)
    high, low = _decode_as(data, raw_mode), _decode_as(data, raw_mode.replace("16B", "16L"))
    values: NDArray[np.uint16] = np.asarray(high.astype(np.uint16) << 8 | low, dtype=np.uint16)
    if transparent is not None:
        return with_transparent(values, transparent)
    return DeepPixels(values, 16, "RGB", alpha=raw_mode == "RGBA;16B")


def with_transparent(
    values: NDArray[np.uint16], transparent: int | tuple[int, int, int]
) -> DeepPixels:
    """Add alpha to 16-bit grey or RGB samples, (H, W, C): 0 where they equal a colour."""
    hidden = (values == transparent).all(axis=2, keepdims=True)
    alpha = np.where(hidden, 0, 65535).astype(np.uint16)
    colours: Colours = "grey" if values.shape[2] == 1 else "RGB"
    return DeepPixels(np.concatenate([values, alpha], axis=2), 16, colours, alpha=True)


def _decode_as(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    """Decode with another raw mode of the same number of bytes per pixel."""
    image = WholePngFile(io.BytesIO(data))
    image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
    image.load()
    return np.asarray(image)
