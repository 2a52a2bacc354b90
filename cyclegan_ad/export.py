"""Export a detector as one file that decides: ``python -m cyclegan_ad.export --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.optional_packages import EXPORT_SUFFIXES, ensure_export
from cyclegan_ad.settings.commands import ExportSettings
from cyclegan_ad.text import counted, printable


def export(settings: ExportSettings) -> dict[str, Any]:
    """Export a detector and print what the comparison with it found.

    Returns:
        The certificate.

    Raises:
        UserError: If the detector is not usable, its score cannot be exported, or the file decides
            otherwise about an image.
    """
    ensure_export(settings.format)
    default = Path(f"detector{EXPORT_SUFFIXES[settings.format]}")
    out = default if settings.out is None else settings.out
    if out.is_dir():
        raise UserError(f"invalid out={out}: it is a folder; name a file in it")
    with importing():
        from cyclegan_ad.detector.load import load_detector
        from cyclegan_ad.display.terminal import decoding_progress
        from cyclegan_ad.exporting.export_detector import export_detector
        from cyclegan_ad.exporting.find_test_images import find_test_images

    detector = load_detector(
        settings.detector,
        **settings.decide_by.as_dict(),
        device="cpu",
    )
    images = find_test_images(settings.detector, settings.images)
    print(detector.decision.describe(), flush=True)
    with decoding_progress("Comparing decisions") as progress:
        certificate = export_detector(detector, settings.format, out, images, progress)
    speed = certificate["speed"]
    before, after = (speed[name]["images_per_s"] for name in ("detector", settings.format))
    print(
        printable(
            f"{out}: the same decisions about {counted(certificate['images']['compared'], 'image')}"
            f", scores within {certificate['scores']['largest_relative_difference']:.1g} of "
            f"themselves; {after:.1f} images/s (the detector: {before:.1f}); "
            f"certificate: {out}.certificate.html"
        )
    )
    return certificate


if __name__ == "__main__":
    run_command(export, "export")
