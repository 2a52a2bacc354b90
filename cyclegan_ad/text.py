"""Text from outside (names of files, content of files) made fit to be shown, in one place."""

from __future__ import annotations

import io
import reprlib
import sys
from collections.abc import Callable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlong = 40


def printable(text: str) -> str:
    r"""Write what cannot be printed as escapes.

    That is bytes of a name that are not UTF-8, control characters, line breaks, and characters
    that turn the direction of the text around them. What is left can be printed, put into a table
    or a picture, and encoded as UTF-8.

    >>> printable("a\udcff\n<b>\u202e")
    'a\\udcff\\n<b>\\u202e'
    """
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def shown(value: object, length: int = 40) -> str:
    r"""A value from a file as Python writes it, in a few printable characters.

    >>> shown(10**400), shown("a\x1b")
    ('100000000000000000...0000000000000000000', "'a\\x1b'")
    """
    text = printable(_SHORT.repr(value))
    return text if len(text) <= length else f"{text[: length - 3]}..."


def shown_name(name: str | None) -> str:
    r"""A name or word from a file, without quotes.

    >>> shown_name("fid\x1b")
    'fid\\x1b'
    """
    return shown(name) if name is None else shown(name, 62)[1:-1]


def printable_end(text: str, length: int, can_show: Callable[[str], bool] = str.isprintable) -> str:
    r"""Write the end of a long text, where file names differ; no escape is cut in two.

    Args:
        text: As it is, not yet printable.
        length: Characters of the result at most, at least 4.
        can_show: Whether a character can be shown as it is.

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


def never_fail_to_print() -> None:
    """Let standard output write what its encoding lacks as escapes, as standard error does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def shortest(number: float) -> str:
    """A number in as few digits as tell it from all others.

    >>> shortest(2.0), shortest(0.5), shortest(2.00000000001)
    ('2', '0.5', '2.00000000001')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def as_typed(value: object) -> str:
    """A value as it is typed on the command line.

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
    """A number and what is counted, with the verb if one follows.

    Args:
        number: How many.
        singular: What is counted, if it is one.
        plural: If it is another number; empty: the singular with an s.

    >>> counted(1, "image"), counted(2, "image is", "images are")
    ('1 image', '2 images are')
    """
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
