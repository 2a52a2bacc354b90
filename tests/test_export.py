"""The command export: what it refuses before any work."""

from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from tiny import compose_settings

from cyclegan_ad import optional_packages
from cyclegan_ad.export import export
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import ExportSettings
from cyclegan_ad.settings.types import read_settings


def read(*words: str) -> ExportSettings:
    return read_settings(ExportSettings, compose_settings("export", words))


def test_unknown_format() -> None:
    with refuses(setting="format", value="tensorrt", remedy=["onnx", "openvino", "torch_export"]):
        read("detector=somewhere", "format=tensorrt")


@pytest.mark.parametrize(("form", "suffix"), optional_packages.EXPORT_SUFFIXES.items())
def test_suffix_of_the_file(form: str, suffix: str) -> None:
    with refuses(setting="out", facts=form, remedy=suffix):
        read("detector=somewhere", f"format={form}", "out=model.txt")
    assert read("detector=x", f"format={form}", f"out=a{suffix}").out == Path(f"a{suffix}")


def test_two_thresholds() -> None:
    with refuses(setting="threshold", value="2", facts="protocol=paper"):
        given = compose_settings("export", ["detector=somewhere", "decide_by.threshold=2"])
        given["decide_by"]["protocol"] = "paper"
        read_settings(ExportSettings, given)


@pytest.mark.parametrize(("form", "package"), [("onnx", "onnxscript"), ("openvino", "openvino")])
def test_missing_packages(form: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: name != package or None)
    with refuses(setting="format", value=form, facts=package, remedy="cyclegan-ad[export]"):
        export(read("detector=somewhere", f"format={form}"))


def test_missing_detector(tmp_path: Path) -> None:
    with refuses(setting="detector", remedy="run directory"):
        export(read(f"detector={tmp_path}/gone"))


def test_places_that_cannot_be_written(
    finished: tuple[Path, RunDirectory, dict[str, Any]], tmp_path: Path
) -> None:
    words = f"detector={finished[1].path}"
    (tmp_path / "folder.onnx").mkdir()
    with refuses(setting="out", value=tmp_path / "folder.onnx", facts="folder"):
        export(read(words, f"out={tmp_path}/folder.onnx"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):  # which the command line explains
        export(read(words, f"out={tmp_path}/file/a.onnx"))
