"""Decide about the files of a folder, a pattern or a folder that is being filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.detector.decision_files import LINES, DecisionFiles, read_lines, stamp
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.drift_monitor import UNTIL_RESET, DriftMonitor
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import replacing

_WRITTEN_TOGETHER = 16


def judge(
    detector: Detector,
    paths: Sequence[Path],
    files: DecisionFiles,
    *,
    draw: Callable[[Prediction], bool],
    overlays: Overlays,
    monitor: DriftMonitor | None = None,
    progress: Progress | None = None,
) -> None:
    """Decide about files and write each decision as soon as it is made.

    A warning of drift is printed once, when it is given.

    Args:
        detector: The detector.
        paths: The files.
        files: Receives the decisions.
        draw: Whether to draw the overlay of a prediction.
        overlays: Draws it.
        monitor: Watches the decisions for drift.
        progress: Called with (files done, files).
    """
    # From before they are read: a file that is changed meanwhile is judged again next time.
    stamps = iter([stamp(path) for path in paths])
    found = detector.stream(paths, maps=True, progress=progress)
    while predictions := list(islice(found, _WRITTEN_TOGETHER)):
        if monitor is not None:
            warned = monitor.warning is not None
            predictions = [monitor.observe(prediction, save=False) for prediction in predictions]
            if not warned and monitor.warning is not None:
                print(f"warning: {monitor.warning}{UNTIL_RESET}", flush=True)
        for prediction in predictions:
            if draw(prediction):
                overlays.draw(prediction)
        files.append(predictions, list(islice(stamps, len(predictions))))
        # After the decisions: if interrupted in between, no image is watched twice.
        if monitor is not None:
            monitor.save()


class Overlays:
    """Overlays of a command, in a folder, named as their images are.

    Args:
        folder: Folder of the overlays.
        images: Setting ``images``: a name is the path of the image below this folder.
    """

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self._images = folder, images

    def draw(self, prediction: Prediction) -> None:
        """Write the overlay of an image; nothing for an image without a score."""
        if prediction.anomaly_map is None or prediction.path is None:
            return
        path = Path(prediction.path)
        inside = self._images.is_dir() and path.is_relative_to(self._images)
        name = path.relative_to(self._images if inside else path.anchor)
        # The suffix stays in the name: a.png and a.jpg are two images.
        target = self.folder / f"{str(name).replace('..', '_')}.png"
        with replacing(target, durable=False) as temporary:
            prediction.overlay().save(temporary, format="PNG")


def draw_nearest(detector: Detector, folder: Path, count: int, overlays: Overlays) -> None:
    """Draw the images whose scores are nearest the threshold, of all decisions in a folder."""
    records = [record for record in read_lines(folder / LINES) if record["margin"] is not None]
    records.sort(key=lambda record: abs(record["margin"]))
    for prediction in detector.stream([Path(record["path"]) for record in records[:count]]):
        overlays.draw(prediction)


def watch(
    images: Path, files: DecisionFiles, interval_s: float, stop_after_s: float | None
) -> Iterator[list[Path]]:
    """Yield the new files of a folder as they arrive, each when it no longer grows.

    Args:
        images: The folder.
        files: Knows which files have a decision.
        interval_s: Seconds between two looks; a file must be unchanged from one to the next.
        stop_after_s: Seconds without a new file after which to stop; None: never.

    Raises:
        UserError: If there is no such folder.
    """
    if not images.is_dir():
        raise UserError(f"invalid images={images} with watch=true: expected a folder")
    seen: dict[Path, list[int]] = {}
    last = time.monotonic()
    while stop_after_s is None or time.monotonic() - last < stop_after_s:
        pending = files.pending(find_images(images, besides=files.folder, allow_none=True))
        now = {path: stamp(path) for path in pending}
        if ready := [path for path in pending if seen.get(path) == now[path] and now[path]]:
            yield ready
        if ready or now != seen:
            last = time.monotonic()
        seen = now
        time.sleep(interval_s)
