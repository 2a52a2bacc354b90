"""Single slices in NIfTI files."""

import gzip
import io
import logging
import zlib
from typing import TYPE_CHECKING

import numpy as np

from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import MAX_FILE_BYTES, UnreadableImage, require_package

if TYPE_CHECKING:
    from nibabel import Nifti1Image

_GZIP = b"\x1f\x8b"
_HEADER_BYTES = 352


def is_nifti(data: bytes) -> bool:
    """Return whether a file begins like NIfTI-1 or 2 with its pixels inside, also compressed.

    So does a compressed file that is damaged there.
    """
    if data.startswith(_GZIP):
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error):
            return True
    return data[344:348] == b"n+1\0" or _is_nifti_2(data)


def image_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a slice.

    Raises:
        UnreadableImage: nibabel is not installed, or the file holds a volume.
        Exception: The file is damaged; any type of exception is possible.
    """
    width, height = _slice_shape(_read(data))
    return width, height


def read_pixels(data: bytes, as_stored: bool) -> DeepPixels:
    """Read the slice of a NIfTI file, with its slope and intercept applied.

    The first axis longer than one goes to the right, the second one down, as stored: the
    affine is not used.

    Args:
        data: Contents of the file.
        as_stored: Whether to leave 8 bits open to a window.

    Returns:
        Grey of 8 bits if the file holds unsigned bytes; else grey values of which none is known to
        be white.

    Raises:
        UnreadableImage: nibabel is not installed, the file holds a volume, or values that are not
            real finite numbers.
        Exception: The file is damaged; any type of exception is possible.
    """
    image = _read(data)
    shape = _slice_shape(image)
    values = np.asanyarray(image.dataobj)
    if values.dtype.kind not in "uif":
        kind = image.get_data_dtype()
        raise UnreadableImage(f"NIfTI of {kind} values is not supported: save real numbers")
    if not np.isfinite(values).all():
        raise UnreadableImage("NIfTI with values that are not finite: replace them by numbers")
    values = values.reshape(shape).T[..., None]
    return DeepPixels(values, 8 if values.dtype == np.uint8 and not as_stored else None, "grey")


def _read(data: bytes) -> "Nifti1Image":
    require_package("nibabel", "NIfTI", "medical")
    from nibabel import Nifti1Image, Nifti2Image  # takes a second

    # It logs what it mends in headers, also where pixels do not depend on it.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    if data.startswith(_GZIP):
        data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise UnreadableImage("NIfTI of more than 4 GiB")
    return (Nifti2Image if _is_nifti_2(data) else Nifti1Image).from_bytes(data)


def _is_nifti_2(data: bytes) -> bool:
    return data[4:8] == b"n+2\0"


def _slice_shape(image: "Nifti1Image") -> tuple[int, int]:
    """Return the lengths of the two axes of a slice."""
    shape = [int(length) for length in image.shape]
    longer = [length for length in shape if length > 1]
    if len(longer) > 2:
        size = " x ".join(map(str, shape))
        raise UnreadableImage(
            f"NIfTI volume of {size}: only single slices are read; save each as a file of its own, "
            "in Python image.slicer[:, :, k:k + 1].to_filename('slice.nii.gz') of nibabel"
        )
    width, height = [*longer, 1, 1][:2]
    return width, height
