"""Decisions of a saved detector on new images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.decoded_files import decode_file
from cyclegan_ad.data.depth import is_dark
from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import shrink_image
from cyclegan_ad.data.in_memory import as_image
from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.detector.decision import Decision, identify
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.detector.history import escaped_files
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.files import file_sha256
from cyclegan_ad.metrics.image_statistics import brightness, sharpness

Pixels: TypeAlias = NDArray[np.uint8]
Given: TypeAlias = "str | Path | Image.Image | Pixels"


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of N images.

    Attributes:
        scores: (N,) float64; NaN or infinite if a score is not usable.
        maps: (N, S, S) float32, anomaly maps.
        reconstructions: (N, S, S, C) uint8; None if the method has none.
    """

    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    reconstructions: Pixels | None


class Backend(Protocol):
    """What computes a score of a detector: PyTorch, or the runtime of an exported file."""

    description: dict[str, Any]
    """Content of ``detector.json``."""

    def score(self, pixels: Pixels, column: str) -> Scored:
        """Compute a score of images, (N, S, S, C) uint8; called from several threads."""

    def map(
        self, function: Callable[[list[Any]], list[Prediction]], items: Sequence[Any]
    ) -> Iterator[list[Prediction]]:
        """Call a function for batches of items, in order, on all cores."""


class Detector:
    """A trained detector with the threshold that decides.

    Args:
        backend: Computes the scores.
        decision: Score and threshold that decide.

    Attributes:
        description: Content of ``detector.json``.
        decision: Score and threshold that decide.
    """

    def __init__(self, backend: Backend, decision: Decision) -> None:
        self.backend, self.decision = backend, decision
        self.description = backend.description
        preprocessing = self.description["preprocessing"]
        self._channels, self._size_px = preprocessing["channels"], preprocessing["size_px"]
        window = preprocessing["window"]
        self._window = None if window is None else (window[0], window[1])
        self._map_scale = tuple(self.description["map_scale"])
        self._escaped = escaped_files(self.description)

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the decisions: hash of the weights, score, thresholds and escapes."""
        return identify(self.description, self.decision)

    def __repr__(self) -> str:
        name = f"{self.description['method']}, {self.description['trained_on']['dataset']}"
        return f"<Detector {name}: {self.decision.describe()}>"

    @overload
    def __call__(self, images: Image.Image | Pixels, progress: bool = ...) -> Prediction: ...

    @overload
    def __call__(
        self, images: str | Path, progress: bool = ...
    ) -> Prediction | list[Prediction]: ...

    @overload
    def __call__(
        self, images: list[Given] | tuple[Given, ...], progress: bool = ...
    ) -> list[Prediction]: ...

    def __call__(
        self, images: Given | list[Given] | tuple[Given, ...], progress: bool = False
    ) -> Prediction | list[Prediction]:
        """Decide about an image, or about several.

        Args:
            images: A file, a Pillow image or an array, (H, W) or (H, W, C) of uint8 or uint16: one
                prediction. A folder, a glob pattern or a list of files and images: a list.
            progress: Whether to show a progress bar, on standard error.

        Returns:
            The predictions with their maps and reconstructions, in order. To keep only a few in
            memory use :meth:`stream`.

        Raises:
            UserError: If a path does not exist, or holds no images.
            ValueError: If an array has another shape or dtype.
        """
        if isinstance(images, Image.Image | np.ndarray):
            return next(self.stream([images]))
        given: Sequence[Given]
        if isinstance(images, str | Path):
            given = find_images(images)
            if given == [Path(images)]:
                return next(self.stream(given))
        else:
            given = images
        if not progress:
            return list(self.stream(given))
        from cyclegan_ad.display.terminal import decoding_progress

        with decoding_progress("Judging images", unit="images") as report:
            return list(self.stream(given, progress=report))

    def stream(
        self, images: Sequence[Given], *, maps: bool = True, progress: Progress | None = None
    ) -> Iterator[Prediction]:
        """Decide about images one after the other, with few of them in memory.

        Args:
            images: Files, Pillow images or uint8 arrays.
            maps: Whether to keep anomaly maps and reconstructions.
            progress: Called after each batch with (images done, total).

        Yields:
            The predictions, in order.
        """
        done = 0
        for batch in self.backend.map(partial(self._judge, maps=maps), images):
            done += len(batch)
            if progress is not None:
                progress(done, len(images))
            yield from batch

    def _judge(self, images: list[Given], *, maps: bool) -> list[Prediction]:
        """Decode and judge a batch; in a thread of its own."""
        decoded = [self._decode(image) for image in images]
        readable = [pixels for pixels in decoded if not isinstance(pixels, str)]
        scored = iter(self._score(np.stack(readable)) if readable else ())
        return [
            self._prediction(image, pixels)
            if isinstance(pixels, str)
            else self._prediction(image, "", *next(scored), pixels=pixels, keep=maps)
            for image, pixels in zip(images, decoded, strict=True)
        ]

    def _decode(self, image: Given) -> Pixels | str:
        """Return (S, S, C) uint8, or why there is no image."""
        if isinstance(image, str | Path):
            decoded = decode_file(Path(image), self._size_px, self._channels, self._window)
            if decoded.pixels is None:
                return decoded.reason
            if self._window is None and decoded.span is not None and is_dark(decoded.span):
                return f"its largest value is {decoded.span.high:g}, and the detector has no window"
            return decoded.pixels
        try:
            return shrink_image(as_image(image), self._size_px, self._channels, self._window)
        except UnreadableImage as error:
            return str(error)

    def _score(self, pixels: Pixels) -> Iterator[tuple[float, NDArray[np.float32], Pixels | None]]:
        found = self.backend.score(pixels, self.decision.column)
        for i, score in enumerate(found.scores.tolist()):
            made = None if found.reconstructions is None else found.reconstructions[i]
            yield score, found.maps[i], made

    def _prediction(
        self,
        image: Given,
        reason: str,
        score: float = math.nan,
        anomaly_map: NDArray[np.float32] | None = None,
        reconstruction: Pixels | None = None,
        pixels: Pixels | None = None,
        keep: bool = False,
    ) -> Prediction:
        if not reason and not math.isfinite(score):
            reason, score = f"its score is {score}", math.nan
        path = str(image) if isinstance(image, str | Path) else None
        source = Path(image) if isinstance(image, str | Path) else image
        zone = self.decision.zone(score)
        if zone == "pass" and self._escaped and isinstance(source, Path):
            reason = self._not_again(source)
            zone = "review" if reason else zone
        return Prediction(
            path=path,
            score=score,
            threshold=self.decision.threshold,
            label="normal" if zone == "pass" else "abnormal",
            reason=reason,
            zone=zone,
            brightness=math.nan if pixels is None else brightness(pixels),
            sharpness=math.nan if pixels is None else sharpness(pixels),
            anomaly_map=anomaly_map if keep else None,
            reconstruction=reconstruction if keep else None,
            source=source,
            map_scale=self._map_scale,
            window=self._window,
        )

    def _not_again(self, path: Path) -> str:
        """Say why a file may not pass whatever its score; empty if it may."""
        try:
            reported = self._escaped.get(file_sha256(path))
        except OSError as error:
            return f"it cannot be compared with the reported escapes ({error.strerror})"
        return "" if reported is None else f"reported as an escaped defect on {reported[:10]}"
