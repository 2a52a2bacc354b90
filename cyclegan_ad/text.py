"""Formatting of text for messages: escapes, numbers, values of settings, counts."""

from __future__ import annotations

import io
import reprlib
import sys
from collections.abc import Callable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlong = 40


def printable(text: str) -> str:
    r"""Escape characters that cannot be printed.

    These are bytes of a file name that are not UTF-8, control characters, line breaks, and
    characters that change the direction of text. The result can be printed and encoded as UTF-8.

    >>> printable("a\udcff\n<b>\u202e")
    'a\\udcff\\n<b>\\u202e'
    """
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def shown(value: object, length: int = 40) -> str:
    r"""Return the repr of a value from a file, printable and shortened.

    >>> shown(10**400), shown("a\x1b")
    ('100000000000000000...0000000000000000000', "'a\\x1b'")
    """
    text = printable(_SHORT.repr(value))
    return text if len(text) <= length else f"{text[: length - 3]}..."


def shown_name(name: str | None) -> str:
    r"""Return a name from a file, printable and shortened, without quotes.

    >>> shown_name("fid\x1b")
    'fid\\x1b'
    """
    return shown(name) if name is None else shown(name, 62)[1:-1]


def printable_end(text: str, length: int, can_show: Callable[[str], bool] = str.isprintable) -> str:
    r"""Shorten a text to its end, where file names differ; escapes are kept whole.

    Args:
        text: The text, not yet escaped.
        length: Maximum number of characters of the result, >= 4.
        can_show: Whether a character can be shown without an escape.

    >>> printable_end("test/scratch_neck/017.png", 12)
    '...k/017.png'
    >>> printable_end("price_\udce85.png", 14)
    '...\\udce85.png'
    """
    parts = [c if can_show(c) else _escape(c) for c in text]
    if sum(map(len, parts)) <= length:
        return "".join(parts)
    kept = length - len("...")
    end = ""
    for part in reversed(parts):
        if len(part) + len(end) > kept:
            break
        end = part + end
    return "..." + end


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def escape_unprintable_output() -> None:
    """Let standard output escape characters that its encoding lacks, as standard error does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def shortest(number: float) -> str:
    """Format a number in the fewest digits that are read back exactly.

    >>> shortest(2.0), shortest(0.5), shortest(2.00000000001)
    ('2', '0.5', '2.00000000001')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def as_typed(value: object) -> str:
    """Format a value as it is typed on the command line.

    >>> as_typed(None), as_typed(True), as_typed(10.0), as_typed([0.5, 0.999])
    ('null', 'true', '10', '[0.5,0.999]')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_typed, value))}]"
    return str(value)


def counted(number: int, singular: str, plural: str = "") -> str:
    """Format a count with its noun in the singular or plural.

    Args:
        number: The count.
        singular: Text after the number 1.
        plural: Text after other numbers; empty: the singular with an s.

    >>> counted(1, "image"), counted(2, "image is", "images are")
    ('1 image', '2 images are')
    """
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
