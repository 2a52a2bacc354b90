"""DICOM files, drawn with pydicom; its own functions are the reference for windows."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, FileMetaDataset, Sequence
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_windowing
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from cyclegan_ad.data.decoded_files import decode_file
from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import decode_image, read_mask, upright_size

SIDE = 8
RAMP = np.linspace(0, 4095, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
HOUNSFIELD = {"RescaleSlope": 2, "RescaleIntercept": -1024}


def dicom(
    values: np.ndarray, *, bits: int = 12, syntax: str = ExplicitVRLittleEndian, **more: Any
) -> Dataset:
    """A file of grey (H, W) or RGB (H, W, 3) values, with further attributes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[:2]
    colour = values.ndim == 3
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def content(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def decode(dataset: Dataset, window: tuple[float, float] | None = None) -> np.ndarray:
    return decode_image(content(dataset), SIDE, 1, window)[..., 0]


def test_the_window_of_the_settings_applies_to_rescaled_values() -> None:
    values = np.array([[0, 511, 512], [513, 1024, 1535], [1536, 1537, 4095]], dtype=np.uint16)
    # 2 * value - 1024 is -1024, -2, 0 and 2, 1024, 2046 and 2048, 2050, 7166.
    expected = [[0, 0, 0], [0, 128, 255], [255, 255, 255]]
    file = content(dicom(values, **HOUNSFIELD, WindowCenter=9, WindowWidth=9))
    assert decode_image(file, 3, 1, (0, 2048))[..., 0].tolist() == expected


@pytest.mark.parametrize("white", [False, True])
def test_the_window_of_the_settings_is_linear_exact_of_the_standard(white: bool) -> None:
    kind = "MONOCHROME1" if white else "MONOCHROME2"
    dataset = dicom(RAMP, **HOUNSFIELD, PhotometricInterpretation=kind)
    low, high = -160.0, 240.0
    decoded = decode(dataset, (low, high))
    dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.WindowCenter, dataset.WindowWidth = (low + high) / 2, high - low
    shown = apply_windowing(RAMP * 2.0 - 1024, dataset)  # from -1024 to 2 * 4095 - 1024
    reference = 255 * (shown + 1024) / 8190
    np.testing.assert_allclose(decoded, 255 - reference if white else reference, atol=0.501)
    np.testing.assert_array_equal(decode(dataset), decoded)  # now by the window of the file


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("slope", [1, -0.5])
def test_the_window_of_the_file(function: str | None, signed: bool, slope: float) -> None:
    stored = RAMP.astype(np.int16) - 2048 if signed else RAMP
    window = {"WindowCenter": [40, 7], "WindowWidth": [400, 7]}
    dataset = dicom(stored, **window, RescaleSlope=slope, RescaleIntercept=-100)
    if function is not None:
        dataset.VOILUTFunction = function
    values = stored * slope - 100.0
    if function == "SIGMOID":
        share = 1 / (1 + np.exp(-4 * (values - 40) / 400))
    elif function == "LINEAR_EXACT":
        share = ((values - 40) / 400 + 0.5).clip(0, 1)
    else:
        share = ((values - 39.5) / 399 + 0.5).clip(0, 1)
    np.testing.assert_allclose(decode(dataset), 255 * share, atol=0.501)


def test_monochrome1_is_inverted_after_the_window() -> None:
    values = np.array([[0, 100], [200, 4095]], dtype=np.uint16)
    file = content(dicom(values, PhotometricInterpretation="MONOCHROME1"))
    assert decode_image(file, 2, 1, (0, 200))[..., 0].tolist() == [[255, 127], [0, 0]]


def test_look_up_tables_of_modality_and_window() -> None:
    def table(entries: list[int], bits: int) -> Sequence:
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [len(entries), 0, bits])
        item.add_new("LUTData", "US", entries)
        return Sequence([item])

    values = np.array([[0, 1], [2, 3]], dtype=np.uint16)
    dataset = dicom(values, ModalityLUTSequence=table([0, 10, 20, 30], 16))
    assert decode_image(content(dataset), 2, 1, (0, 30))[..., 0].tolist() == [[0, 85], [170, 255]]
    dataset = dicom(values, VOILUTSequence=table([0, 4095, 1024, 2048], 12))
    assert decode_image(content(dataset), 2, 1)[..., 0].tolist() == [[0, 255], [64, 128]]
    with pytest.raises(UnreadableImage, match=r"300 entries of 8 bits.*dataset\.window="):
        decode_image(content(dicom(values, VOILUTSequence=table([7] * 300, 8))), 2, 1)


def test_without_a_window_the_values_are_told(tmp_path: Any) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(content(dicom(RAMP, **HOUNSFIELD)))
    found = decode_file(path, SIDE, 1, None)
    assert found.pixels is None and found.span == (-1024, 2 * 4095 - 1024, None)
    assert "from -1024 to 7166" in found.reason and "dataset.window=[LOW,HIGH]" in found.reason


def test_8_bits_need_no_window() -> None:
    grey = (np.arange(SIDE * SIDE) * 4).astype(np.uint8).reshape(SIDE, SIDE)
    np.testing.assert_array_equal(decode(dicom(grey, bits=8)), grey)
    inverted = dicom(grey, bits=8, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(decode(inverted), 255 - grey)
    assert decode(dicom(grey, bits=8), (0, 100)).max() == 255
    with pytest.raises(UnreadableImage, match=r"dataset\.window="):
        decode(dicom(grey, bits=8, RescaleSlope=2, RescaleIntercept=0))


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, RLELossless])
def test_other_encodings_of_the_same_values(syntax: str) -> None:
    if syntax == RLELossless:
        dataset = dicom(RAMP)
        dataset.compress(RLELossless)
    else:
        dataset = dicom(RAMP, syntax=syntax)
    expected = decode_image(content(dicom(RAMP)), SIDE, 1, (0, 4095))
    np.testing.assert_array_equal(decode_image(content(dataset), SIDE, 1, (0, 4095)), expected)


def test_colours() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(content(dicom(rgb, bits=8)), SIDE, 3), rgb)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    dataset = dicom(ybr, bits=8, PhotometricInterpretation="YBR_FULL")
    difference = decode_image(content(dataset), SIDE, 3).astype(int) - rgb
    assert np.abs(difference).max() <= 3  # rounded twice
    with pytest.raises(UnreadableImage, match=r"dataset\.window does not apply"):
        decode_image(content(dicom(rgb, bits=8)), SIDE, 3, (0, 100))


def test_a_palette() -> None:
    index = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    dataset = dicom(index, bits=8, PhotometricInterpretation="PALETTE COLOR")
    for colour, entries in (("Red", [0, 255, 9, 1]), ("Green", [7] * 4), ("Blue", [1, 2, 3, 4])):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", bytes(entries))
        dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
    decoded = decode_image(content(dataset), 2, 3)
    assert decoded.tolist() == [[[0, 7, 1], [255, 7, 2]], [[9, 7, 3], [1, 7, 4]]]


def test_jpeg_inside() -> None:
    photograph = io.BytesIO()
    Image.new("L", (SIDE, SIDE), 90).save(photograph, "JPEG", quality=95)
    dataset = dicom(np.zeros((SIDE, SIDE), np.uint8), bits=8, syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([photograph.getvalue()])
    assert np.abs(decode(dataset).astype(int) - 90).max() <= 2


def test_the_first_frame_counts_with_what_belongs_to_it() -> None:
    frames = np.stack([RAMP, RAMP[::-1]])
    dataset = dicom(RAMP, NumberOfFrames=2, PixelData=frames.tobytes())
    np.testing.assert_array_equal(decode(dataset, (0, 4095)), decode(dicom(RAMP), (0, 4095)))
    scaled, shown, group = Dataset(), Dataset(), Dataset()
    scaled.RescaleSlope, scaled.RescaleIntercept = 2, -1024
    shown.WindowCenter, shown.WindowWidth = 40, 400
    group.PixelValueTransformationSequence = Sequence([scaled])
    dataset.SharedFunctionalGroupsSequence = Sequence([group])
    group = Dataset()
    group.FrameVOILUTSequence = Sequence([shown])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([group, Dataset()])
    flat = dicom(RAMP, **HOUNSFIELD, WindowCenter=40, WindowWidth=400)
    np.testing.assert_array_equal(decode(dataset), decode(flat))


def test_what_cannot_be_decoded_is_named() -> None:
    def reason(dataset: Dataset) -> str:
        with pytest.raises(UnreadableImage) as caught:
            decode(dataset, (0, 4095))
        return str(caught.value)

    for syntax in (JPEGLosslessSV1, JPEGExtended12Bit, MPEG2MPML):
        dataset = dicom(RAMP, syntax=syntax, PixelData=encapsulate([b"\0\0"]))
        assert syntax.name in reason(dataset) and "pip install pylibjpeg" in reason(dataset)
    report = dicom(RAMP, Modality="SR")
    del report.PixelData, report.Rows, report.Columns
    assert reason(report) == "DICOM without an image of integers (SR)"
    huge = dicom(RAMP, Rows=65535, Columns=65535)
    assert "65535 x 65535 px" in reason(huge)
    assert "damaged DICOM" in reason(dicom(RAMP, PixelData=RAMP.tobytes()[:20]))
    with pytest.raises(UnreadableImage, match="DICOM without an image"):
        decode_image(content(dicom(RAMP))[:300], SIDE, 1)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    file = content(dicom(RAMP))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(file, SIDE, 1, (0, 4095))
    assert str(caught.value) == (
        "DICOM needs the package pydicom: pip install 'cyclegan-ad[medical]'"
    )


def test_size_and_mask(tmp_path: Any) -> None:
    path = tmp_path / "IM0001"
    path.write_bytes(content(dicom(RAMP[:3])))
    assert upright_size(path) == (SIDE, 3)
    with pytest.raises(UnreadableImage, match="save it as PNG"):
        read_mask(path, 4)
