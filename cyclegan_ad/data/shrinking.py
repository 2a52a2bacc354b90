"""Resizing of ground-truth masks to the network's size without losing a defect."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WITH_DIAGONALS = np.ones((3, 3), dtype=np.bool_)


def shrink_mask(marked: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    """Resize a mask by nearest neighbour, keeping every connected region.

    A region (8-connected) that no sampling point hits would be lost; instead, the pixels of the
    result that it overlaps are marked.

    Args:
        marked: (H, W) bool, True on the defect.
        size_px: Side of the result.

    Returns:
        (size_px, size_px) bool.

    Example:
        >>> marked = np.zeros((6, 6), dtype=bool)
        >>> marked[2, 5] = True
        >>> shrink_mask(marked, 2).astype(int)
        array([[0, 1],
               [0, 0]])
    """
    sampled_rows, sampled_columns = (_nearest(side, size_px) for side in marked.shape)
    resized = marked[np.ix_(sampled_rows, sampled_columns)]
    if max(marked.shape) <= size_px or not marked.any():
        return resized
    from scipy import ndimage  # slow to import

    box = _extent(marked, 1), _extent(marked, 0)  # most defects are small
    parts, count = ndimage.label(marked[box], structure=_WITH_DIAGONALS)
    lost = np.ones(count + 1, dtype=np.bool_)
    lost[0] = False
    rows, columns = (
        sampled[(sampled >= side.start) & (sampled < side.stop)] - side.start
        for sampled, side in zip((sampled_rows, sampled_columns), box, strict=True)
    )
    lost[parts[np.ix_(rows, columns)]] = False
    if lost.any():
        y, x = (
            (where + side.start) * size_px // length
            for where, side, length in zip(np.nonzero(lost[parts]), box, marked.shape, strict=True)
        )
        resized[y, x] = True
    return resized


def _nearest(side: int, size_px: int) -> NDArray[np.int32]:
    """Return the rows or columns that Pillow samples; no closed formula matches its rounding."""
    ramp = Image.fromarray(np.arange(side, dtype=np.int32)[None])
    return np.asarray(ramp.resize((size_px, 1), Image.Resampling.NEAREST))[0]


def _extent(marked: NDArray[np.bool_], axis: int) -> slice:
    """Return the range of rows or columns with a marked pixel, reducing along ``axis``."""
    where = np.flatnonzero(marked.any(axis=axis))
    return slice(int(where[0]), int(where[-1]) + 1)
