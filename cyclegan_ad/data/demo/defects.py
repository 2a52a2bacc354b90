"""Defects of the demo data: scratches, holes, stains and missing parts of graded contrast.

A defect is applied to the surface before lighting, and its mask is exactly the set of pixels that
it changed. The constants in capitals determine the difficulty of the data.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.demo.tiles import (
    EIGHTH_TURN,
    Array,
    Tile,
    blend_colours,
    clouds,
    make_tile,
    ramp,
    uniform,
)

# Contrast of the faintest and of the strongest defect of each kind; evenly spaced in between.
CONTRAST = {
    "scratch": (0.70, 1.0),
    "hole": (0.70, 1.0),
    "stain": (0.60, 0.95),
    "missing": (0.65, 1.0),
}
SCRATCH_WIDTH = (0.020, 0.028)  # half width; these and the radii are in half tile widths
HOLE_RADIUS = (0.12, 0.15)
STAIN_RADIUS = (0.20, 0.28)

# Colours, RGB reflectance in [0, 1].
_STAINS = np.array([(0.52, 0.36, 0.22), (0.70, 0.40, 0.22), (0.42, 0.46, 0.30)])
_BODY = np.array((0.90, 0.48, 0.28))  # the clay under the glaze
_DIRT = np.array((0.06, 0.05, 0.05))
_CHANGE = 1.5 / 255  # a change above one grey level survives the rounding to 8 bits


def _scratch(tile: Tile, rng: np.random.Generator, contrast: float) -> tuple[Array, Array]:
    reflectance, height = tile.surface()
    start = np.array((uniform(rng, -0.5, 0.5), uniform(rng, -0.5, 0.5)))
    angle, length = uniform(rng, 0, 2 * np.pi), uniform(rng, 0.8, 1.3)
    along = np.array((np.cos(angle), np.sin(angle)))
    bend = uniform(rng, -0.25, 0.25)
    t = (tile.x - start[0]) * along[0] + (tile.y - start[1]) * along[1]
    s = (tile.y - start[1]) * along[0] - (tile.x - start[0]) * along[1]
    position = np.clip(t / length + 0.5, 0, 1)
    width = uniform(rng, *SCRATCH_WIDTH) * (0.35 + 2.6 * position * (1 - position))
    wobble = 0.02 * np.sin(9 * t + uniform(rng, 0, 2 * np.pi))
    course = bend * (4 * (position - 0.5) ** 2 - 1) + wobble
    away = np.hypot(s - course, t - length * (position - 0.5))
    cut = contrast * ramp(away - width, 0.03)[..., None]
    decor = height[..., None]  # on the relief the clay is exposed, elsewhere dirt fills the scratch
    colour = _BODY * decor + _DIRT * (1 - decor)
    return reflectance * (1 - cut) + colour * cut, height - cut[..., 0]


def _hole(tile: Tile, rng: np.random.Generator, contrast: float) -> tuple[Array, Array]:
    reflectance, height = tile.surface()
    for _ in range(1 + int(rng.integers(2))):
        radius, stretch = uniform(rng, *HOLE_RADIUS), uniform(rng, 0.8, 1.25)
        left = (tile.x - uniform(rng, -0.75, 0.75)) * stretch
        up = (tile.y - uniform(rng, -0.75, 0.75)) / stretch
        angle = np.arctan2(up, left)
        ragged = 1 + 0.07 * np.sin(3 * angle + uniform(rng, 0, 2 * np.pi))
        ragged += 0.06 * np.sin(5 * angle + uniform(rng, 0, 2 * np.pi))
        inside = np.hypot(left, up) - radius * ragged
        pit = contrast * ramp(inside, 0.05)[..., None]
        rim = 0.8 * contrast * ramp(np.abs(inside - 0.025) - 0.012, 0.03)[..., None]
        reflectance = reflectance * (1 - pit) + _DIRT * pit
        reflectance = reflectance * (1 - rim) + _BODY * rim
        height = height - pit[..., 0]
    return reflectance, height


def _stain(tile: Tile, rng: np.random.Generator, contrast: float) -> tuple[Array, Array]:
    reflectance, height = tile.surface()
    radius = uniform(rng, *STAIN_RADIUS)
    away = np.hypot(tile.x - uniform(rng, -0.6, 0.6), tile.y - uniform(rng, -0.6, 0.6))
    inside = away - radius * (1 + np.clip(0.9 * clouds(rng, 7, len(away)), -0.35, 0.6))
    soaked = ramp(inside, 0.06) * (0.7 + 0.3 * ramp(np.abs(inside + 0.05) - 0.03, 0.06))
    loss = contrast * soaked[..., None] * (1 - blend_colours(rng, _STAINS))
    return reflectance * (1 - loss), height


def _missing(tile: Tile, rng: np.random.Generator, contrast: float) -> tuple[Array, Array]:
    angle = np.arctan2(tile.y, tile.x)
    if rng.random() < 0.5:
        petals = 1 + float(rng.integers(2))
        middle = EIGHTH_TURN * (float(rng.integers(8)) + (petals - 1) / 2)
        half_width = EIGHTH_TURN * petals / 2
        part = tile.petals
    else:
        middle, half_width = uniform(rng, 0, 2 * np.pi), EIGHTH_TURN * uniform(rng, 0.5, 0.8)
        part = tile.ring
    off_middle = np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)
    gone = contrast * part * ramp(off_middle - half_width, 0.06)
    reflectance, height = tile.surface()
    return reflectance * (1 - gone[..., None]) + _BODY * gone[..., None], height - gone


_DEFECTS = {"scratch": _scratch, "hole": _hole, "stain": _stain, "missing": _missing}
KINDS = tuple(_DEFECTS)


def draw_tile(
    seed: Sequence[int], size_px: int, kind: str | None = None, grade: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one tile, a function of its arguments only.

    Args:
        seed: Integers >= 0 that identify the tile.
        size_px: Height and width in pixels.
        kind: One of `KINDS`, or None for a tile without a defect.
        grade: Contrast of the defect, from 0 (faintest, still visible) to 1.

    Returns:
        The image, (size_px, size_px, 3) uint8 RGB, and the mask of the pixels that the defect
        changed, (size_px, size_px) bool, all False without a defect.

    >>> image, mask = draw_tile((0, 7), size_px=64, kind="stain", grade=0.5)
    >>> sound, nothing = draw_tile((0, 7), size_px=64)
    >>> bool((mask == (image != sound).any(axis=-1)).all()), bool(nothing.any())
    (True, False)
    """
    rng = np.random.Generator(np.random.PCG64(list(seed)))
    tile = make_tile(rng, size_px)
    image = tile.photograph(*tile.surface())
    mask = np.zeros((size_px, size_px), dtype=np.bool_)
    if kind is not None:
        faint, strong = CONTRAST[kind]
        surface = _DEFECTS[kind](tile, rng, faint + (strong - faint) * grade)
        defective = tile.photograph(*surface)
        mask = np.abs(defective - image).max(axis=-1) > _CHANGE
        image = np.where(mask[..., None], defective, image)
    return np.round(255 * image).astype(np.uint8), mask
