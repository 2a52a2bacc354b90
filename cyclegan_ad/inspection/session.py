"""What the inspector knows while it runs: detector, threshold, images, decisions and flags."""

from __future__ import annotations

import math
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.drift_monitor import DriftMonitor, Reset
from cyclegan_ad.detector.history import escaped_files
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError
from cyclegan_ad.inspection.decision_table import append, as_text, no_formula, row_of
from cyclegan_ad.inspection.flags import Flags
from cyclegan_ad.inspection.images import InspectedImage, shown_as
from cyclegan_ad.inspection.known_scores import stored_decisions
from cyclegan_ad.inspection.trial import picked_decision
from cyclegan_ad.inspection.uploads import Uploads
from cyclegan_ad.text import printable

StartMonitor: TypeAlias = Callable[["Reset | None"], DriftMonitor]
_REMEMBERED = 48
"""Predictions with maps that are kept; others are computed again when they are looked at."""
_LONGEST_REASON = 300


class Session:
    """A detector with the images that are looked at.

    What computes or notes (:meth:`judge`, :meth:`look`, :meth:`upload`, :meth:`refuse`) is called
    by one thread at a time.

    Args:
        detector: The detector.
        images: Images to pick from.
        flags: Where decisions that are wrong are written.
        uploads: Where uploaded files are kept.
        start_monitor: Starts what watches uploads for drift, with the way to begin anew (None: to
            continue); None if nothing watches.

    Attributes:
        images: Id -> image.
        saved: Score and thresholds that decided at the start.
        stored: All thresholds of the detector for this score, the lowest first.
        monitor: What watches uploads for drift; None if nothing does.
        revision: Number of changes of images so far.
        trouble: The first error by which images could not be judged; empty if none.
    """

    def __init__(
        self,
        detector: Detector,
        images: Iterable[InspectedImage],
        flags: Flags,
        uploads: Uploads,
        start_monitor: StartMonitor | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.detector, self.flags, self._uploads = detector, flags, uploads
        self._check = check
        self._start_monitor = start_monitor
        self.monitor = None if start_monitor is None else start_monitor(None)
        self.images = {image.id: image for image in images}
        self.saved = detector.decision
        self.stored = stored_decisions(detector.description, self.saved.column)
        self._escaped = escaped_files(detector.description)
        for image in self.images.values():
            image.doubt = self._not_again(image)
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()
        self._batches: dict[str, list[InspectedImage]] = {}
        self._numbers = count()
        self.revision, self.trouble = 0, ""

    @property
    def decision(self) -> Decision:
        """Score and thresholds that decide now."""
        return self.detector.decision

    def apply(self, threshold: float | None, upper: float | None = None) -> None:
        """Decide by other thresholds until the inspector stops.

        Args:
            threshold: Lower threshold; None for the thresholds of the detector.
            upper: Upper threshold; see :func:`.trial.picked_decision`.
        """
        self.detector.decision = (
            self.saved
            if threshold is None
            else picked_decision(
                self.detector.description, self.saved, self.stored, threshold, upper
            )
        )

    def zone(self, image: InspectedImage) -> str:
        """Return ``pass``, ``review`` or ``reject``; an image without a score is for review."""
        zone = self.decision.zone(math.nan if image.score is None else image.score)
        return "review" if zone == "pass" and image.doubt else zone

    def _not_again(self, image: InspectedImage) -> str:
        """Say that an image was reported as a defect that passed; empty if it was not."""
        reported = self._escaped.get(image.sha256)
        return "" if reported is None else f"reported as an escaped defect on {reported[:10]}"

    def describe(self, image: InspectedImage) -> dict[str, Any]:
        """What the page is told about an image."""
        return image.as_dict() | {"zone": self.zone(image)}

    def judge(self, images: Sequence[InspectedImage]) -> None:
        """Decide about images to pick from; after an error they are for review."""
        paths = [image.path for image in images]
        try:
            for image, found in zip(images, self.detector.stream(paths, maps=False), strict=True):
                image.hash()
                self._take(image, found.score, found.reason)
                self._show(image)
        except Exception as error:  # else these images and later ones would wait for ever
            why = printable(f"{type(error).__name__}: {error}")[:_LONGEST_REASON]
            for image in images:
                if not image.judged:
                    self._take(image, math.nan, f"it could not be judged ({why})")
                    self._show(image)
            if not self.trouble:
                self.trouble = f"Some images could not be judged: {why}"
                traceback.print_exc()

    def look(self, image: InspectedImage) -> Prediction:
        """Return the prediction of an image with its maps, computed if it is not remembered."""
        if image.id not in self._predictions:
            [found] = self.detector.stream([image.path], maps=True)
            self._remember(image, found)
        self._predictions.move_to_end(image.id)
        return self._predictions[image.id]

    def _take(self, image: InspectedImage, score: float, reason: str) -> None:
        if math.isfinite(score):
            image.decide(score, reason or self._not_again(image))
        else:
            image.decide(None, reason)

    def _show(self, image: InspectedImage) -> None:
        # The number of all last: a page that reads it in between asks for the image again.
        image.revision = self.revision + 1
        self.images[image.id] = image
        self.revision = image.revision

    def _remember(self, image: InspectedImage, prediction: Prediction) -> None:
        self._predictions[image.id] = prediction
        while len(self._predictions) > _REMEMBERED:
            self._predictions.popitem(last=False)

    def upload(self, data: bytes, name: str, batch: str | None) -> InspectedImage:
        """Decide about an uploaded file.

        Args:
            data: Its content.
            name: What the browser calls it.
            batch: Batch that it belongs to; None if it is looked at alone.

        Raises:
            RefusedUpload: If it is no image. It is not noted: :meth:`refuse` does that.
            OSError: If it cannot be written; likewise.
            UserError: If the detector was changed since it was loaded.
        """
        self._check()
        image = InspectedImage(f"u{next(self._numbers)}", shown_as(name), Path(), "upload")
        image.path, image.sha256 = self._uploads.keep(data)
        [found] = self.detector.stream([image.path])
        if self.monitor is not None:
            # A warning names the image as the person knows it, not the temporary file.
            watched = self.monitor.observe(replace(found, path=image.name))
            found = replace(watched, path=found.path)
        self._take(image, found.score, found.reason)
        if self.monitor is not None and self.monitor.warning is not None and not image.doubt:
            # It may pass by another threshold, which the page tries and the session may apply.
            image.doubt = self.monitor.warning.partition(";")[0]
        append(self.flags.folder, self._row(image))
        self._remember(image, found)
        self._show(image)
        if batch is not None:
            self._batches[batch].append(image)
        return image

    def refuse(self, name: str, reason: str, batch: str | None) -> None:
        """Note a file that was not judged, for review in the table of its batch and of all uploads.

        Args:
            name: What the browser calls it.
            reason: Why it was not judged.
            batch: As for :meth:`upload`.

        Raises:
            RefusedUpload: If the session has noted too many.
            OSError: If the table of all uploads cannot be written; that of the batch has it then.
        """
        self._uploads.count_refused()
        image = InspectedImage("", shown_as(name), Path(), "upload")
        self._take(image, math.nan, printable(reason)[:_LONGEST_REASON])
        if batch is not None:
            self._batches[batch].append(image)
        append(self.flags.folder, self._row(image))

    def restart_drift(self, reset: Reset) -> None:
        """Restart drift monitoring, after a warning."""
        if self._start_monitor is not None:
            self.monitor = self._start_monitor(reset)

    def begin_batch(self) -> str:
        """Begin a batch and return its id."""
        batch = f"b{len(self._batches)}"
        self._batches[batch] = []
        return batch

    def has_batch(self, batch: str) -> bool:
        """Return whether there is such a batch."""
        return batch in self._batches

    def batch_table(self, batch: str) -> str:
        """Return the decisions of a batch as CSV, by the threshold that decides now."""
        return as_text(self._row(image) for image in self._batches[batch])

    def _row(self, image: InspectedImage) -> list[str]:
        return row_of(image, self.zone(image), self.decision)

    def flag(self, image: InspectedImage, label: str, note: str) -> dict[str, str]:
        """Write that the decision about an image is wrong.

        Args:
            image: The image.
            label: What it is: ``normal`` or ``abnormal``.
            note: Remark of the person.

        Raises:
            UserError: If its file cannot be read any more.
        """
        if not image.hash():
            raise UserError(f"{image.name} cannot be read any more, so it cannot be flagged")
        zone = self.zone(image)
        values = {
            "sha256": image.sha256,
            "label": label,
            "decision": "normal" if zone == "pass" else "abnormal",
            "zone": zone,
            "score": "" if image.score is None else repr(image.score),
            "threshold": repr(self.decision.threshold),
            "note": no_formula(note),
        }
        return self.flags.add(image.path, values, keep=image.source == "upload")
