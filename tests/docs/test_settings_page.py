"""docs/settings.md says what conf/ says, and explains every setting."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def build() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield import_module("build_settings")


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, "docs/build_settings.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_old_page_is_found_and_the_command_named(
    build: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build, "PAGE", tmp_path / "settings.md")
    assert build.main(["--check"]) == 1
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    build.PAGE.write_text(build.PAGE.read_text().replace("| `seed` | `0` |", "| `seed` | `1` |"))
    assert build.main(["--check"]) == 1
    assert build.COMMAND in capsys.readouterr().err


def test_every_option_and_setting_is_explained(build: ModuleType) -> None:
    rows = [line for line in build.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    unexplained = [row for row in rows if row.rpartition(" | ")[2].strip(" |") == ""]
    assert unexplained == []


def test_comments_above_settings_are_read(build: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "group.yaml"
    file.write_text(
        "# @package _global_\n# About the file.\n# Still.\n#\n# More.\n\n# One.\none: 1\n"
        "two:\n  # Inner,\n  # two lines.\n  inner: 2\n\n# Not of it.\n\nthree: 3\n"
    )
    assert build.about(file) == "About the file. Still."
    assert build.read_comments(file) == {"one": "One.", "two.inner": "Inner, two lines."}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("resolution", "| `64` | an integer >= 32 | yes |"),
        ("dataset.max_epochs", "| `200` | an integer >= 1 | yes |"),  # through trainer.max_epochs
        ("trainer.max_epochs", "| `200`, from `dataset.max_epochs` | an integer >= 1 | yes |"),
        ("data_dir", "| `data`, or the variable `CYCLEGAN_AD_DATA` | a path | no |"),
        ("score.tta", "| `none`, from `method.tta` | one of none, dihedral | no |"),
    ],
)
def test_defaults_types_and_new_training(build: ModuleType, name: str, row: str) -> None:
    assert f"| `{name}` {row}" in build.page()


def test_a_setting_of_several_methods_is_described_for_each(build: ModuleType) -> None:
    def backbones(method: str) -> str:
        return str(build.describe_field("method.backbone", "efficientnet_lite0", method=method))

    assert "inception" in backbones("linear_probe")
    assert "inception" not in backbones("padim")


def test_what_is_code_already_stays_as_it_is(build: ModuleType) -> None:
    text = "A file of `python -m cyclegan_ad.export`, for dataset.max_abnormal=<N>."
    assert build._markdown(text) == text.replace(
        "dataset.max_abnormal=<N>", "`dataset.max_abnormal=<N>`"
    )
