"""Text files that a user writes: the list of excluded images and the table of images."""

import codecs
from pathlib import Path

from cyclegan_ad.data.formats.image_bytes import UnreadableImage, read_bytes
from cyclegan_ad.errors import UserError


def read_text(path: Path, setting: str, expected: str, *, errors: str = "strict") -> str:
    """Read a text file in UTF-8, or in UTF-16 with a byte order mark.

    Args:
        path: A regular file: the second reading of a pipe such as <(ls) would be empty.
        setting: Name of the setting, for the message.
        expected: What the file should hold, the end of the message.
        errors: What to do about bytes that are not UTF-8: ``strict`` to refuse them, or
            ``surrogateescape`` to keep them, as in paths that a program wrote.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        content = read_bytes(path)
        # Editors on Windows write UTF-16, or a byte order mark before UTF-8.
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if utf_16 else "utf-8-sig", errors)
        if "\0" in text:  # UTF-16 without its mark, or UTF-32
            raise ValueError
    except (UnreadableImage, ValueError) as error:
        reason = error if isinstance(error, UnreadableImage) else "not a text file in UTF-8"
        raise UserError(f"invalid {setting}={path}: {reason}; expected {expected}") from error
    return text
