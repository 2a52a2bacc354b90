"""Image files that Pillow does not write."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_file(
    values: np.ndarray, bits: int, colour_type: int, *, ahead: bytes = b"", behind: bytes = b""
) -> bytes:
    """A PNG of values (H, W, C), with further chunks ahead of its pixels or behind them."""
    rows = values.reshape(len(values), -1)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        each = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        packed = np.packbits(each.reshape(len(rows), -1).astype(np.uint8), axis=1)
    unfiltered = np.pad(packed, ((0, 0), (1, 0)))
    size = (values.shape[1], len(values))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(unfiltered.tobytes()))
    return SIGNATURE + header + ahead + pixels + behind + png_chunk(b"IEND", b"")
