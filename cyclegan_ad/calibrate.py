"""Set the threshold of a detector anew: ``python -m cyclegan_ad.calibrate --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.commands import CalibrateSettings
from cyclegan_ad.text import counted, printable


def calibrate(settings: CalibrateSettings) -> dict[str, Any]:
    """Choose a threshold on labelled images, print what it changes, and write it.

    Returns:
        The calibration, as it is in ``detector.json`` then.

    Raises:
        UserError: If the detector or the images are not usable, or too few for the aim. The
            detector is then as it was.
    """
    with importing():
        from cyclegan_ad.detector.decision import choose_decision
        from cyclegan_ad.detector.description import FILE, read_description, write_calibration
        from cyclegan_ad.detector.labelled_images import find_labelled, mark_trained, score_labelled
        from cyclegan_ad.detector.load import find_folder, load_detector
        from cyclegan_ad.detector.recalibrate import Request, recalibrate
        from cyclegan_ad.display.calibration_report import report_calibration
        from cyclegan_ad.display.terminal import decoding_progress
        from cyclegan_ad.metrics.recalibration import explain_too_few

    folder = find_folder(settings.detector)
    described = read_description(folder)
    decide_by = settings.decide_by.as_dict()
    present = choose_decision(described, **decide_by)
    images, copies = find_labelled(settings.images)
    images = mark_trained(images, _trained(folder))
    request = Request(_aim(settings), settings.reject_normal, settings.allow_weaker_bound)
    labels = [image.label for image in images if image.counts]
    if few := explain_too_few(request.aim, sum(labels), len(labels) - sum(labels)):
        if trained := len(images) - len(labels):
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
    if settings.dry_run:
        print(printable(f"dry_run=true: {folder / FILE} is unchanged"))
        return entry
    write_calibration(folder, described, after)
    print(
        printable(
            f"Calibration {len(after['calibrations'])} of {folder / FILE} decides from now on; "
            "export files again that were made of it before"
        )
    )
    return entry


def _aim(settings: CalibrateSettings) -> Any:
    from cyclegan_ad.metrics.recalibration import Aim

    if settings.miss_rate is not None:
        return Aim("miss_rate", settings.miss_rate, settings.confidence)
    if settings.false_alarm_rate is not None:
        return Aim("false_alarm_rate", settings.false_alarm_rate, settings.confidence)
    return Aim("zero_misses", None, settings.confidence)


def _trained(folder: Path) -> set[str]:
    """Return the hashes of the images that a detector in its run was trained on."""
    from cyclegan_ad.runs.results import read_split

    if not (folder.parent / "split.csv").is_file():
        return set()
    rows = read_split(folder.parent)
    return {row.sha256 for row in rows if row.subset in ("train", "tuning")} - {""}


if __name__ == "__main__":
    run_command(calibrate, "calibrate")
