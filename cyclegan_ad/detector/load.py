"""Load a detector: of a run, from a folder, or from an exported file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cyclegan_ad.detector.decision import choose_decision
from cyclegan_ad.detector.decision_files import stamp
from cyclegan_ad.detector.description import FILE, read_description
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.exported import EXPORTED, ExportedBackend
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import file_sha256

_EXPORTED_FILE = "a file of `python -m cyclegan_ad.export`"


def load_detector(
    path: str | Path,
    *,
    score: str | None = None,
    protocol: str | None = None,
    threshold: float | None = None,
    device: str = "auto",
) -> Detector:
    """Load a detector.

    Args:
        path: A run directory, the folder of a detector, or an exported file (``.onnx``, ``.xml``,
            ``.pt2``). Files of ONNX and OpenVINO need no torch.
        score: Score column that decides; None for the one that was saved.
        protocol: Threshold that decides, e.g. ``paper``, ``crossfit``, ``recalibrated`` or
            ``best_accuracy``; None for the one that was saved or set by the last calibration.
        threshold: A value to use instead.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``gpu``.

    Raises:
        UserError: If the detector is missing, damaged, or of a newer format, or if it has no such
            score or threshold.
    """
    path = Path(path).expanduser()
    if path.suffix in EXPORTED and path.is_file():
        exported = ExportedBackend(path)
        if score is None and protocol is None and threshold is None:
            return Detector(exported, exported.decision)
        choice = choose_decision(
            exported.description, score=score, protocol=protocol, threshold=threshold
        )
        return Detector(exported, choice)
    folder = find_folder(path, _EXPORTED_FILE)
    described = read_description(folder)
    choice = choose_decision(described, score=score, protocol=protocol, threshold=threshold)
    from cyclegan_ad.detector.torch_backend import TorchBackend

    return Detector(TorchBackend(folder, described, choice.column, device), choice)


def watch_detector(path: str | Path) -> Callable[[], None]:
    """Return a check for commands that decide for hours, to be made before the detector is loaded.

    Args:
        path: As for `load_detector`.

    Returns:
        Raises UserError once the file with the thresholds has another content, or is gone.
    """
    path = Path(path).expanduser()
    exported = path.suffix in EXPORTED and path.is_file()
    file = path if exported else find_folder(path, _EXPORTED_FILE) / FILE
    before, content = stamp(file), file_sha256(file) if file.is_file() else ""

    def check() -> None:
        if stamp(file) == before or (file.is_file() and file_sha256(file) == content):
            return
        raise UserError(
            f"{file} was changed by another command, such as calibrate; start this one again (with "
            "another out=PATH, if it keeps decisions there) to decide by the new thresholds"
        )

    return check


def find_folder(path: Path, other: str = "") -> Path:
    """Find the folder of a detector.

    Args:
        path: A run directory, or the folder itself.
        other: What else is possible, for the message.

    Raises:
        UserError: If there is no such folder.
    """
    folder = path / "detector" if (path / "detector").is_dir() else path
    if folder.is_dir():
        return folder
    expected = "a run directory, a folder with detector.json, or " + other
    if not other:
        expected = "a run directory or a folder with detector.json"
    if path.suffix in EXPORTED and path.is_file():
        expected += " (an exported file has its threshold inside: export again afterwards)"
    raise UserError(f"invalid detector={path}: expected {expected}")
