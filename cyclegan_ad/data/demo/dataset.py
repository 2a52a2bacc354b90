"""The demo data: 200 normal and 60 defective tiles, drawn on first use from a seed.

The package contains no images and needs no download. The folder has the `folder` layout:
`normal/tile_000.png`, `abnormal/scratch_000.png`, `masks/scratch_000.png`. There are 15 defects of
each kind, numbered from the faintest to the strongest.
"""

import json
import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.demo.defects import KINDS, draw_tile
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted

FORMAT = 1  # increase it with every change to the drawing that changes a pixel
NORMAL_IMAGES = 200
ABNORMAL_IMAGES = 60
MARKER = "demo.json"  # written last: marks the folder as complete and holds the arguments
_GRADES = ABNORMAL_IMAGES // len(KINDS)


def draw_image(
    seed: int, index: int, label: int, size_px: int = 128
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw one image of the demo data, a function of the arguments only.

    Args:
        seed: Seed of the dataset, >= 0.
        index: Number of the image within its class, from 0. For a defective tile it also gives the
            kind, `KINDS[index % 4]`, and the contrast, which increases with `index // 4`.
        label: 0 normal, 1 abnormal.
        size_px: Height and width in pixels.

    Returns:
        The image, (size_px, size_px, 3) uint8 RGB, and the mask of the pixels that the defect
        changed, (size_px, size_px) bool, all False for a normal image.
    """
    if label == 0:
        return draw_tile((seed, label, index), size_px)
    kind, grade = KINDS[index % len(KINDS)], index // len(KINDS) / (_GRADES - 1)
    return draw_tile((seed, label, index), size_px, kind, grade)


def draw_demo(root: Path, seed: int = 0, size_px: int = 128) -> Path:
    """Draw the demo data into `root` unless it exists (takes some seconds).

    The images are drawn into a temporary folder that is then renamed, so `root` is always complete
    or absent, and processes may start at the same time: the first to finish provides the data.

    Args:
        root: Folder of the data.
        seed: Seed of the drawing, >= 0.
        size_px: Height and width of the images in pixels, >= 16.

    Returns:
        `root`.

    Raises:
        UserError: `root` exists and is not complete demo data of this seed, size and format (its
            content is left unchanged), or the data cannot be written.
    """
    marker = {"format": FORMAT, "seed": seed, "size_px": size_px}
    if _is_drawn(root, marker):
        return root
    draft = root.parent / f".{root.name}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        _write(draft, seed, size_px)
        (draft / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        draft.rename(root)
    except OSError as error:
        if not _is_drawn(root, marker):  # else another process was faster
            why = error.strerror or error
            raise UserError(
                f"demo data cannot be written to {root} ({why}); use a writable folder with "
                "cache_dir=PATH"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return root


def _names() -> list[str]:
    """Return the stems of the abnormal images, in the order of their index."""
    return [f"{KINDS[i % len(KINDS)]}_{i // len(KINDS):03d}" for i in range(ABNORMAL_IMAGES)]


def _is_drawn(root: Path, marker: dict[str, int]) -> bool:
    """Return whether `root` holds these data; False if it is absent or empty, else an error."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    remedy = "delete it to draw it again, or use another folder with cache_dir=PATH"
    try:
        found = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{root} exists but is not demo data (no {MARKER}); {remedy}") from None
    if found != marker:
        raise UserError(f"{root} holds demo data of {found}, expected {marker}; {remedy}")
    wanted = {f"normal/tile_{i:03d}.png" for i in range(NORMAL_IMAGES)}
    wanted |= {f"{folder}/{name}.png" for folder in ("abnormal", "masks") for name in _names()}
    missing = wanted - {path.relative_to(root).as_posix() for path in root.glob("*/*.png")}
    if missing:
        lacking = counted(len(missing), "image")
        raise UserError(f"{root} lacks {lacking}, such as {min(missing)}; {remedy}")
    return True


def _write(root: Path, seed: int, size_px: int) -> None:
    for folder in ("normal", "abnormal", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(NORMAL_IMAGES):
        image, _ = draw_image(seed, index, 0, size_px)
        Image.fromarray(image).save(root / "normal" / f"tile_{index:03d}.png")
    for index, name in enumerate(_names()):
        image, mask = draw_image(seed, index, 1, size_px)
        Image.fromarray(image).save(root / "abnormal" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
