"""Certificate of an exported file: what it was compared with, and what was found."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from cyclegan_ad import __version__
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.errors import UserError
from cyclegan_ad.exporting.compare import Compared
from cyclegan_ad.files import file_sha256, write_json, write_text
from cyclegan_ad.hardware import cpu_count
from cyclegan_ad.text import counted, shown

FORMAT = 1
_PACKAGES = {
    "onnx": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "onnx"),
    "torch_export": (),
}


def refuse_flipped(compared: Sequence[Compared]) -> None:
    """Raise a UserError if the exported file decides otherwise about an image."""
    flipped = [one for one in compared if one.flipped]
    if flipped:
        worst = max(flipped, key=lambda one: one.difference)
        raise UserError(
            f"export failed: {counted(len(flipped), 'decision')} of {len(compared)} differ from "
            f"the detector's, such as {shown(str(worst.path), 80)} with score {worst.exported:.9g} "
            f"instead of {worst.score:.9g} and threshold {worst.threshold:.9g}; no file was "
            "written; try another format"
        )


def certify(
    *,
    file: Path,
    form: str,
    description: dict[str, Any],
    decision: Decision,
    compared: Sequence[Compared],
    unreadable: int,
    speed: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Return the content of the certificate.

    Args:
        file: The exported file.
        form: Its format.
        description: Content of the detector's ``detector.json``.
        decision: Score and threshold.
        compared: The images through both.
        unreadable: Number of images that could not be read.
        speed: Result of :func:`cyclegan_ad.exporting.compare.measure_speed`.
    """
    finite = [one for one in compared if math.isfinite(one.score)]
    nearest = min(finite, key=lambda one: one.margin, default=None)
    relative = [one.difference / abs(one.score) for one in finite if one.score != 0]
    return {
        "format": FORMAT,
        "file": {"name": file.name, "format": form, "sha256": file_sha256(file)},
        "detector": {
            "method": description["method"],
            "trained_on": description["trained_on"],
            "sha256": description["sha256"],
        },
        "decision": {
            "score": decision.column,
            "threshold": decision.threshold,
            "upper": decision.upper,
            "protocol": decision.name,
            "described": decision.describe(),
        },
        "images": {"compared": len(compared), "unreadable": unreadable},
        "scores": {
            "largest_difference": max((one.difference for one in finite), default=0.0),
            "largest_relative_difference": max(relative, default=0.0),
        },
        "decisions": {
            "abnormal": sum(one.abnormal for one in compared),
            "flipped": sum(one.flipped for one in compared),
            "smallest_margin": None if nearest is None else nearest.margin,
            "smallest_margin_image": None if nearest is None else str(nearest.path),
        },
        "resize": {
            "in_graph": True,
            "values": sum(one.values for one in compared),
            "differing": sum(one.differing for one in compared),
            "largest_difference": max(one.largest for one in compared),
        },
        "speed": speed,
        "versions": {
            name: importlib.metadata.version(name) for name in ("torch", "pillow", *_PACKAGES[form])
        }
        | {"cyclegan_ad": __version__, "python": platform.python_version()},
        "hardware": {"processor": _processor(), "cores": cpu_count(), "system": platform.system()},
    }


def write_certificate(path: Path, certificate: dict[str, Any]) -> list[Path]:
    """Write the certificate of a file beside it, as JSON and as a page.

    Returns:
        The two files.
    """
    from jinja2 import Environment, StrictUndefined

    name = str(path)
    files = [Path(f"{name}.certificate.json"), Path(f"{name}.certificate.html")]
    write_json(files[0], certificate)
    folder = resources.files("cyclegan_ad.exporting")
    template = (folder / "certificate.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    write_text(files[1], environment.from_string(template).render(**certificate))
    return files


def _processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
