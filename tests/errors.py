"""The one way in which tests look at what a wrong setting, file or image is answered with.

Tests ask for what a reader needs, and for no sentence: which setting or file, which value, and what
to do about it. The wording may change.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from cyclegan_ad.errors import UserError

NOTHING = object()


def message_of(error: BaseException | str) -> str:
    """The one line of an error, or of what a command wrote on standard error."""
    line = str(error).removesuffix("\n").removeprefix("error: ")
    assert line and "\n" not in line, f"not one line: {error}"
    return line


def assert_error(
    error: BaseException | str,
    *,
    setting: str | None = None,
    file: Path | str | None = None,
    value: object = NOTHING,
    remedy: str | Sequence[str] = (),
    facts: str | Sequence[str] = (),
) -> str:
    """Check that an error is one line that names these.

    Args:
        error: The exception, or the standard error of a command.
        setting: Dotted name of the setting, or option of a group.
        file: The file or folder.
        value: The value of the setting, which stands behind its name as on the command line.
        remedy: Key words of the remedy: possible values, settings, commands.
        facts: Other names and numbers.

    Returns:
        The line without its ``error:``.
    """
    line = message_of(error)
    expected = [setting if value is NOTHING else f"{setting}={value}"] if setting else []
    expected += [str(file)] if file is not None else []
    for words in (remedy, facts):
        expected += [words] if isinstance(words, str) else words
    assert expected, "nothing is asked of the message"
    missing = [words for words in expected if words not in line]
    assert not missing, f"{missing} not in: {line}"
    return line


@contextmanager
def refuses(
    *,
    setting: str | None = None,
    file: Path | str | None = None,
    value: object = NOTHING,
    remedy: str | Sequence[str] = (),
    facts: str | Sequence[str] = (),
) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """What is done inside raises a ``UserError`` of which ``assert_error`` holds."""
    with pytest.raises(UserError) as caught:
        yield caught
    assert_error(caught.value, setting=setting, file=file, value=value, remedy=remedy, facts=facts)
