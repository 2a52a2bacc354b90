"""Export a detector, and certify that the file decides as the detector does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.exported import FORMAT, ExportedBackend
from cyclegan_ad.detector.torch_backend import TorchBackend
from cyclegan_ad.errors import UserError
from cyclegan_ad.exporting.certificate import certify, refuse_flipped, write_certificate
from cyclegan_ad.exporting.compare import compare, measure_speed
from cyclegan_ad.exporting.decision_graph import DecisionGraph
from cyclegan_ad.exporting.write_file import trace, write_file


def export_detector(
    detector: Detector,
    form: str,
    out: Path,
    images: Sequence[Path],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Export a detector with the score and threshold that decide.

    Neither the detector nor its run is changed. The file and the certificate appear at the end,
    all or none.

    Args:
        detector: A detector on the CPU.
        form: ``onnx``, ``openvino`` or ``torch_export``.
        out: The file.
        images: Images that go through both.
        progress: Called with (images compared, images).

    Returns:
        The certificate.

    Raises:
        UserError: If the score cannot be exported, or the file decides otherwise about an image.
    """
    backend, decision = detector.backend, detector.decision
    if not isinstance(backend, TorchBackend):
        raise UserError(
            "invalid detector: it is an exported file; export from its run or detector folder"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the file, so that renaming is all that is left to do, and fails now where it must.
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        file = Path(folder) / out.name
        graph = DecisionGraph(backend, decision)
        scores = {decision.column: backend.description["scores"][decision.column]}
        # Of the calibrations what decides; which other images they were made with stays here, as
        # do the files of the training.
        calibrations = [one | {"files": []} for one in backend.description["calibrations"]]
        reference = backend.description["reference"]
        of_score = {decision.column: reference["scores"][decision.column]}
        facts = {
            "format": FORMAT,
            "description": backend.description
            | {"score": decision.column, "scores": scores, "calibrations": calibrations}
            | {"trained_files": [], "reference": reference | {"scores": of_score}},
            "decision": asdict(decision),
        }
        channels = backend.description["preprocessing"]["channels"]
        write_file(trace(graph, channels), file, form, facts)
        exported = ExportedBackend(file)
        compared = compare(backend, exported, decision, images, progress)
        refuse_flipped(compared)
        certificate = certify(
            file=file,
            form=form,
            description=backend.description,
            decision=decision,
            compared=compared,
            unreadable=len(images) - len(compared),
            speed=measure_speed({"detector": backend, form: exported}, decision.column),
        )
        write_certificate(file, certificate)
        for written in sorted(Path(folder).iterdir()):
            os.replace(written, out.parent / written.name)
    return certificate
