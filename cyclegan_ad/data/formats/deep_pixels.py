"""Pixels without a Pillow mode: reduction to 8 bits, or to a mask of nonzero pixels.

A window chooses the grey values that become black and white.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.formats.image_bytes import UnreadableImage

EIGHT_BITS = (
    "image of at most 8 bits, to which dataset.window does not apply: save it with the bits of the "
    "sensor"
)
Window = tuple[float, float]

Colours = Literal["grey", "RGB", "palette", "CMYK", "YCbCr"]
_PIXELS_AT_A_TIME = 2**20  # so that working copies stay small beside the image

_TURNS: dict[int, Callable[[NDArray], NDArray]] = {  # views, no copies
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}


class ValueSpan(NamedTuple):
    """The stored values that an image of more than 8 bits uses.

    Attributes:
        low: Smallest value.
        high: Largest value.
        bits: Bits per sample; None if no value is known to be white.
    """

    low: float
    high: float
    bits: int | None


@dataclass(slots=True)
class DeepPixels:
    """The samples of an image as stored in its file.

    Attributes:
        values: (H, W, C) unsigned integers, 0 to ``2**bits - 1``; with ``bits=None`` numbers.
        bits: Bits per sample, at most 16. None if no value is known to be white, as in CT: only a
            window makes an image of it.
        colours: Meaning of the channels; ``palette`` has one.
        white_is_zero: Whether a grey value of 0 is white.
        alpha: Whether the last channel is alpha, not premultiplied.
        palette: (2**bits, 3) uint16, RGB of each palette index.
    """

    values: NDArray
    bits: int | None
    colours: Colours
    white_is_zero: bool = False
    alpha: bool = False
    palette: NDArray[np.uint16] | None = None

    def span(self) -> ValueSpan | None:
        """Return the values used, without alpha; None for at most 8 bits or if no window applies.

        Returns:
            Never None if ``bits`` is None.
        """
        if self.bits is not None and (self.bits <= 8 or self.colours not in ("grey", "RGB")):
            return None
        colour = self.values[..., :-1] if self.alpha else self.values
        return ValueSpan(float(colour.min()), float(colour.max()), self.bits)

    def windowed(self, window: Window) -> "DeepPixels":
        """Map the values from LOW to HIGH linearly to 8 bits; those beyond become 0 or 255.

        If white is zero, it still is: LOW becomes white. Alpha is kept.

        Args:
            window: (LOW, HIGH) with LOW < HIGH, in stored units.

        Raises:
            UnreadableImage: The samples have at most 8 bits, or are neither grey nor RGB.
        """
        if self.bits is not None and self.bits <= 8:
            raise UnreadableImage(EIGHT_BITS)
        if self.colours not in ("grey", "RGB"):
            raise UnreadableImage(
                f"dataset.window does not apply to {self.colours} pixels: save them as grey or RGB"
            )
        low, high = window
        values: NDArray[np.uint8] = np.empty(self.values.shape, dtype=np.uint8)
        for _, rows in row_blocks(*self.values.shape[:2]):
            share = (self.values[rows].astype(np.float64) - low) / (high - low)
            values[rows] = 255 * share.clip(0, 1) + 0.5
        if self.alpha and self.bits is not None:
            values[..., -1] = _scale(self.values[..., -1], self.bits, 255)
        return replace(self, values=values, bits=8)

    def to_8_bit(self) -> Image.Image:
        """Composite on black and reduce to mode L or RGB.

        Grey and samples of less than 16 bits are rounded; 16-bit colour is reduced to the high
        byte, as in Pillow.

        Raises:
            UnreadableImage: No value is known to be white.
        """
        if self.bits is None:
            low, high, _ = self.span() or (0, 0, None)
            raise UnreadableImage(
                f"grey values from {low:g} to {high:g}, of which none is known to be white: say "
                "which become black and white, dataset.window=[LOW,HIGH]"
            )
        height, width = self.values.shape[:2]
        image = Image.new("L" if self.colours == "grey" else "RGB", (width, height))
        for top, rows in row_blocks(height, width):
            image.paste(self._reduce(rows), (0, top))
        return image

    def marked(self) -> NDArray[np.bool_]:
        """Return where any value is nonzero and not fully transparent, (H, W) bool."""
        height, width = self.values.shape[:2]
        result = np.empty((height, width), dtype=np.bool_)
        for _, rows in row_blocks(height, width):
            if self.colours in ("CMYK", "YCbCr"):
                colour = np.asarray(self._reduce(rows))
            else:
                colour, _ = self._colour(rows)
            result[rows] = (colour != 0).any(axis=2)
            if self.alpha:
                result[rows] &= self.values[rows, :, -1] != 0
        return result

    def turned(self, orientation: int) -> "DeepPixels":
        """Apply an EXIF orientation, 1 to 8; other values count as 1."""
        turn = _TURNS.get(orientation)
        return self if turn is None else replace(self, values=turn(self.values))

    def _colour(self, rows: slice) -> tuple[NDArray, int]:
        """Return rows of the image without alpha, (h, W, C) with 0 for black, and their bits."""
        colour = self.values[rows, :, :-1] if self.alpha else self.values[rows]
        if self.bits is None:
            return colour, 0
        if self.palette is not None:
            return self.palette[colour[..., 0]], 16
        return 2**self.bits - 1 - colour if self.white_is_zero else colour, self.bits

    def _reduce(self, rows: slice) -> Image.Image:
        """Composite rows of the image on black, in mode L or RGB."""
        colour, bits = self._colour(rows)
        if self.alpha and self.bits is not None:  # 32 bits hold 65535 * 65535
            alpha, opaque = self.values[rows, :, -1:], 2**self.bits - 1
            if bits not in (8, 16):
                colour, bits = _scale(colour, bits, 65535), 16
            colour = (colour.astype(np.uint32) * alpha + opaque // 2) // opaque
        if bits == 16 and self.colours != "grey":
            colour = colour >> 8
        elif bits != 8:
            colour = _scale(colour, bits, 255)
        pixels = np.ascontiguousarray(colour, dtype=np.uint8)
        if self.colours == "grey":
            return Image.fromarray(pixels[..., 0])
        if self.colours in ("CMYK", "YCbCr"):
            height, width = pixels.shape[:2]
            return Image.frombytes(self.colours, (width, height), pixels.tobytes()).convert("RGB")
        return Image.fromarray(pixels)


def _scale(values: NDArray, bits: int, white: int) -> NDArray[np.uint32]:
    """Scale values from 0..``2**bits - 1`` to 0..``white``, at most 65535, with rounding."""
    largest = 2**bits - 1
    return (values.astype(np.uint32) * white + largest // 2) // largest


def row_blocks(height: int, width: int) -> Iterator[tuple[int, slice]]:
    """Yield blocks of rows of about a million pixels, from the top: first row, and slice.

    Example:
        >>> [rows for _, rows in row_blocks(5, 2**19)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, _PIXELS_AT_A_TIME // width)
    for top in range(0, height, step):
        yield top, slice(top, min(top + step, height))
