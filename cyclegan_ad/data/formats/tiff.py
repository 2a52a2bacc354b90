"""Reading of the pixels of TIFF files that Pillow is not known to read correctly."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats import tiff_tags as tags
from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import UnreadableImage

if TYPE_CHECKING:
    from tifffile import TiffPage


def pillow_reads(page: "TiffPage", as_stored: bool) -> bool:
    """Return whether Pillow correctly reads the pixels of a page accepted by `require_known`."""
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
    if bits == 16 and not as_stored:
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
    """Read the pixels of a page accepted by `require_known`.

    Returns:
        The pixels as stored, without applying `orientation`.

    Raises:
        UnreadableImage: They need a package that is not installed.
        Exception: They are damaged; any type of exception is possible.
    """
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    values = np.empty((height, width, channels), page.dtype)
    try:
        for segment, (plane, _, top, left, _), shape in page.segments(maxworkers=1):
            if segment is None:
                raise ValueError("strip or tile missing")
            rows, columns = min(shape[1], height - top), min(shape[2], width - left)
            pixels = segment[0, :rows, :columns]
            if pixels.shape[:2] != (rows, columns):
                raise ValueError("strip or tile too short")
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
    """Interpret samples, (H, W, C), by the tags."""
    bits, photometric = page.bitspersample, page.photometric
    channels, extra = tags.CHANNELS[photometric], tags.extra_samples(page)
    if tags.extra_is_unknown(page) and values[..., channels].min() < 2**bits - 1:
        tags.reject("a channel that may be alpha (no ExtraSamples tag)")
    alpha = extra[:1] == (tags.STRAIGHT,)
    values = values[..., : channels + alpha]
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    elif bits == 32 or page.sampleformat == tags.SIGNED:
        if values.min() < 0 or values.max() > 65535:
            return DeepPixels(values, None, "grey")
        values, bits = values.astype(np.uint16), 16
    return DeepPixels(
        values,
        bits,
        tags.COLOURS[photometric],
        white_is_zero=photometric == tags.WHITE_IS_ZERO,
        alpha=alpha,
        palette=tags.palette(page) if photometric == tags.PALETTE else None,
    )
