"""The decision about one image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.images import full_size
from cyclegan_ad.data.in_memory import as_image
from cyclegan_ad.display.overlay import OPACITY, blend, heat, share_of_scale
from cyclegan_ad.metrics.recalibration import Zone

Label = Literal["normal", "abnormal"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The decision about one image.

    An image that has no score, for example because its file is damaged, is ``abnormal``, for a
    person to review, with a ``reason``: it must not pass unseen.

    Attributes:
        path: File of the image; None for an image given in memory.
        score: Anomaly score, raw units; NaN without a score.
        threshold: The image is abnormal if ``score >= threshold``.
        label: ``normal`` or ``abnormal``; normal if and only if the zone is ``pass``.
        zone: ``pass``, ``review`` (a person decides) or ``reject``; ``review`` without a score, and
            after a warning of drift (:mod:`cyclegan_ad.detector.drift_monitor`).
        reason: Why there is no score, or why the image does not pass with the one it has; else
            empty.
        brightness: Mean of the image at the size of the network, in [0, 1]; NaN without an image.
        sharpness: Its mean spatial frequency (:func:`.image_statistics.sharpness`); NaN likewise.
        anomaly_map: (S, S) float32, S the size of the network's input; None if not kept.
        reconstruction: (S, S, C) uint8, the image as the method reconstructs it as normal; None if
            not kept or if the method has none.
    """

    path: str | None
    score: float
    threshold: float
    label: Label
    zone: Zone
    reason: str = ""
    brightness: float = math.nan
    sharpness: float = math.nan
    anomaly_map: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    reconstruction: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    # For the overlay: the image, and the map values that are visible and opaque.
    source: Path | Image.Image | NDArray[Any] | None = field(
        default=None, repr=False, compare=False
    )
    window: tuple[float, float] | None = field(default=None, repr=False, compare=False)
    map_scale: tuple[float, float] = field(default=(0.0, 1.0), repr=False, compare=False)

    @property
    def margin(self) -> float:
        """``score - threshold``: negative for normal images; NaN without a score."""
        return self.score - self.threshold

    def overlay(self, opacity: float = OPACITY) -> Image.Image:
        """Draw the anomaly map over the image, at its original size.

        The map is transparent up to the values of normal images, and has its full opacity and
        colour from those of defects on; the scale is the same for all images of a detector.

        Args:
            opacity: Largest opacity of the map, in [0, 1].

        Returns:
            RGB image.

        Raises:
            ValueError: If the image could not be read, or the map was not kept.
        """
        if self.anomaly_map is None or self.source is None:
            raise ValueError(f"{self.path}: no overlay without an anomaly map ({self.reason})")
        given = self.source
        image = full_size(given if isinstance(given, Path) else as_image(given), 3, self.window)
        share = share_of_scale(self.anomaly_map, self.map_scale)
        levels = Image.fromarray((255 * share).astype(np.uint8)).resize(
            image.size, Image.Resampling.BILINEAR
        )
        level = np.asarray(levels, dtype=np.float32) / 255
        return Image.fromarray(blend(np.asarray(image), level, opacity))

    def heat(self) -> Image.Image | None:
        """Draw the anomaly map alone, to be laid over the image with any opacity.

        Returns:
            RGBA image, S x S; None if the map was not kept or does not exist.
        """
        if self.anomaly_map is None:
            return None
        return Image.fromarray(heat(share_of_scale(self.anomaly_map, self.map_scale)))
