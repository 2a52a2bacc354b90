"""All commands under one name."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cyclegan_ad.__main__ import COMMANDS, main
from cyclegan_ad.settings.commands import COMMANDS as SETTINGS


def test_every_command_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMANDS.keys() == SETTINGS.keys()
    for name, (function, _) in COMMANDS.items():
        assert callable(getattr(import_module(f"cyclegan_ad.{name}"), function))
    for words in ([], ["--help"], ["-h"]):
        monkeypatch.setattr(sys, "argv", ["cyclegan-ad", *words])
        main()
        said = capsys.readouterr().out
        assert all(f"  {name} " in said for name in COMMANDS)


def test_an_unknown_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cyclegan-ad", "trian"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "trian" in capsys.readouterr().err


def test_a_command_gets_its_words(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "cyclegan_ad", "report", "runs=none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert found.stderr.startswith("error: ") and "none" in found.stderr
