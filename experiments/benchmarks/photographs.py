"""Images whose files cost what a camera's do: shading, shapes and sensor noise."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# So many are drawn; further files are copies, which cost as much to decode.
_DRAWN = 4
_NOISE = 4.0  # standard deviation, in grey levels
_SHAPES = 12


def write_photographs(root: Path, count: int, size_px: int) -> list[Path]:
    """Write PNG files in the layout ``folder``, half of them normal and half abnormal.

    Args:
        root: Folder of the data set; made.
        count: Files.
        size_px: Side of the images.

    Returns:
        The files.
    """
    paths: list[Path] = []
    for i in range(count):
        path = root / ("normal", "abnormal")[i % 2] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < _DRAWN:
            Image.fromarray(draw_photograph(i, size_px)).save(path)
        else:
            path.write_bytes(paths[i % _DRAWN].read_bytes())
        paths.append(path)
    return paths


def draw_photograph(seed: int, size_px: int) -> NDArray[np.uint8]:
    """One image, a function of the seed: (size_px, size_px, 3) uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : complex(size_px), 0 : 1 : complex(size_px)].astype(np.float32)
    picture = 90 + 60 * np.stack([x * y, (1 - x) * y, x * (1 - y)], axis=-1)
    for _ in range(_SHAPES):
        centre_x, centre_y, radius = random.uniform(0, 1, 3) * (1, 1, 0.2)
        inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
        picture[inside] += random.uniform(-60, 60, 3)
    picture += random.normal(0, _NOISE, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)
