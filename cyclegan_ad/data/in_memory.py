"""Images given in memory instead of in a file."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.formats.deep_pixels import DeepPixels


def as_image(
    image: Image.Image | NDArray[np.uint8] | NDArray[np.uint16],
) -> Image.Image | DeepPixels:
    """Return an image as decoded from a file.

    Args:
        image: A Pillow image, or an array, (H, W) or (H, W, C) with C = 1, 3 or, of uint8, 4.

    Raises:
        ValueError: If an array has another shape or dtype.
    """
    if isinstance(image, Image.Image):
        return image
    array = np.asarray(image)
    deep = array.dtype == np.uint16
    channels = array.shape[2] if array.ndim == 3 else 1
    if not (
        (deep or array.dtype == np.uint8)
        and array.ndim in (2, 3)
        and channels in ((1, 3) if deep else (1, 3, 4))
    ):
        raise ValueError(
            f"invalid image of shape {array.shape} and dtype {array.dtype}: expected (H, W) or "
            "(H, W, C), uint8 with C = 1, 3 or 4 or uint16 with C = 1 or 3"
        )
    if deep:
        values = array.reshape(*array.shape[:2], channels)
        return DeepPixels(values, 16, "grey" if channels == 1 else "RGB")
    return Image.fromarray(array[..., 0] if channels == 1 and array.ndim == 3 else array)
