"""DICOM images: stored values to those of the modality, and the window of the file."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.data.formats.deep_pixels import DeepPixels
from cyclegan_ad.data.formats.image_bytes import UnreadableImage, require_package

if TYPE_CHECKING:
    from pydicom import Dataset

HEADER_BYTES = 132
_GREY = ("MONOCHROME1", "MONOCHROME2")
_WHITE = 255


def is_dicom(data: bytes) -> bool:
    """Return whether a file begins like DICOM; its first ``HEADER_BYTES`` bytes suffice."""
    return data[128:HEADER_BYTES] == b"DICM"


def image_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a DICOM image.

    Raises:
        UnreadableImage: pydicom is not installed, or the file holds no image.
        Exception: The file is damaged; any type of exception is possible.
    """
    dataset = _read(data, pixels=False)
    return int(dataset.Columns), int(dataset.Rows)


def read_pixels(data: bytes, as_stored: bool) -> DeepPixels:
    """Read the first frame of a DICOM file.

    Grey values get the rescale slope and intercept or the modality look-up table of the file. The
    window, or VOI look-up table, of the file makes 8 bits of them. MONOCHROME1 is inverted.

    Args:
        data: Contents of the file.
        as_stored: Whether to leave out the window of the file.

    Returns:
        RGB; or grey of 8 bits, by the window of the file or because it holds no more; or grey
        values of which none is known to be white.

    Raises:
        UnreadableImage: A package is not installed, the file holds no image, or its compression or
            colours are not supported.
        Exception: The file is damaged; any type of exception is possible.
    """
    dataset = _read(data, pixels=True)
    _require_decoder(dataset)
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    colours, bits = str(dataset.PhotometricInterpretation), int(dataset.BitsStored)
    stored = pixel_array(dataset, index=0)
    if colours == "PALETTE COLOR":
        rgb = apply_color_lut(stored, dataset)[..., :3]
        if rgb.dtype == np.uint8 and stored.max() > _WHITE:  # pydicom would take it modulo 256
            raise UnreadableImage("DICOM with a palette of more than 256 colours of 8 bits")
        depth = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        return DeepPixels(rgb, depth if rgb.max() < 2**depth else 16, "RGB")
    if colours not in _GREY:
        if stored.ndim != 3 or stored.shape[2] != 3 or dataset.PixelRepresentation or bits > 16:
            raise UnreadableImage(f"DICOM of {colours} pixels is not supported: save it as PNG")
        return DeepPixels(stored, bits, "RGB")
    values = apply_modality_lut(stored, dataset)
    inverted = colours == "MONOCHROME1"
    if not as_stored:
        if (shown := _windowed_by_file(values, dataset)) is not None:
            return DeepPixels(shown[..., None], 8, "grey", white_is_zero=inverted)
        plain = values is stored and not dataset.PixelRepresentation
        if plain and bits <= 8:
            return DeepPixels(values[..., None], bits, "grey", white_is_zero=inverted)
    return DeepPixels(values[..., None], None, "grey", white_is_zero=inverted)


def _read(data: bytes, *, pixels: bool) -> "Dataset":
    require_package("pydicom", "DICOM", "medical")
    from pydicom import dcmread  # with pydicom.pixels, takes a second

    dataset = dcmread(io.BytesIO(data), stop_before_pixels=not pixels)
    if any(name not in dataset for name in ("Rows", "Columns", "BitsStored")):
        kind = dataset.get("Modality") or "unknown modality"
        raise UnreadableImage(f"DICOM without an image of integers ({kind})")
    # In enhanced DICOM, what belongs to a frame stands in groups, those of all frames first.
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in dataset.get(name, [])[:1]:
            for part in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for item in group.get(part, [])[:1]:
                    dataset.update(item)
    return dataset


def _require_decoder(dataset: "Dataset") -> None:
    """Check that the compression of a file can be decoded here."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:  # video, or private
        known = False
    if syntax == JPEGExtended12Bit and dataset.BitsStored > 8:  # which Pillow does not decode
        known = "pylibjpeg" in get_decoder(syntax).available_plugins
    if not known:
        raise UnreadableImage(
            f"DICOM in the compression '{syntax.name}' cannot be decoded: "
            "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or decompress it"
        )


def _windowed_by_file(values: NDArray, dataset: "Dataset") -> NDArray[np.uint8] | None:
    """Return grey values of 8 bits by the first window of a file; None if it has none."""
    from pydicom.pixels import apply_voi_lut

    lut = dataset.get("VOILUTSequence")
    if lut and lut[0].get("LUTData") is not None:
        entries, first, depth = map(int, lut[0].LUTDescriptor)
        entries = entries or 2**16
        if depth == 8 and entries > 256:  # pydicom would take the entry modulo 256
            raise UnreadableImage(
                f"DICOM with a window of {entries} entries of 8 bits is not supported: set "
                "dataset.window=[LOW,HIGH]"
            )
        index = np.rint(values).clip(first, first + entries - 1).astype(np.int64)
        shown = apply_voi_lut(index, dataset)
        black, white = 0, 2**depth - 1
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        shown = apply_voi_lut(values, dataset)
        # The range of the result depends on many attributes: take it from the function itself.
        black, white = apply_voi_lut(np.array([-np.inf, np.inf]), dataset)
    else:
        return None
    return (_WHITE * (shown.astype(np.float64) - black) / (white - black) + 0.5).astype(np.uint8)
