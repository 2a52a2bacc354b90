"""Text from outside, made fit to be shown."""

import io
import sys

import pytest

from cyclegan_ad.text import escape_unprintable_output, printable, printable_end, shown, shown_name


def test_all_characters_can_be_printed_and_encoded() -> None:
    text = printable("".join(map(chr, range(0x11000))))
    assert text.isprintable()
    text.encode("utf-8")


@pytest.mark.parametrize("name", ["a$b_[c]|<d>", "\u00e9\u65e5", "a b"])
def test_what_can_be_printed_stays(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize("length", range(4, 30))
def test_the_end_of_a_name_has_whole_escapes(length: int) -> None:
    name = "x\udce8\r\u202e.png"
    whole = printable(name)
    shortened = printable_end(name, length)
    assert len(shortened) <= length
    if shortened != whole:
        assert shortened.startswith("...")
        assert any(printable(name[i:]) == shortened[3:] for i in range(len(name) + 1))


def test_values_from_a_file_are_short() -> None:
    nested: list[object] = []
    for _ in range(900):
        nested = [nested]
    for value in (10**4000, "x" * 10**6, nested, {"a": "\x1b" * 100}, float("nan")):
        assert len(shown(value)) <= 40
        assert shown(value).isprintable()
    assert shown_name("sse") == "sse"
    assert shown_name(None) == "None"


def test_standard_output_takes_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    escape_unprintable_output()
    print("pi\udce8ce \u00e9")
    sys.stdout.flush()
    assert written.getvalue() == b"pi\\udce8ce \\xe9\n"
