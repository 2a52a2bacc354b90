"""BMP files whose pixels Pillow does not read as their headers say."""

import struct

from cyclegan_ad.data.formats.image_bytes import UnreadableImage


def with_whole_palette(data: bytes) -> bytes:
    """Restore the full palette of a BMP of 4 or 8 bits with two colours.

    Pillow would read each bit of it as a pixel if the colours are black and white.
    """
    if len(data) < 54 or data[14] == 12:  # this header has no number of colours
        return data
    (bits,), (colours,) = struct.unpack_from("<H", data, 28), struct.unpack_from("<I", data, 46)
    if bits not in (4, 8) or colours != 2:
        return data
    return data[:46] + bytes(4) + data[50:]  # 0: 2**bits colours


def refuse_dark_ramp(data: bytes) -> None:
    """Reject a BMP of 4 bits with the colours 0, 1, 2, ...: Pillow reads each byte as a pixel.

    Raises:
        UnreadableImage: It is one.
    """
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


def refuse_16_bit_alpha(data: bytes) -> None:
    """Reject a BMP of 16 bits with alpha, which Pillow ignores (unlike that of 32 bits).

    Raises:
        UnreadableImage: It is one.
    """
    if len(data) < 70 or struct.unpack_from("<I", data, 14)[0] < 56:
        return
    bits, compression, alpha = (
        struct.unpack_from("<H", data, 28)[0],
        *struct.unpack_from("<I", data, 30),
        *struct.unpack_from("<I", data, 66),
    )
    if bits == 16 and compression in (3, 6) and alpha:
        raise UnreadableImage("BMP of 16 bits with alpha is not supported: save it as PNG")
