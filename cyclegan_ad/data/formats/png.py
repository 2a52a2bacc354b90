"""PNG files: the chunks that their pixels depend on, and samples of 16 bits."""

import io
import re
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from cyclegan_ad.data.formats.deep_pixels import DeepPixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEEP_COLOUR = frozenset({"LA;16B", "RGB;16B", "RGBA;16B"})
_GREY, _PALETTE = 0, 3  # colour types
_CHANNELS = {_GREY: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
# Left, top, and steps to the right and down, of each pass of an interlaced image.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_INFLATED_BYTES = 2**20  # at once
_EXIF_TEXT, _XMP_TEXT = b"Raw profile type exif", b"XML:com.adobe.xmp"
_LARGEST_TEXT_BYTES = 2**26


def essential_chunks(data: bytes) -> bytes:
    """Leaves out what the pixels do not depend on: profiles, texts, later frames of an animation.

    Pillow refuses a file whose texts or profile exceed 1 MiB, looks for the orientation behind
    the pixels only after it has decoded them, and does not compare the checksums of the pixels.

    Args:
        data: Contents of a PNG file.

    Returns:
        A PNG file of the same pixels with the orientation, if there is one, ahead of them.

    Raises:
        ValueError: A chunk is damaged, or one that must be understood is unknown.
    """
    view = memoryview(data)
    head: list[memoryview | bytes] = []
    rest: list[memoryview | bytes] = []
    at = len(SIGNATURE)
    seen: set[bytes] = set()
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"PLTE", b"tRNS") and (b"IDAT" in seen or kind in seen):
            raise ValueError(f"{kind.decode()} behind the pixels, or twice")
        if kind == b"IDAT" and data[25] == _PALETTE and b"PLTE" not in seen:
            raise ValueError("no palette")
        seen.add(kind)
        chunk = view[at : at + 12 + length]
        body = chunk[8 : 8 + length]
        at += 12 + length
        if kind == b"IHDR" or kind == b"eXIf":
            head.append(chunk)
        elif kind == b"tRNS" and data[25] == _GREY and len(chunk) == 12 + length == 14:
            # Bits above those of a pixel do not count.
            (grey,), depth = struct.unpack(">H", body), data[24]
            rest.append(_chunk(kind, struct.pack(">H", grey & ((1 << depth) - 1))))
        elif kind in (b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            rest.append(chunk)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            head += _orientation_of_text(kind, bytes(body))
        elif not kind[0] & 0x20:  # a capital: not to be passed over
            raise ValueError(f"unknown critical chunk {kind!r}")
        if kind == b"IDAT" and len(chunk) == 12 + length:  # Pillow says of half a chunk that it is
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
    """What of a text says how the image is turned, as a short chunk; nothing of other texts."""
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
        return []  # no pixel depends on it
    found = re.search(rb'tiff:Orientation(="|>)[0-9]', text)
    return [] if found is None else [_chunk(b"iTXt", _XMP_TEXT + b"\0" * 5 + found[0])]


def _require_all_rows(data: bytes) -> None:
    """Of a PNG file that ends as it should: whether it holds as many bytes as its size needs."""
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
        raise ValueError("rows are missing")


class WholePngFile(PngImagePlugin.PngImageFile):
    """Pillow's reader, which notices if pixels are missing or name no colour of the palette."""

    def load_end(self) -> None:
        """Check the pixels, now that all are decoded.

        Raises:
            ValueError: Rows are missing, or a pixel is beyond the palette.
        """
        super().load_end()
        last_row = self.crop((0, self.height - 1, self.width, self.height))
        # Rows that do not come stay black; an interlaced image has its last row after the others.
        if not any(last_row.tobytes()) or self.info.get("interlace"):
            assert isinstance(self.fp, io.BytesIO)
            _require_all_rows(self.fp.getvalue())
        if self.mode == "P" and self.palette is not None:
            colours = len(self.palette.palette) // len(self.palette.mode)
            if np.max(self.getextrema()) >= colours:
                raise ValueError(f"a pixel names another than the {colours} colours of the palette")


def scaled_to_8_bit(grey: int, raw_mode: str) -> int:
    """The transparent grey of a PNG of 2, 4 or 8 bits as Pillow's pixels have it.

    Args:
        grey: As the file has it.
        raw_mode: Pillow's name of its pixels: L;2, L;4 or L.
    """
    white = {"L;2": 3, "L;4": 15}.get(raw_mode, 255)
    return (grey & white) * 255 // white


def read_16_bit_colour(
    data: bytes, raw_mode: str, transparent: tuple[int, int, int] | None
) -> DeepPixels:
    """Reads all bits of a PNG of several 16-bit channels; Pillow keeps the high byte of each.

    Args:
        data: Contents of a PNG file that Pillow can decode.
        raw_mode: Pillow's name of its pixels, one of `DEEP_COLOUR`.
        transparent: The colour that is transparent, if there is one.

    Returns:
        Its samples, as they are stored; transparent ones are black.
    """
    if raw_mode == "LA;16B":  # four bytes a pixel, as an RGBA image of 8 bits has them
        both = _decode_as(data, "RGBA").astype(np.uint16)
        return DeepPixels(both[..., ::2] << 8 | both[..., 1::2], 16, "grey", alpha=True)
    high, low = _decode_as(data, raw_mode), _decode_as(data, raw_mode.replace("16B", "16L"))
    values = high.astype(np.uint16) << 8 | low
    if transparent is not None:
        values[(values == transparent).all(axis=2)] = 0
    return DeepPixels(values, 16, "RGB", alpha=raw_mode == "RGBA;16B")


def _decode_as(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    """Decodes with other rules for the bytes of a pixel (as many as there are)."""
    image = WholePngFile(io.BytesIO(data))
    image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
    image.load()
    return np.asarray(image)
