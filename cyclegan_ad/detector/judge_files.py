"""Decide about the files of a folder, a pattern or a folder that is being filled."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.detector.decision_files import LINES, DecisionFiles, read_lines, stamp
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.drift_monitor import UNTIL_RESET, DriftMonitor
from cyclegan_ad.detector.find_images import OVERLAYS, find_images
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.files import replacing
from cyclegan_ad.text import counted

_WRITTEN_TOGETHER = 16

# Of 255 bytes, the limit of common file systems, 18 are left for the affixes of temporary files.
_LONGEST_NAME_BYTES = 237


def judge(
    detector: Detector,
    paths: Sequence[Path],
    files: DecisionFiles,
    *,
    draw: Collection[str],
    overlays: Overlays,
    check: Callable[[], None] = lambda: None,
    monitor: DriftMonitor | None = None,
    progress: Progress | None = None,
) -> None:
    """Decide about files and write each decision as soon as it is made, and then its overlay.

    Overlays that an earlier command did not draw, as it was interrupted or the disk was full, are
    drawn at the end. A warning of drift is printed once, when it is given.

    Args:
        detector: The detector.
        paths: The files.
        files: Receives the decisions.
        draw: Decisions whose overlays are drawn: ``normal``, ``abnormal``, both or none.
        overlays: Draws them.
        check: Called before decisions are written; raises an error if they no longer hold.
        monitor: Watches the decisions for drift.
        progress: Called with (files done, files).
    """
    undrawn = overlays.find_undrawn(files.folder, draw) if draw else []
    # From before they are read: a file that is changed meanwhile is judged again next time.
    stamps = iter([stamp(path) for path in paths])
    found = detector.stream(paths, maps=True, progress=progress)
    while predictions := list(islice(found, _WRITTEN_TOGETHER)):
        check()
        if monitor is not None:
            warned = monitor.warning is not None
            predictions = [monitor.observe(prediction, save=False) for prediction in predictions]
            if not warned and monitor.warning is not None:
                print(f"warning: {monitor.warning}{UNTIL_RESET}", flush=True)
        files.append(predictions, list(islice(stamps, len(predictions))))
        # After the decisions: if interrupted in between, no image is watched twice.
        if monitor is not None:
            monitor.save()
        for prediction in predictions:
            if prediction.label in draw:
                overlays.draw(prediction)
    if undrawn:
        print(f"drawing {counted(len(undrawn), 'overlay')} of earlier decisions", flush=True)
    for prediction in detector.stream(undrawn):
        overlays.draw(prediction)


class Overlays:
    """Overlays of a command, in a folder, named as their images are.

    Args:
        folder: Folder of the overlays.
        images: Setting ``images``: a name is the path of the image below this folder.
    """

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self._images = folder, images
        self._searched = False

    def draw(self, prediction: Prediction) -> None:
        """Write the overlay of an image; nothing for an image without a score."""
        if prediction.anomaly_map is None or prediction.path is None:
            return
        target = self._file_of(Path(prediction.path))
        with replacing(target, durable=False) as temporary:
            prediction.overlay().save(temporary, format="PNG")

    def find_undrawn(self, folder: Path, draw: Collection[str]) -> list[Path]:
        """Return the images of this command that have an earlier decision but no overlay.

        Args:
            folder: Folder of the decisions.
            draw: Decisions whose overlays are drawn.

        Returns:
            The images; none from the second call on.
        """
        if self._searched:
            return []
        self._searched = True
        paths = [
            Path(record["path"])
            for record in read_lines(folder / LINES)
            if record["score"] is not None and record["decision"] in draw
        ]
        paths = [path for path in paths if not self._file_of(path).exists()]
        if not paths:
            return []
        found = set(find_images(self._images, besides=self.folder, allow_none=True))
        return [path for path in paths if path in found]

    def _file_of(self, image: Path) -> Path:
        inside = self._images.is_dir() and image.is_relative_to(self._images)
        relative = image.relative_to(self._images if inside else image.anchor)
        *parents, name = ("_" if part == ".." else part for part in relative.parts)
        return self.folder.joinpath(*parents, _name_of(name))


def _name_of(image: str) -> str:
    """Return the name of an overlay, shortened if it is too long for the file system."""
    # The suffix stays in the name: a.png and a.jpg are two images.
    name, encoded = f"{image}.png", os.fsencode(image)
    if len(os.fsencode(name)) <= _LONGEST_NAME_BYTES:
        return name
    end = f"-{hashlib.sha256(encoded).hexdigest()[:16]}.png"
    return encoded[: _LONGEST_NAME_BYTES - len(end)].decode(errors="ignore") + end


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

    """
    overlays = files.folder / OVERLAYS
    seen: dict[Path, list[int]] = {}
    last = time.monotonic()
    while stop_after_s is None or time.monotonic() - last < stop_after_s:
        pending = files.pending(find_images(images, besides=overlays, allow_none=True))
        now = {path: stamp(path) for path in pending}
        if ready := [path for path in pending if seen.get(path) == now[path] and now[path]]:
            yield ready
        if ready or now != seen:
            last = time.monotonic()
        seen = now
        time.sleep(interval_s)
