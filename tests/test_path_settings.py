"""Paths that no file system takes, told by the setting that gives them."""

from pathlib import Path

import pytest

from cyclegan_ad.errors import UserError
from cyclegan_ad.path_settings import check_folder_name, check_path


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "runs= is not possible; it is a path"),
        (None, "runs=None is not possible; it is a path"),
        (7, "runs=7 is not possible; it is a path"),
        ("a\0b", "'runs=a\\x00b' is not possible; no file can have this name"),
        ("\ud800", "'runs=\\ud800' is not possible; no file can have this name"),
        ("~nobody-of-this-name/x", "runs=~nobody-of-this-name/x: there is no such home folder"),
        ("x" * 256, f"runs={'x' * 60}... is not possible; a name of 256 bytes is too long"),
        ("a/" + "é" * 128 + "/b", "is not possible; a name of 256 bytes is too long"),
        ("/".join(["x" * 200] * 20), "... is not possible; a path of "),
    ],
)
def test_paths_that_cannot_be(value: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_path("runs", value)
    assert message in str(caught.value)


def test_an_empty_path_may_come_from_a_variable() -> None:
    with pytest.raises(UserError, match=r"cache_dir is empty; .* unset CYCLEGAN_AD_CACHE"):
        check_path("cache_dir", "")


def test_paths_that_can_be(tmp_path: Path) -> None:
    for path in (str(tmp_path), "~", "~/x", "x" * 255, "/", "lot 5, line 2", "name-\udcff", "a~b"):
        check_path("runs", path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\udcff", "é" * 128])
def test_names_that_no_folder_gets(name: str) -> None:
    with pytest.raises(UserError, match=r"^run_name="):
        check_folder_name("run_name", name)


def test_names_that_a_folder_may_get() -> None:
    for name in ("7", "my run", "é" * 127, "a.b-c_d+e@f"):
        check_folder_name("run_name", name)
