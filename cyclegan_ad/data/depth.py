"""Whether the images of a dataset need a window: the stored values that become black and white."""

import math
from pathlib import Path

from cyclegan_ad.data.cache_files import ImageCache
from cyclegan_ad.data.formats.deep_pixels import EIGHT_BITS, ValueSpan, Window
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import as_typed

_DEPTHS = (8, 10, 12, 14)  # of sensors
_SMALL = 4  # 14-bit data use a quarter of 16 bits


def is_dark(span: ValueSpan) -> bool:
    """Return whether an image of more than 8 bits uses at most a quarter of its range."""
    return span.bits is not None and span.high < 2**span.bits / _SMALL


def require_window(cache: ImageCache, window: Window | None, root: Path) -> None:
    """Check that there is a window if images need one, and none if no image has the depth for it.

    Images need one if no value is known to be white, or if all those of more than 8 bits use at
    most a quarter of their range, such as 12-bit data in 16-bit files.

    Args:
        cache: All images of the dataset.
        window: ``dataset.window``.
        root: Folder of the dataset, for the message.

    Raises:
        UserError: Names the window to type, or to remove.
    """
    count = len(cache.sha256)
    if window is not None:
        if count > 0 and [*cache.unreadable.values()].count(EIGHT_BITS) == count:
            raise UserError(
                f"invalid dataset.window={as_typed(window)}: all images in {root} have at "
                "most 8 bits; remove the setting"
            )
        return
    deep = cache.spans.values()
    unknown = sum(span.bits is None for span in deep)
    low, high = min((s.low for s in deep), default=0), max((s.high for s in deep), default=0)
    if unknown:
        example = (math.floor(low), math.ceil(high) if high > low else math.floor(low) + 1)
        raise UserError(
            f"{unknown} of {count} images in {root} have values from {low:g} to {high:g} and no "
            "window: say which become black and white, for example with "
            f"dataset.window={as_typed(example)}"
        )
    depths = [(span.high, 2**span.bits) for span in deep if span.bits is not None]
    if high > 0 and all(map(is_dark, deep)):
        white = next(2**bits - 1 for bits in _DEPTHS if high < 2**bits)
        full = max(levels for _, levels in depths) - 1
        raise UserError(
            f"{len(depths)} of {count} images in {root} would be dark, as their largest value is "
            f"{high:g} of {full}: use dataset.window=[0,{white}], or "
            f"dataset.window=[0,{full}] if they really are"
        )
