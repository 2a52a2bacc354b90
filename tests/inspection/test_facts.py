"""The commands that the page shows can be pasted into a shell."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from inspected import session_of
from tiny import compose_settings

from cyclegan_ad.cli.hydra_errors import name_decision
from cyclegan_ad.cli.setting_names import setting_names
from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.description import read_description, write_calibration
from cyclegan_ad.detector.labelled_images import LabelledImage
from cyclegan_ad.detector.recalibrate import Request, recalibrate
from cyclegan_ad.metrics.bounds import calibration_bound
from cyclegan_ad.metrics.recalibration import Aim
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.commands import CalibrateSettings
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.types import read_settings

Finished = tuple[Path, RunDirectory, dict[str, Any]]


@pytest.mark.parametrize(
    "name", ["plain", "a b", "c,d=e", "(f)", "j'k", "ümlaut [g]", "$HOME", r"a\\ b\\'c"]
)
def test_the_command_of_calibrate_is_read_as_it_is_meant(
    finished: Finished, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    decide_by = {"protocol": "best_accuracy"}
    _, facts = session_of(finished[1].path, folder, decide_by=decide_by)
    words = shlex.split(f"{facts['calibrate']} {facts['flags_word']}")
    assert words[:3] == ["python", "-m", "cyclegan_ad.calibrate"]
    named = name_decision(words[3:], lambda: setting_names(conf_dir(), "calibrate"))
    read = read_settings(CalibrateSettings, compose_settings("calibrate", named))
    assert read.detector == finished[1].path
    assert read.images == folder / "out" / "flags.csv"
    assert read.decide_by.protocol == "best_accuracy"


def test_thresholds_say_what_they_are(finished: Finished, tmp_path: Path) -> None:
    session, facts = session_of(finished[1].path, tmp_path)
    by_name = {one["name"]: one for one in facts["thresholds"]}
    assert by_name["best_accuracy"]["picked"] and not by_name["paper"]["picked"]
    assert not by_name["paper"]["by_escape"]
    assert by_name["paper"]["miss_bound"] == session.saved.facts["miss_rate_bound"]
    assert by_name["paper"]["words"] == session.saved.describe()
    assert facts["decides"] == "paper"


def test_a_recalibrated_threshold_has_the_confidence_it_was_set_with(
    finished: Finished, tmp_path: Path
) -> None:
    detector = Path(shutil.copytree(finished[1].detector, tmp_path / "detector"))
    described = read_description(detector)
    abnormal = [LabelledImage(Path(f"{i}.png"), 1, f"{i}") for i in range(60)]
    scores = [1e6 + i for i in range(60)]
    request = Request(Aim("zero_misses", None, 0.8), 0.0, False)
    after = recalibrate(described, choose_decision(described), abnormal, scores, request)
    write_calibration(detector, described, after)
    _, facts = session_of(detector, tmp_path)
    by_name = {one["name"]: one for one in facts["thresholds"]}
    new, [entry] = by_name["recalibrated"], after["calibrations"]
    assert new["confidence"] == 0.8 and new["miss_bound"] == calibration_bound(60, 0.8)
    assert new["alarm_bound"] == entry["bounds"]["false_alarms"]
    assert by_name["paper"]["confidence"] == facts["known"]["confidence"] == 0.95
