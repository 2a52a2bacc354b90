"""Watch the images that pass for a change of camera, light or parts (drift)."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from cyclegan_ad.detector.decision import Decision, identify
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from cyclegan_ad.metrics.drift import Change, DriftTest
from cyclegan_ad.text import counted, printable, shown

FILE = "drift.json"
FORMAT = 1
STATISTICS = ("brightness", "sharpness", "score")
Reset = Literal["reference", "images"]
UNTIL_RESET = (
    ", until drift.reset=reference (cause removed) or drift.reset=images (the change stays: the "
    "next images are the new reference)"
)
"""End of a warning where settings are typed."""

_RECENT = 256  # images whose names and values are kept for the warning
_WORDS = {
    ("brightness", "lower"): "are darker",
    ("brightness", "higher"): "are brighter",
    ("sharpness", "lower"): "are blurrier",
    ("sharpness", "higher"): "are sharper or noisier",
    ("score", "lower"): "have lower scores",
    ("score", "higher"): "have higher scores",
}


def is_watchable(description: Mapping[str, Any]) -> bool:
    """Return whether a detector has a reference; files exported by earlier versions have none."""
    return "reference" in description


class DriftMonitor:
    """Running test of the images that pass against the normal images kept out of training.

    Brightness, sharpness and score of each image that passes go through a
    :class:`cyclegan_ad.metrics.drift.DriftTest`, whose reference are the normal images kept out of
    training that pass as well. After a warning no image passes: images that would pass are
    sent to review until a reset. May be used by several threads.

    Which images are watched depends on ``decision`` alone: a prediction by another threshold, as
    the inspector tries them, is watched if it passes by this one. Else the choice of a threshold
    would look like a change of the images.

    Args:
        description: Content of ``detector.json``, with a reference (:func:`is_watchable`).
        state_file: File of the state, by which a later command continues; written atomically.
        decision: Score and threshold that decide.
        images_per_false_warning: While nothing changes, the expected number of images up to a
            warning is at least this one.
        reset: ``reference`` to begin again with the reference of the detector, after the cause was
            removed; ``images`` to take the images from now on as the reference, if the change is to
            stay. None to continue.

    Attributes:
        warning: The warning, in one line; None if there is none.

    Raises:
        UserError: If the state is damaged, or of another detector, score or threshold.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        state_file: Path,
        *,
        decision: Decision,
        images_per_false_warning: int,
        reset: Reset | None = None,
    ) -> None:
        self.warning: str | None = None
        self._file, self._lock = state_file, Lock()
        self._decision, self._identity = decision, identify(description, decision)
        self._allowed = images_per_false_warning
        self._recent: deque[list[Any]] = deque(maxlen=_RECENT)
        references = _passing(description["reference"], decision)
        self.reference_images = len(references["score"])
        self._test = DriftTest(references, self._allowed)
        if not state_file.is_file():
            if reset == "images":
                self._begin_without_reference()
            return
        if reset is None:
            self._restore()
            return
        start = _start_of(state_file) + 1
        self._test = DriftTest(references, self._allowed, start)
        if reset == "images":
            self._begin_without_reference()
        self.save()

    def describe(self) -> str:
        """Describe what is watched and what is promised, in a line."""
        compared = counted(self.reference_images, "normal image")
        if not self.reference_images:
            compared = "the first images, without a reference"
        return (
            f"drift: brightness, sharpness and score of images that pass against {compared}; "
            f"on average at most one false warning in {self._allowed:,} images"
        )

    def observe(self, prediction: Prediction, *, save: bool = True) -> Prediction:
        """Watch a prediction and return it, or what becomes of it after a warning.

        Args:
            prediction: The prediction.
            save: Whether to write the state now; else :meth:`save` does, later.

        Returns:
            The prediction; if it would pass after a warning, one that is sent to review.
        """
        # One that does not pass in spite of its score, a reported escape, has a reason.
        watched = self._decision.zone(prediction.score) == "pass" and not prediction.reason
        with self._lock:
            if self.warning is None and watched:
                values = [float(getattr(prediction, name)) for name in STATISTICS]
                self._recent.append([prediction.path, *values])
                if changes := self._test.observe(dict(zip(STATISTICS, values, strict=True))):
                    self.warning = self._describe(changes)
                if save:
                    self._write()
            if self.warning is None or prediction.zone != "pass":
                return prediction
        reason = f"it would pass, but {self.warning.partition(';')[0]}"
        return replace(prediction, label="abnormal", zone="review", reason=reason)

    def save(self) -> None:
        """Write the state."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        content = {
            "format": FORMAT,
            "identity": self._identity,
            "warning": self.warning,
            "reference_images": self.reference_images,
            "test": self._test.as_dict(),
            "recent": list(self._recent),
        }
        write_text(self._file, json.dumps(content, allow_nan=False) + "\n")

    def _restore(self) -> None:
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            if stored["format"] != FORMAT:
                raise ValueError(f"format {shown(stored['format'])}, expected {FORMAT}")
            self.warning, identity = stored["warning"], stored["identity"]
            self.reference_images = stored["reference_images"]
            self._recent.extend([path, *map(float, values)] for path, *values in stored["recent"])
            self._test = DriftTest.parse(stored["test"], self._allowed)
            if tuple(self._test.seen) != STATISTICS or not isinstance(self.warning, str | None):
                raise ValueError("other statistics")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{self._file} is damaged ({type(error).__name__}); restore it, or restart "
                "drift monitoring with drift.reset=reference"
            ) from error
        if identity != self._identity:
            raise UserError(
                f"{self._file} is of another detector, score or threshold; use another out=PATH, "
                "or restart drift monitoring with drift.reset=reference"
            )

    def _begin_without_reference(self) -> None:
        self.reference_images = 0
        empty: dict[str, list[float]] = {name: [] for name in STATISTICS}
        self._test = DriftTest(empty, self._allowed, self._test.start)

    def _describe(self, changes: Sequence[Change]) -> str:
        """Say what changed, how, since when, and what to do, in one line."""
        watched = self._test.images
        first = watched - len(self._recent) + 1  # number of the oldest image that is remembered
        since = changes[0].since
        recent = list(self._recent)[max(since - first, 0) :]
        what = " and ".join(self._words(change, recent) for change in changes)
        at = f"image {since:,} of {watched:,} watched"
        if since >= first and recent[0][0] is not None:
            at = f"{Path(recent[0][0]).name}, {at}"
        return printable(
            f"drift: the images that pass {what} since about {at}; check camera, light and parts, "
            "and look again at the images passed since then; from here on images that would pass "
            "are sent to review"
        )

    def _words(self, change: Change, recent: Sequence[Sequence[Any]]) -> str:
        """Say how a statistic changed, with its means before and in the images since."""
        name, column = change.statistic, 1 + STATISTICS.index(change.statistic)
        what = _WORDS.get((name, change.kind))
        if what is None:
            return f"vary {change.kind.split()[0]} in {name}"
        now, seen = [row[column] for row in recent], self._test.seen[name]
        earlier = len(seen) - len(now)
        if earlier == 0:
            return what
        before = (seen.sum() - math.fsum(now)) / earlier
        return f"{what} (mean {name} {math.fsum(now) / len(now):.4g}, was {before:.4g})"


def _passing(reference: Mapping[str, Any], decision: Decision) -> dict[str, list[float]]:
    """Return the statistics of the reference images that pass; only such images are watched."""
    scores = reference["scores"][decision.column]
    rows = zip(reference["brightness"], reference["sharpness"], scores, strict=True)
    kept = [row for row in rows if row[2] < decision.threshold]
    return {name: [row[i] for row in kept] for i, name in enumerate(STATISTICS)}


def _start_of(state_file: Path) -> int:
    """Return the number of the start that a state is of; 0 if the state is damaged."""
    try:
        return int(json.loads(state_file.read_text(encoding="utf-8"))["test"]["start"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
