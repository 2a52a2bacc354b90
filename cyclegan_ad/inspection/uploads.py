"""Uploaded files: checked before anything decodes them, kept until the inspector stops."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import zlib
from pathlib import Path

from cyclegan_ad.data.formats import opening
from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.files import replacing

MOST_UPLOADED = 5000
"""Uploads that one session takes: the page lists each of them."""
MOST_UPLOADED_BYTES = 4 * 2**30
"""Bytes of all uploads of a session, which lie in the folder of temporary files."""
MOST_REFUSED = 100_000
"""Refused files that one session notes."""

_GZIP = b"\x1f\x8b"
_DEFLATED_DICOM = b"1.2.840.10008.1.2.1.99"
_CHUNK_BYTES = 2**20
_BYTES_A_PIXEL = 8  # of the largest numbers
_HEADER_BYTES = 2**16


class RefusedUpload(Exception):
    """A file that is not taken; the message is a reason without its name."""


class Uploads:
    """The uploaded files of a session, each under the SHA-256 of its content.

    What a browser calls a file is never used as a path.

    Args:
        folder: An empty folder.
        max_pixels: Largest number of pixels of an image.
    """

    def __init__(self, folder: Path, max_pixels: int) -> None:
        self.folder, self._max_pixels = folder, max_pixels
        self._count = self._bytes = self._refused = 0

    def keep(self, data: bytes) -> tuple[Path, str]:
        """Check a file by its content and store it.

        Args:
            data: Content of the file.

        Returns:
            Its path and SHA-256.

        Raises:
            RefusedUpload: If it is no image of a known format, has too many pixels, or the session
                has taken too many files.
            OSError: If it cannot be written.
        """
        if self._count >= MOST_UPLOADED or self._bytes + len(data) > MOST_UPLOADED_BYTES:
            raise RefusedUpload(
                f"the inspector has taken {self._count} files and takes no more: start it again, "
                "or decide about a whole folder with python -m cyclegan_ad.predict"
            )
        self._require_short(data)
        try:
            width, height = opening.upright_size(data)
        except UnreadableImage as error:
            raise RefusedUpload(str(error)) from error
        if width * height > self._max_pixels:
            raise RefusedUpload(
                f"{width} x {height} px: expected at most {self._max_pixels / 1e6:g} megapixels; "
                "scale the image down or crop it"
            )
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.folder / sha256
        if not path.exists():
            with replacing(path, durable=False) as temporary:  # a full disk leaves no part of it
                temporary.write_bytes(data)
            self._bytes += len(data)
        self._count += 1
        return path, sha256

    def count_refused(self) -> None:
        """Count a file that was not taken.

        Raises:
            RefusedUpload: If the session has noted too many.
        """
        if self._refused >= MOST_REFUSED:
            raise RefusedUpload(f"{MOST_REFUSED} refused files are noted, and no more")
        self._refused += 1

    def _require_short(self, data: bytes) -> None:
        """Check what compressed data (NIfTI) expand to, before anything expands them in memory."""
        if _DEFLATED_DICOM in data[:_HEADER_BYTES]:
            raise RefusedUpload("deflated DICOM is not taken: save it without compression")
        if not data.startswith(_GZIP):
            return
        most, size = _HEADER_BYTES + _BYTES_A_PIXEL * self._max_pixels, 0
        with (
            contextlib.suppress(OSError, EOFError, zlib.error),  # the decoder says what is damaged
            gzip.GzipFile(fileobj=io.BytesIO(data)) as file,
        ):
            while some := file.read(_CHUNK_BYTES):
                size += len(some)
                if size > most:
                    raise RefusedUpload(
                        f"it expands to more than {most / 2**20:.0f} MiB: expected at most "
                        f"{self._max_pixels / 1e6:g} megapixels"
                    )
