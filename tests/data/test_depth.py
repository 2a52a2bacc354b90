"""Datasets of more than 8 bits: the window to type is named, and used."""

from pathlib import Path

import numpy as np
import pytest
from errors import refuses

from cyclegan_ad.data.cache_files import ImageCache
from cyclegan_ad.data.depth import require_window
from cyclegan_ad.data.formats.deep_pixels import EIGHT_BITS, ValueSpan, Window

ROOT = Path("plates")


def check(*spans: ValueSpan | None, window: Window | None = None, shallow: int = 0) -> None:
    """Images of these values, and as many to which no window applies."""
    count = len(spans) + shallow
    unreadable = {len(spans) + i: EIGHT_BITS for i in range(shallow)}
    known = {i: span for i, span in enumerate(spans) if span is not None}
    images = np.zeros((count, 1, 1, 1), np.uint8)
    require_window(ImageCache(images, [""] * count, unreadable, known), window, ROOT)


@pytest.mark.parametrize(
    ("largest", "bits", "white"),
    [
        (1, 16, 255),
        (255, 16, 255),
        (256, 16, 1023),
        (1023, 16, 1023),
        (1024, 16, 4095),
        (4095, 16, 4095),
        (4096, 16, 16383),
        (16383, 16, 16383),
        (1023, 12, 1023),
    ],
)
def test_the_window_is_the_depth_of_the_brightest_image(
    largest: int, bits: int, white: int
) -> None:
    full = 2**bits - 1
    remedy = (f"dataset.window=[0,{white}]", f"dataset.window=[0,{full}]")
    with refuses(file=ROOT, facts=("2 of 3", f"{largest} of {full}"), remedy=remedy):
        check(ValueSpan(0, 1, bits), None, ValueSpan(0, largest, bits))


def test_what_uses_its_range_needs_no_window() -> None:
    check()
    check(None, None)
    check(ValueSpan(0, 0, 16))  # all black: a window would change nothing
    check(ValueSpan(0, 16384, 16))
    check(ValueSpan(0, 1024, 12), ValueSpan(0, 9, 16))  # one dark image among others
    check(ValueSpan(0, 4095, 16), window=(0, 4095))


def test_values_of_unknown_meaning_need_a_window() -> None:
    unknown = (ValueSpan(-1024.5, 700, None), ValueSpan(0, 3071.2, None))
    facts = ("2 of 3", "from -1024.5 to 3071.2")
    with refuses(file=ROOT, facts=facts, remedy="dataset.window=[-1025,3072]"):
        check(*unknown, None)
    with refuses(file=ROOT, facts="1 of 1", remedy="dataset.window=[7,8]"):
        check(ValueSpan(7, 7, None))


def test_a_window_without_use_is_refused() -> None:
    with refuses(setting="dataset.window", value="[0,4095]", facts="8 bits", remedy="remove"):
        check(shallow=2, window=(0, 4095))
    check(ValueSpan(0, 9, 16), shallow=2, window=(0, 4095))  # the file is named elsewhere
