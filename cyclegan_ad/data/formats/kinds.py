"""The format of an image file by its first bytes, whatever its suffix."""

from cyclegan_ad.data.formats import dicom, nifti, png, tiff_tags
from cyclegan_ad.data.formats.image_bytes import UnreadableImage

_PREFIXES = {
    "PNG": (png.SIGNATURE,),
    "JPEG": (b"\xff\xd8\xff",),
    "BMP": (b"BM",),
    "TIFF": tiff_tags.PREFIXES,
}
# Names of the coding in the first box of a file of the HEIF family (ISO/IEC 23008-12).
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def kind_of(data: bytes) -> str:
    """Return the format of image data by its first bytes.

    Raises:
        UnreadableImage: The data is empty, or of a format that is not read.
    """
    if not data:
        raise UnreadableImage("empty file")
    for kind, prefixes in _PREFIXES.items():
        if data.startswith(prefixes):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    brands = _brands(data)
    if not _AVIF_BRANDS.isdisjoint(brands):
        return "AVIF"
    if not _HEIC_BRANDS.isdisjoint(brands):
        return "HEIC"
    if dicom.is_dicom(data):
        return "DICOM"
    if nifti.is_nifti(data):
        return "NIfTI"
    raise UnreadableImage(
        "not a PNG, JPEG, BMP, TIFF, WebP, HEIC, AVIF, DICOM or NIfTI image (.nii, .nii.gz)"
    )


def _brands(data: bytes) -> set[bytes]:
    """Return the names in the first box of a file of the HEIF family; none for other files."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 1024)
    return {data[at : at + 4] for at in (8, *range(16, end, 4))}
