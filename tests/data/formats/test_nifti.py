"""Slices in NIfTI files, drawn with nibabel."""

import gzip
import struct
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cyclegan_ad.data.decoded_files import decode_file
from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import decode_image, read_mask, upright_size

VALUES = np.arange(24, dtype=np.int16).reshape(6, 4) * 100 - 1000  # 6 to the right, 4 down


def nifti(values: np.ndarray, kind: type = nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    return kind(values, np.diag([-2.0, 3.0, 1.0, 1.0]))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (1, 6, 4), (6, 1, 4, 1)])
def test_a_slice_is_shown_as_stored(kind: type, packed: bool, shape: tuple[int, ...]) -> None:
    data = nifti(VALUES.reshape(shape), kind).to_bytes()
    decoded = decode_image(gzip.compress(data) if packed else data, 24, 1, (-1000, 1300))
    expected = np.round(255 * (VALUES.T + 1000.0) / 2300)
    # 24 px hold each of 6 x 4 pixels 4 x 6 times; the middle of each is nearly its value.
    np.testing.assert_allclose(decoded[3::6, 2::4, 0], expected, atol=8)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    data = bytearray(nifti(np.array([[40, 240], [440, 640]], dtype=np.int16)).to_bytes())
    struct.pack_into("<ff", data, 112, 0.5, -20)  # scl_slope and scl_inter: 0, 100, 200, 300
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(data))
    assert nibabel.load(path).get_fdata().tolist() == [[0, 100], [200, 300]]
    found = decode_file(path, 2, 1, (0, 200))
    assert found.pixels is not None
    assert found.pixels[..., 0].tolist() == [[0, 255], [128, 255]]
    assert found.span == (0, 300, None)
    assert upright_size(path) == (2, 2)


def test_without_a_window_only_unsigned_bytes_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(VALUES).to_bytes())
    found = decode_file(path, 4, 1, None)
    assert found.pixels is None and found.span == (-1000, 1300, None)
    assert "dataset.window=[LOW,HIGH]" in found.reason
    grey = np.array([[0, 90], [180, 255]], dtype=np.uint8)
    assert decode_image(nifti(grey).to_bytes(), 2, 1)[..., 0].tolist() == grey.T.tolist()
    windowed = decode_image(nifti(grey).to_bytes(), 2, 1, (0, 180))[..., 0]
    assert windowed.tolist() == [[0, 255], [128, 255]]


def test_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nifti((VALUES > 0).astype(np.int16)), path)
    assert read_mask(path, 4, (6, 4)).any()
    np.testing.assert_array_equal(read_mask(path, 24)[3::6, 2::4], VALUES.T > 0)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((6, 4, 3), np.int16),
        np.full((6, 4), np.nan, np.float32),
        np.zeros((6, 4), np.complex64),
    ],
)
def test_what_is_not_read_is_named(values: np.ndarray) -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(nifti(values).to_bytes(), 4, 1, (0, 1))
    reason = str(caught.value)
    if values.ndim == 3:
        assert "volume of 6 x 4 x 3" in reason and "image.slicer[:, :, k:k + 1]" in reason
    else:
        assert "not finite" in reason or "complex64" in reason


def test_the_advice_for_a_volume_works(tmp_path: Path) -> None:
    volume = np.stack([VALUES, VALUES + 5, VALUES + 9], axis=2)
    nifti(volume).slicer[:, :, 1:2].to_filename(tmp_path / "slice.nii.gz")
    found = decode_file(tmp_path / "slice.nii.gz", 4, 1, (-1000, 1300))
    assert found.span == (-995, 1305, None) and found.pixels is not None


def test_damage_is_named() -> None:
    data = nifti(VALUES).to_bytes()
    packed = gzip.compress(data)
    for damaged in (data[:-20], packed[:-30], packed[:20] + bytes(20), packed[:30], packed[:2]):
        with pytest.raises(UnreadableImage, match="damaged NIfTI"):
            decode_image(damaged, 4, 1, (0, 1))
    with pytest.raises(UnreadableImage, match=r"^not a PNG"):
        decode_image(gzip.compress(b"a list"), 4, 1)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    data = nifti(VALUES).to_bytes()
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, 4, 1, (0, 1))
    assert str(caught.value) == (
        "NIfTI needs the package nibabel: pip install 'cyclegan-ad[medical]'"
    )
