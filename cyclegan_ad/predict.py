"""Decide about new images with a saved detector: ``python -m cyclegan_ad.predict --help``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.detector.decision_files import MADE_BY, DecisionFiles
from cyclegan_ad.detector.find_images import OVERLAYS, describe_others, find_images
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.lock import locked_folder
from cyclegan_ad.settings.commands import PredictSettings
from cyclegan_ad.text import counted, printable

if TYPE_CHECKING:
    from cyclegan_ad.detector.detect import Detector
    from cyclegan_ad.detector.drift_monitor import DriftMonitor

SOME_ABNORMAL = 2
"""Exit status if an image is abnormal."""
_MANY = 20  # images that are all abnormal: unlikely but for a folder of defects, or after a change


def predict(settings: PredictSettings) -> int:
    """Decide about images and write the decisions.

    Returns:
        The exit status: 0 if all images are normal, else 2.

    Raises:
        UserError: If the detector or the images are not usable.
    """
    drawn = settings.out / OVERLAYS
    if drawn.is_dir() and any(drawn.iterdir()) and not (settings.out / MADE_BY).is_file():
        # Those of an earlier command are no images to judge, but these may be.
        raise UserError(
            f"invalid out={settings.out}: {drawn} holds files that are not of an earlier command; "
            "use another out=PATH"
        )
    if settings.watch and not settings.images.is_dir():
        raise UserError(f"invalid images={settings.images} with watch=true: expected a folder")
    found = find_images(settings.images, besides=drawn, allow_none=settings.watch)
    paths = None if settings.watch else found
    if others := describe_others(settings.images, found, settings.out):
        print(f"not judged: {others}", flush=True)
    with importing():
        from cyclegan_ad.detector.judge_files import Overlays, draw_nearest, judge, watch
        from cyclegan_ad.detector.load import load_detector, watch_detector
        from cyclegan_ad.display.terminal import decoding_progress

    check = watch_detector(settings.detector)
    detector = load_detector(
        settings.detector,
        **settings.decide_by.as_dict(),
        device=settings.accelerator,
    )
    print(detector.decision.describe(), flush=True)
    overlays = Overlays(drawn, settings.images)
    chosen = {"all": ("normal", "abnormal"), "abnormal": ("abnormal",)}.get(settings.overlays, ())
    with (
        locked_folder(settings.out, "out"),
        DecisionFiles(settings.out, detector.identity, overwrite=settings.overwrite) as files,
    ):
        before = files.count()
        monitor = _start_monitor(detector, settings)
        if kept := before["normal"] + before["abnormal"]:
            print(f"{counted(kept, 'earlier decision')} in {settings.out} kept")
        judged = 0
        started = time.monotonic()
        rounds = (
            watch(settings.images, files, settings.watch_interval_s, settings.watch_stop_after_s)
            if paths is None
            else [files.pending(paths)]
        )
        try:
            for pending in rounds:
                judged += len(pending)
                with decoding_progress("Judging images", unit="images") as progress:
                    judge(
                        detector,
                        pending,
                        files,
                        draw=chosen,
                        overlays=overlays,
                        check=check,
                        monitor=monitor,
                        progress=progress,
                    )
            if settings.overlays == "nearest":
                draw_nearest(detector, settings.out, settings.nearest, overlays)
        finally:  # a watch is ended by a signal
            counts = files.count(paths)
            if settings.watch or sys.exc_info()[0] is None:
                seconds = time.monotonic() - started
                speed = f", {judged / seconds:.1f} images/s"
                _print_counts(counts, settings.out, speed if judged and paths else "")
    if (
        monitor is not None
        and monitor.warning is None
        and counts["abnormal"] >= _MANY
        and (not counts["normal"])
    ):
        print(
            "no image passed, so there was nothing to watch for drift: if most of these images are "
            "known to be normal, camera or light may have changed"
        )
    return SOME_ABNORMAL if counts["abnormal"] else 0


def _print_counts(counts: Mapping[str, int], out: Path, speed: str) -> None:
    undecided = f", {counts['undecided']} of them without a score" if counts["undecided"] else ""
    print(
        printable(
            f"{counts['normal']} normal, {counts['abnormal']} abnormal{undecided}{speed}; "
            f"decisions: {out / 'predictions.csv'}"
        ),
        flush=True,
    )
    if counts["review"]:
        print(", ".join(f"{zone} {counts[zone]}" for zone in ("pass", "review", "reject")))


def _start_monitor(detector: Detector, settings: PredictSettings) -> DriftMonitor | None:
    """Return what watches for drift, if anything does, and say what it does."""
    from cyclegan_ad.detector.drift_monitor import FILE, UNTIL_RESET, DriftMonitor, is_watchable

    drift, state = settings.drift, settings.out / FILE
    if not drift.enabled:
        return None
    if not is_watchable(detector.description):
        print(
            "drift is not watched: this file of an earlier version has no reference; export the "
            "detector again"
        )
        return None
    if settings.overwrite:  # all images are watched again
        state.unlink(missing_ok=True)
    monitor = DriftMonitor(
        detector.description,
        state,
        decision=detector.decision,
        images_per_false_warning=drift.images_per_false_warning,
        reset=drift.reset,
    )
    print(monitor.describe(), flush=True)
    if monitor.warning is not None:
        print(f"warning: {monitor.warning}{UNTIL_RESET}", flush=True)
    return monitor


if __name__ == "__main__":
    run_command(predict, "predict")
