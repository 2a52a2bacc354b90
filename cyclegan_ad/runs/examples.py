"""Read the example images and reconstructions of a run; without torch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.text import shown_name

FILE = "examples.npz"
FIGURE_IMAGES = 5  # of each class, spread evenly over the test set
CRITICAL_IMAGES = 3  # of each kind and score


@dataclass(frozen=True)
class SavedExamples:
    """Content of ``examples.npz`` of a run.

    Attributes:
        images: (N, H, W, C) uint8, C = 1 or 3.
        reconstructions: (N, H, W, C) uint8, or None for a method without.
        maps: (N, H, W) float32 >= 0, anomaly maps.
        masks: (N, H, W) bool, True where an image is known to be abnormal.
        labels: (N,) int64, 0 normal, 1 abnormal.
        paths: N paths.
        critical: (N,) bool. False: spread evenly over the test set; True: what a score's thresholds
            depend on, with its lowest abnormal and highest normal images and nearest false alarms.
    """

    images: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8] | None
    maps: NDArray[np.float32]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    paths: list[str]
    critical: NDArray[np.bool_]


def examples_fingerprint(run_dir: Path) -> dict[str, str]:
    """Return the SHA-256 of ``examples.npz`` as in ``metrics.json``; empty without the file."""
    path = Path(run_dir) / FILE
    if not path.is_file():
        return {}
    return {"content": hashlib.sha256(path.read_bytes()).hexdigest()}


def read_examples(run_dir: Path, metrics: Mapping[str, Any] | None = None) -> SavedExamples:
    """Read ``examples.npz`` of a run.

    Args:
        run_dir: The run directory.
        metrics: Content of ``metrics.json``, to check that both were written together.

    Raises:
        UserError: If the file is missing, damaged or not the one written with the metrics.
    """
    path = Path(run_dir) / FILE
    again = f"score the run again: python -m cyclegan_ad.evaluate run={run_dir}"
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        written = examples_fingerprint(run_dir)
        if metrics is not None and metrics["fingerprints"].get(FILE) != written:
            raise ValueError("not the file that was written with metrics.json")
        return SavedExamples(
            images=arrays["images"],
            reconstructions=arrays.get("reconstructions"),
            maps=arrays["maps"],
            masks=arrays["masks"],
            labels=arrays["labels"],
            paths=[bytes(path).decode(errors="surrogateescape") for path in arrays["paths"]],
            critical=arrays["critical"],
        )
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {again}") from None
    except Exception as error:  # numpy and zipfile raise many kinds of errors on damaged files
        raise UserError(f"{path} is damaged ({shown_name(str(error))}); {again}") from error
