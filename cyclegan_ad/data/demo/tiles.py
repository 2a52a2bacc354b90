"""Normal tiles of the demo data: glazed ceramic with a relief rosette, and a camera above it.

Lighting, colour of the glaze, position of the rosette and grain vary between tiles by more than
most defects change an image: the distance to the mean tile does not detect the defects.

The camera adjusts exposure, white balance and contrast automatically, as inspection cameras do.
Otherwise a generator with instance norm, which removes the mean brightness of an image, could not
learn to reproduce the tiles. The constants in capitals determine the difficulty of the data.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EIGHTH_TURN = np.pi / 4

# Variation of normal tiles: the larger, the worse the mean image detects defects.
LIGHT_GRADIENT = 0.28  # largest change of the light from the centre to an edge
MARBLING = 0.045  # slow changes of the glaze's colour
CAMERA_ERROR = 0.012  # remaining error of exposure, white balance and contrast
GRAIN = 0.010  # per pixel; not reproducible by a generator, so it is noise in every score
RELIEF = 0.10  # brightness of the edges that face the light
JITTER = 0.04  # shift of the rosette, in half tile widths; its scale varies by as much
TURN_DEG = 6.0  # rotation of the rosette

# Colours, RGB reflectance in [0, 1] (the marbling: differences).
_GLAZE = np.array((0.76, 0.71, 0.62))
_MARBLING = np.array([(0.8, 0.1, -0.8), (-0.6, 0.5, -0.3), (0.7, 0.7, 0.7)])  # warm, green, light
_DECORS = np.array([(0.36, 0.48, 0.76), (0.32, 0.54, 0.70), (0.44, 0.45, 0.74)])
_GROUT = np.array((0.55, 0.53, 0.50))
_EDGE = 0.04  # softness of the decor's outline, in half tile widths
_LEVEL = np.array((0.54, 0.54, 0.53))  # mean of the photograph of a normal tile
_SPREAD = 0.16  # and its standard deviation


@dataclass(slots=True)
class Tile:
    """One tile before it is lit: arrays over the pixels (H, W), and how the light falls."""

    x: Array  # right, in half tile widths of the rosette's own frame
    y: Array  # down
    glaze: Array  # (H, W, 3) reflectance without decor
    tint: Array  # (3,) factor of the decor on the glaze
    petals: Array  # (H, W) cover in [0, 1], as the next two
    ring: Array
    rest: Array  # the centre and the four corners
    light: Array  # (H, W) factor on the reflectance
    towards_light: Array  # (2,) unit vector, x and y
    grain: Array  # (H, W, 1)
    level: Array  # (3,) what the camera adds
    gain: float = 1.0  # what the camera multiplies by

    def surface(self) -> tuple[Array, Array]:
        """Return reflectance (H, W, 3) and height (H, W) of the tile without a defect."""
        cover = np.maximum(np.maximum(self.petals, self.ring), self.rest)
        return self.glaze * (1 - cover[..., None] * (1 - self.tint)), cover

    def photograph(self, reflectance: Array, height: Array) -> Array:
        """Render the lit surface as seen by the camera, (H, W, 3) in [0, 1]."""
        seen = self.level + self.gain * self._lit(reflectance, height) + self.grain
        return np.asarray(np.clip(seen, 0, 1))

    def _lit(self, reflectance: Array, height: Array) -> Array:
        down, right = np.gradient(height * len(height) / 128)
        facing = self.towards_light[0] * right + self.towards_light[1] * down
        return np.asarray(reflectance * (self.light * (1 - 2 * RELIEF * facing))[..., None])

    def adjust_camera(self, rng: np.random.Generator) -> None:
        """Set level and gain so that the normal tile has the target mean and deviation."""
        lit = self._lit(*self.surface())
        mean = lit.mean(axis=(0, 1))
        error = 1 + CAMERA_ERROR * 3**0.5 * (2 * rng.random(4) - 1)
        self.gain = _SPREAD * float(error[3]) / float((lit - mean).std())
        self.level = _LEVEL * error[:3] - self.gain * mean


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number uniformly from [`low`, `high`)."""
    return low + (high - low) * float(rng.random())


def blend_colours(rng: np.random.Generator, colours: Array) -> Array:
    """Draw a mixture of the given colours (K, 3), all mixtures equally likely."""
    weights = -np.log1p(-rng.random(len(colours)))
    return np.asarray(weights @ colours / weights.sum())


def ramp(distance: Array, softness: float) -> Array:
    """Return 1 where `distance` is well below 0, 0 where it is well above, smooth in between."""
    t = np.clip(0.5 - distance / softness, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@functools.cache
def _spline(cells: int, size_px: int) -> Array:
    """Return cubic B-spline weights (size_px, cells + 3) from a coarse grid to the pixels."""
    position = np.arange(size_px)[:, None] / size_px * cells + 1 - np.arange(cells + 3)[None]
    t = np.abs(position)
    near = 2 / 3 - t**2 + t**3 / 2
    return np.asarray(np.where(t < 1, near, np.clip(2 - t, 0, None) ** 3 / 6))


def clouds(rng: np.random.Generator, cells: int, size_px: int) -> Array:
    """Draw smooth noise (H, W) with features of 1/cells of the image, about in [-1, 1]."""
    spread = _spline(cells, size_px)
    grid = 2 * rng.random((cells + 3, cells + 3)) - 1
    return np.asarray(1.8 * spread @ grid @ spread.T)


def _draw_petals(x: Array, y: Array) -> Array:
    """Draw the cover (H, W) of eight petals, each the intersection of two circles."""
    middle, half_length, half_width = 0.35, 0.20, 0.115
    offset = (half_length**2 - half_width**2) / (2 * half_width)
    turned = np.arctan2(y, x) - EIGHTH_TURN * np.round(np.arctan2(y, x) / EIGHTH_TURN)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(turned) - middle, np.abs(radius * np.sin(turned))
    return ramp(np.hypot(along, across + offset) - offset - half_width, _EDGE)


def make_tile(rng: np.random.Generator, size_px: int) -> Tile:
    """Make a normal tile of (size_px, size_px) pixels with a camera adjusted to it."""
    axis = (np.arange(size_px) + 0.5) / size_px * 2 - 1
    plain_x, plain_y = np.meshgrid(axis, axis)
    turn = np.deg2rad(uniform(rng, -TURN_DEG, TURN_DEG))
    scale = 1 + uniform(rng, -JITTER, JITTER)
    left, up = (plain_x - uniform(rng, -JITTER, JITTER), plain_y - uniform(rng, -JITTER, JITTER))
    x = (left * np.cos(turn) + up * np.sin(turn)) / scale
    y = (up * np.cos(turn) - left * np.sin(turn)) / scale
    marbling = np.stack([clouds(rng, 3 + k, size_px) for k in range(3)], axis=-1)
    glaze = _GLAZE + MARBLING * (marbling @ _MARBLING)
    inside = ramp(np.maximum(np.abs(x), np.abs(y)) - 0.965, 0.05)
    glaze = glaze * inside[..., None] + _GROUT * (1 - inside[..., None])
    radius, from_corner = np.hypot(x, y), np.hypot(np.abs(x) - 0.92, np.abs(y) - 0.92)
    direction = uniform(rng, 0, 2 * np.pi)
    towards = np.array((np.cos(direction), np.sin(direction)))
    slope = uniform(rng, 0.1, 1.0) * LIGHT_GRADIENT
    falloff = uniform(rng, 0, 0.5) * LIGHT_GRADIENT * (plain_x**2 + plain_y**2 - 0.67)
    light = 1 + slope * (plain_x * towards[0] + plain_y * towards[1]) - falloff
    tile = Tile(
        x=x,
        y=y,
        glaze=glaze,
        tint=blend_colours(rng, _DECORS),
        petals=_draw_petals(x, y),
        ring=ramp(np.abs(radius - 0.68) - 0.055, _EDGE),
        rest=np.maximum(ramp(radius - 0.11, _EDGE), ramp(from_corner - 0.26, _EDGE) * inside),
        light=light,
        towards_light=towards,
        grain=GRAIN * 3**0.5 * (2 * rng.random((size_px, size_px, 1)) - 1),
        level=np.zeros(3),
    )
    tile.adjust_camera(rng)
    return tile
