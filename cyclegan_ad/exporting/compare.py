"""Test images through a detector and its exported file: scores, decisions, resize, speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import full_size, shrink_image
from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.detect import Backend, Pixels
from cyclegan_ad.detector.exported import ExportedBackend
from cyclegan_ad.errors import UserError
from cyclegan_ad.hardware import cpu_count
from cyclegan_ad.metrics.recalibration import ZONES, Zone

_ROUNDS = 5
_SECONDS_PER_ROUND = 2.0


@dataclass(frozen=True, slots=True)
class Compared:
    """An image through both.

    Attributes:
        path: The file.
        score: Score of the detector.
        exported: Score of the exported file.
        threshold: Threshold that decides.
        abnormal: Decision of the exported file.
        zone: Zone of the detector's score.
        exported_zone: That of the exported file.
        values: Number of values of the resized image.
        differing: Those in which the exported resize differs from Pillow's.
        largest: Largest difference, in grey levels.
    """

    path: Path
    score: float
    exported: float
    threshold: float
    abnormal: bool
    zone: Zone
    exported_zone: Zone
    values: int
    differing: int
    largest: int

    @property
    def flipped(self) -> bool:
        """Whether the decisions differ; without a score an image is abnormal."""
        return self.abnormal is (self.score < self.threshold) or (
            math.isfinite(self.score) and self.zone != self.exported_zone
        )

    @property
    def margin(self) -> float:
        """Distance of the detector's score from the threshold."""
        return abs(self.score - self.threshold)

    @property
    def difference(self) -> float:
        """Difference of the scores; 0 if both have none."""
        if not math.isfinite(self.score) and not math.isfinite(self.exported):
            return 0.0
        return abs(self.exported - self.score)


def compare(
    backend: Backend,
    exported: ExportedBackend,
    decision: Decision,
    paths: Sequence[Path],
    progress: Progress | None = None,
) -> list[Compared]:
    """Judge images with a detector and with its exported file.

    The detector gets them resized by Pillow, as always; the file gets them at their original size.

    Args:
        backend: The detector.
        exported: The exported file.
        decision: Score and threshold of both.
        paths: The images. Those that cannot be read are left out.
        progress: Called with (images done, images).

    Raises:
        UserError: If no image can be read.
    """
    preprocessing = backend.description["preprocessing"]
    size_px, channels = preprocessing["size_px"], preprocessing["channels"]
    window = None if preprocessing["window"] is None else tuple(preprocessing["window"])
    compared = []
    for number, path in enumerate(paths, 1):
        try:
            picture = full_size(path, channels, window)
        except UnreadableImage:
            continue
        pixels = np.asarray(picture).reshape(picture.height, picture.width, channels)
        resized = shrink_image(picture, size_px, channels, None)
        expected = backend.score(np.stack([resized]), decision.column)
        found = exported.run(np.stack([pixels]))
        apart = np.abs(found["resized"][0].astype(np.int16) - resized)
        compared.append(
            Compared(
                path=path,
                score=float(expected.scores[0]),
                exported=float(found["score"][0]),
                threshold=decision.threshold,
                abnormal=bool(found["abnormal"][0]),
                zone=decision.zone(float(expected.scores[0])),
                exported_zone=ZONES[int(found["zone"][0])],  # by their order
                values=apart.size,
                differing=int((apart > 0).sum()),
                largest=int(apart.max()),
            )
        )
        if progress is not None:
            progress(number, len(paths))
    if not compared:
        raise UserError(
            f"none of {len(paths)} images can be read, such as {paths[0]}; name others: images=PATH"
        )
    return compared


def measure_speed(backends: dict[str, Backend], column: str) -> dict[str, dict[str, float]]:
    """Measure backends in turns, on random images of the network's size.

    Args:
        backends: Name -> backend.
        column: Score column.

    Returns:
        Name -> ``latency_ms`` (one image, one core) and ``images_per_s`` (all cores); medians.
    """
    preprocessing = next(iter(backends.values())).description["preprocessing"]
    shape = (preprocessing["size_px"], preprocessing["size_px"], preprocessing["channels"])
    random = np.random.default_rng(0)
    one = random.integers(0, 256, (1, *shape), dtype=np.uint8)

    def alone(backend: Backend) -> Callable[[], object]:
        return lambda: list(backend.map(lambda batch: _score(backend, batch, column), list(one)))

    def many(backend: Backend, images: list[Pixels]) -> Callable[[], object]:
        return lambda: list(backend.map(lambda batch: _score(backend, batch, column), images))

    latency = _in_turns({name: alone(backend) for name, backend in backends.items()})
    # As many images as take about as long as a round may.
    count = int(_SECONDS_PER_ROUND * cpu_count() / max(latency.values()))
    images = list(random.integers(0, 256, (min(max(count, 4), 256), *shape), dtype=np.uint8))
    seconds = _in_turns({name: many(backend, images) for name, backend in backends.items()})
    return {
        name: {"latency_ms": 1e3 * latency[name], "images_per_s": len(images) / seconds[name]}
        for name in backends
    }


def _score(backend: Backend, batch: list[Pixels], column: str) -> list[Any]:
    return [backend.score(np.stack(batch), column)]


def _in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each call; the machine may be busy at times."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(_ROUNDS + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number > 0:  # the first one allocates memory
                seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}
