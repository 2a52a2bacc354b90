"""Inspectors of a finished tiny run, for tests."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tiny import compose_settings

from cyclegan_ad.inspection.session import Session
from cyclegan_ad.inspector import open_session
from cyclegan_ad.settings.commands import InspectorSettings
from cyclegan_ad.settings.types import read_settings

OWN = "http://127.0.0.1"
SAME = {"origin": OWN}


def inspector_settings(detector: Path, out: Path, **changes: Any) -> InspectorSettings:
    raw = compose_settings("inspector", ["detector=x", "accelerator=cpu", "open_browser=false"])
    raw |= {"detector": str(detector), "out": str(out)}
    raw["drift"] |= changes.pop("drift", {})
    raw["decide_by"] |= changes.pop("decide_by", {})
    return read_settings(InspectorSettings, raw | changes)


def session_of(detector: Path, folder: Path, **changes: Any) -> tuple[Session, dict[str, Any]]:
    """A session with its facts; flags go to ``folder/out``."""
    uploads = folder / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    return open_session(inspector_settings(detector, folder / "out", **changes), uploads)


def png(value: int = 90, size_px: int = 32, square: bool = False, seed: int = 0) -> bytes:
    """A grey ramp as the tests draw them; with a bright square if asked for."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(value - 30, value + 30, size_px)[None, :]
    ramp = ramp + random.normal(0, 6, (size_px, size_px))
    if square:
        ramp[8:16, 8:16] = 230
    content = io.BytesIO()
    Image.fromarray(ramp.clip(0, 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()
