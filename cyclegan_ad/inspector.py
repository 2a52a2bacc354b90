"""Look at decisions on a page in the browser: ``python -m cyclegan_ad.inspector --help``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan_ad.cli.command_line import importing, run_command
from cyclegan_ad.errors import UserError
from cyclegan_ad.optional_packages import ensure_inspector
from cyclegan_ad.settings.commands import InspectorSettings
from cyclegan_ad.text import printable

if TYPE_CHECKING:
    from cyclegan_ad.detector.detect import Detector
    from cyclegan_ad.detector.drift_monitor import DriftMonitor, Reset
    from cyclegan_ad.inspection.session import StartMonitor

_POLL_S = 0.5


def run_inspector(settings: InspectorSettings) -> None:
    """Serve the page until the process is interrupted.

    Raises:
        UserError: If a package is missing, or the detector, the images, the host or the port are
            not usable.
    """
    ensure_inspector()
    if settings.out.is_file():
        raise UserError(f"invalid out={settings.out}: it is a file; name a folder")
    from cyclegan_ad.inspection.guard import check_host, is_loopback
    from cyclegan_ad.inspection.server import address_of, build_app, listen, open_browser, serving
    from cyclegan_ad.runs.lock import locked_folder

    check_host(settings.host, settings.allow_network)
    with (
        listen(settings.host, settings.port) as opened,
        locked_folder(settings.out, "out"),  # flags.csv is read once, and then only written
        tempfile.TemporaryDirectory(prefix="cyclegan_ad_inspector_") as uploads,
    ):
        session, facts = open_session(settings, Path(uploads))
        app = build_app(
            session, facts, host=settings.host, max_upload_bytes=settings.max_upload_bytes
        )
        address = address_of(opened, settings.host)
        print(session.saved.describe())
        if session.monitor is not None:
            print(session.monitor.describe())
        print(f"Inspector: {address} (stop it with Ctrl-C)", flush=True)
        if not is_loopback(settings.host):
            print("Warning: other machines reach this page, and no password is asked.", flush=True)
        if settings.open_browser:
            open_browser(address)
        try:
            with serving(app, opened) as ended:
                while not ended.wait(_POLL_S):
                    pass
        except KeyboardInterrupt:
            print(printable(f"Inspector stopped. Flags and decisions: {settings.out}"), flush=True)


def open_session(settings: InspectorSettings, uploads: Path) -> tuple[Any, dict[str, Any]]:
    """Load the detector and find the images.

    Args:
        settings: Settings of the command.
        uploads: An empty folder for uploaded files.

    Returns:
        The session, and what the page is told once.

    Raises:
        UserError: If the detector, the images or the flags are not usable.
    """
    from cyclegan_ad.inspection.facts import describe_facts
    from cyclegan_ad.inspection.flags import Flags
    from cyclegan_ad.inspection.images import find_known_images
    from cyclegan_ad.inspection.session import Session
    from cyclegan_ad.inspection.uploads import Uploads

    flags = Flags(settings.out)
    with importing():
        from cyclegan_ad.detector.load import load_detector, watch_detector
    check = watch_detector(settings.detector)
    detector = load_detector(
        settings.detector, **settings.decide_by.as_dict(), device=settings.accelerator
    )
    column = detector.decision.column
    images, remark = find_known_images(settings.detector, settings.images, column)
    session = Session(
        detector,
        images,
        flags,
        Uploads(uploads, settings.max_pixels),
        _monitor(settings, detector),
        check,
    )
    return session, describe_facts(settings, detector, images, remark)


def _monitor(settings: InspectorSettings, detector: Detector) -> StartMonitor | None:
    """Return what starts the watch for drift; None if it is off or the detector too old."""
    from cyclegan_ad.detector.drift_monitor import FILE, DriftMonitor, is_watchable

    drift = settings.drift
    if not drift.enabled or not is_watchable(detector.description):
        return None
    decision, first = detector.decision, drift.reset

    def start(reset: Reset | None) -> DriftMonitor:
        settings.out.mkdir(parents=True, exist_ok=True)
        return DriftMonitor(
            detector.description,
            settings.out / FILE,
            decision=decision,
            images_per_false_warning=drift.images_per_false_warning,
            reset=first if reset is None else reset,
        )

    return start


if __name__ == "__main__":
    run_command(run_inspector, "inspector")
