"""Paths that no file system takes, found without looking at one."""

from pathlib import Path

import pytest

from cyclegan_ad.settings.paths import check_folder_name, check_path


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "expected a path"),
        ("a\0b", "characters that file names cannot have"),
        ("\ud800", "characters that file names cannot have"),
        ("~nobody-of-this-name/x", "unknown home folder"),
        ("x" * 256, "got 256 bytes"),
        ("a/" + "é" * 128 + "/b", "got 256 bytes"),
        ("/".join(["x" * 200] * 20), "expected a path of at most"),
    ],
)
def test_paths_that_cannot_be(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_path("runs", value)


def test_an_empty_path_may_come_from_a_variable() -> None:
    with pytest.raises(ValueError, match="CYCLEGAN_AD_CACHE"):
        check_path("cache_dir", "")


def test_paths_that_can_be(tmp_path: Path) -> None:
    for path in (str(tmp_path), "~", "~/x", "x" * 255, "/", "lot 5, line 2", "name-\udcff", "a~b"):
        check_path("runs", path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\udcff", "é" * 128])
def test_names_that_no_folder_gets(name: str) -> None:
    with pytest.raises(ValueError, match=r"folder"):
        check_folder_name(name)


def test_names_that_a_folder_may_get() -> None:
    for name in ("7", "my run", "é" * 127, "a.b-c_d+e@f"):
        check_folder_name(name)
