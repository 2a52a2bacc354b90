"""Paths that no file system takes, told by the setting that gives them."""

from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad.errors import UserError
from cyclegan_ad.path_settings import check_folder_name, check_path


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ("", "runs="),
        (None, "runs=None"),
        (7, "runs=7"),
        ("a\0b", "runs=a\\x00b"),
        ("\ud800", "runs=\\ud800"),
        ("~nobody-of-this-name/x", "runs=~nobody-of-this-name/x"),
        ("x" * 256, (f"runs={'x' * 60}...", "256 bytes")),
        ("a/" + "é" * 128 + "/b", "256 bytes"),
        ("/".join(["x" * 200] * 20), "..."),
    ],
)
def test_paths_that_cannot_be(value: object, facts: str | tuple[str, ...]) -> None:
    with refuses(setting="runs", facts=facts):
        check_path("runs", value)


def test_an_empty_path_may_come_from_a_variable() -> None:
    with refuses(setting="cache_dir", remedy="CYCLEGAN_AD_CACHE"):
        check_path("cache_dir", "")


def test_paths_that_can_be(tmp_path: Path) -> None:
    for path in (str(tmp_path), "~", "~/x", "x" * 255, "/", "lot 5, line 2", "name-\udcff", "a~b"):
        check_path("runs", path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\udcff", "é" * 128])
def test_names_that_no_folder_gets(name: str) -> None:
    with pytest.raises(UserError, match="run_name="):  # shown in one line by the command
        check_folder_name("run_name", name)


def test_names_that_a_folder_may_get() -> None:
    for name in ("7", "my run", "é" * 127, "a.b-c_d+e@f"):
        check_folder_name("run_name", name)
