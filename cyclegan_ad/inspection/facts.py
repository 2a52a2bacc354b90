"""What the page is told once: the detector, its known scores, limits and commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from cyclegan_ad import __version__
from cyclegan_ad.detector.decision import rounding
from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.exported import EXPORTED
from cyclegan_ad.inspection.flags import TABLE
from cyclegan_ad.inspection.images import InspectedImage
from cyclegan_ad.inspection.known_scores import known_scores, state_bounds, stored_decisions
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.settings.commands import InspectorSettings
from cyclegan_ad.text import printable


def describe_facts(
    settings: InspectorSettings,
    detector: Detector,
    images: Sequence[InspectedImage],
    remark: str,
) -> dict[str, Any]:
    """Describe a detector for the page.

    Args:
        settings: Settings of the command.
        detector: The detector.
        images: Images to pick from.
        remark: Why there are none or not all.
    """
    described, decision = detector.description, detector.decision
    trained_on = described["trained_on"]
    return {
        "version": __version__,
        "detector": {
            "method": described["method"],
            "dataset": printable(str(trained_on["dataset"])),
            "score": decision.column,
        },
        "reconstructs": METHODS[described["method"]].reconstructs,
        "decides": decision.name,
        "thresholds": _thresholds(described, decision.column),
        "known": known_scores(described, decision.column, images),
        "rounding": {
            "at_one": rounding(1.0, described["scores"][decision.column]["computed_by"]),
            "at_zero": rounding(0.0, described["scores"][decision.column]["computed_by"]),
        },
        "prevalence": settings.prevalence,
        "remark": remark,
        "max_upload_bytes": settings.max_upload_bytes,
        "calibrate": _command(settings),
        "flags_table": printable(str(settings.out / TABLE)),
        "flags_word": printable(shlex.quote(_word("images", settings.out / TABLE))),
    }


def _thresholds(described: dict[str, Any], column: str) -> list[dict[str, Any]]:
    """Return name, value and meaning of each threshold of the detector, the lowest first."""
    return [
        {
            "name": one.name,
            "lower": one.threshold,
            "upper": one.upper,
            "words": one.describe(),
            **state_bounds(described, one),
            "picked": one.name == "best_accuracy",
            "by_escape": one.facts.get("lowered_to_escape", False),
        }
        for one in stored_decisions(described, column)
    ]


def _command(settings: InspectorSettings) -> str:
    """Return the beginning of the command that makes a threshold permanent.

    The page adds the images and the aim. It is empty for an exported file, which has its threshold
    inside.
    """
    if settings.detector.suffix in EXPORTED:
        return ""
    words = [_word("detector", settings.detector)]
    words += [
        _word(name, value)
        for name, value in settings.decide_by.as_dict().items()
        if value is not None
    ]
    return printable(f"python -m cyclegan_ad.calibrate {shlex.join(words)}")


def _word(name: str, value: object) -> str:
    """Return a setting as Hydra reads it: text with other characters than these in quotes."""
    text = str(value)
    if re.fullmatch(r"[\w./+-]+", text, re.ASCII):
        return f"{name}={text}"
    return f"{name}={QuotedString(text, Quote.single).with_quotes()}"
