"""Reads the pixels of a TIFF through its tags, where Pillow is not known to read them right."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats import tiff_tags as tags
from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import UnreadableImage

if TYPE_CHECKING:
    from tifffile import TiffPage


def pillow_reads(page: "TiffPage", all_bits: bool) -> bool:
    """Whether Pillow reads the pixels of a page that `require_known` let pass, and all right."""
    bits, photometric, extra = page.bitspersample, page.photometric, tags.extra_samples(page)
    if page.compression not in tags.LOSSLESS:
        return True
    if page.parent.is_bigtiff or page.sampleformat != tags.UNSIGNED or tags.extra_is_unknown(page):
        return False
    if page.planarconfig == tags.SEPARATE_PLANES:
        return False
    if page.samplesperpixel == 1 and page.fillorder == 1:
        return bits in (1, 2, 4, 8) or (bits == 16 and photometric == tags.BLACK_IS_ZERO)
    if page.samplesperpixel == 1:
        return bits in (1, 2, 4) and photometric != tags.PALETTE
    if page.fillorder != 1:
        return False
    if bits == 16 and not all_bits:
        return photometric == tags.RGB and extra in (
            (),
            (tags.UNSPECIFIED,),
            (tags.STRAIGHT,),
        )
    return bits == 8 and (
        photometric in (tags.RGB, tags.CMYK)
        or (photometric in (tags.BLACK_IS_ZERO, tags.PALETTE) and extra == (tags.STRAIGHT,))
    )


def read_pixels(page: "TiffPage") -> DeepPixels:
    """Reads the pixels of a page that `require_known` let pass.

    Returns:
        Its pixels as they are stored, not turned by `orientation`.

    Raises:
        UnreadableImage: They need a package that is not installed.
        Exception: They are damaged, which raises nearly every type.
    """
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    values = np.empty((height, width, channels), page.dtype)
    try:
        for segment, (plane, _, top, left, _), shape in page.segments(maxworkers=1):
            if segment is None:
                raise ValueError("a strip or tile is missing")
            rows, columns = min(shape[1], height - top), min(shape[2], width - left)
            pixels = segment[0, :rows, :columns]
            if pixels.shape[:2] != (rows, columns):
                raise ValueError("a strip or tile is too short")
            channel = slice(plane, plane + 1) if pixels.shape[2] == 1 else slice(None)
            values[top : top + rows, left : left + columns, channel] = pixels
    except Exception as error:
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            layout = f"{channels} x {page.bitspersample} bits"
            raise UnreadableImage(
                f"TIFF of {layout} in {tags.name_of(page.compression)} compression needs the "
                "package imagecodecs: pip install imagecodecs"
            ) from error
        raise
    return _interpret(page, values)


def _interpret(page: "TiffPage", values: NDArray) -> DeepPixels:
    """What the tags say of the samples, (H, W, C)."""
    bits, photometric = page.bitspersample, page.photometric
    channels, extra = tags.CHANNELS[photometric], tags.extra_samples(page)
    if tags.extra_is_unknown(page) and values[..., channels].min() < 2**bits - 1:
        tags.refuse("a channel that may be alpha (no ExtraSamples says so)")
    alpha = extra[:1] == (tags.STRAIGHT,)
    values = values[..., : channels + alpha]
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    elif bits == 32 or page.sampleformat == tags.SIGNED:
        low, high = values.min(), values.max()
        if low < 0 or high > 65535:
            raise UnreadableImage(f"grey values from {low} to {high} do not fit into 16 bits")
        values, bits = values.astype(np.uint16), 16
    return DeepPixels(
        values,
        bits,
        tags.COLOURS[photometric],
        white_is_zero=photometric == tags.WHITE_IS_ZERO,
        alpha=alpha,
        palette=tags.palette(page) if photometric == tags.PALETTE else None,
    )
