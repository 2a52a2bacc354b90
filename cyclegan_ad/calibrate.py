"""Recompute the threshold of a detector: ``python -m cyclegan_ad.calibrate --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.commands import CalibrateSettings
from cyclegan_ad.text import counted, printable


def calibrate(settings: CalibrateSettings) -> dict[str, Any]:
    """Choose a threshold on labelled images, print what it changes, and write it.

    With ``withdraw``, take back the report of an escape instead.

    Returns:
        The calibration or the withdrawal, as it is in ``detector.json`` then.

    Raises:
        UserError: If the detector or the images are not usable, or too few for the aim. The
            detector is then as it was.
    """
    with importing():
        from cyclegan_ad.detector.decision import choose_decision
        from cyclegan_ad.detector.description import FILE, read_description
        from cyclegan_ad.detector.labelled_images import (
            count_classes,
            find_labelled,
            mark_trained,
            score_labelled,
        )
        from cyclegan_ad.detector.load import find_folder, load_detector
        from cyclegan_ad.detector.recalibrate import Request, recalibrate
        from cyclegan_ad.display.calibration_report import report_calibration
        from cyclegan_ad.display.terminal import decoding_progress
        from cyclegan_ad.metrics.recalibration import explain_too_few

    folder = find_folder(settings.detector)
    described = read_description(folder)
    if settings.withdraw is not None:
        return _withdraw(settings, settings.withdraw, folder, described)
    assert settings.images is not None
    decide_by = settings.decide_by.as_dict()
    present = choose_decision(described, **decide_by)
    images, copies = find_labelled(settings.images)
    images = mark_trained(images, set(described["trained_files"]))
    request = Request(_aim(settings), settings.reject_normal, settings.allow_weaker_bound)
    if few := explain_too_few(request.aim, *count_classes(images)):
        if any(image.group for image in images):
            few += ", where of a group one image counts"
        if trained := sum(not image.counts for image in images):
            few += f" ({counted(trained, 'image')} used for the training not counted)"
        other = "give more, or leave it out to set the threshold for no miss"
        remedy = "give more" if request.aim.name == "zero_misses" else other
        raise UserError(f"invalid images={settings.images}: {few}; {remedy}")
    with importing():
        detector = load_detector(folder, **decide_by, device=settings.accelerator)
    with decoding_progress("Scoring images", unit="images") as progress:
        scores = score_labelled(detector, images, progress)
    after = recalibrate(described, present, images, scores, request, copies=copies)
    entry: dict[str, Any] = after["calibrations"][-1]
    print(report_calibration(entry, settings.prevalence) + "\n", flush=True)
    words = f"Calibration {len(after['calibrations'])} of {folder / FILE} decides from now on"
    return _write(settings, folder, described, after, words)


def _aim(settings: CalibrateSettings) -> Any:
    from cyclegan_ad.metrics.recalibration import Aim

    if settings.miss_rate is not None:
        return Aim("miss_rate", settings.miss_rate, settings.confidence)
    if settings.false_alarm_rate is not None:
        return Aim("false_alarm_rate", settings.false_alarm_rate, settings.confidence)
    return Aim("zero_misses", None, settings.confidence)


def _withdraw(
    settings: CalibrateSettings, withdraw: str, folder: Path, described: dict[str, Any]
) -> dict[str, Any]:
    """Take back the report of an escape; the threshold stays."""
    from cyclegan_ad.detector.description import FILE
    from cyclegan_ad.detector.history import withdraw_escape
    from cyclegan_ad.detector.labelled_images import find_withdrawn

    sha256 = find_withdrawn(withdraw, described)
    words = (
        f"The escape {sha256} was withdrawn in {folder / FILE}, and may pass again. The "
        "recalibrated threshold stays until the next calibration, which may start from a "
        "threshold of the run: protocol=NAME"
    )
    return _write(settings, folder, described, withdraw_escape(described, sha256), words)


def _write(
    settings: CalibrateSettings,
    folder: Path,
    described: dict[str, Any],
    after: dict[str, Any],
    words: str,
) -> dict[str, Any]:
    """Write the description with a new entry of its history and say so; return the entry."""
    from cyclegan_ad.detector.description import FILE, write_calibration

    if settings.dry_run:
        words = f"dry_run=true: {folder / FILE} is unchanged"
    else:
        write_calibration(folder, described, after)
    print(printable(words))
    if not settings.dry_run:
        print("Start commands again that decide by it, and export files again that were made of it")
    entry: dict[str, Any] = after["calibrations"][-1]
    return entry


if __name__ == "__main__":
    run_command(calibrate, "calibrate")
