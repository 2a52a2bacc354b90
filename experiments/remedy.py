"""The command that adds a column to the scores of a run."""

import re
import shlex
from pathlib import Path
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.pretrained.names import EXTRACTOR_NAMES
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.scoring.names import SCORE_NAMES, check_method_scores, score_column

_USUAL = {"extractor": "inception", "peak_sigma_px": 2.0, "tta": "none", "precision": "float32"}


def score_options(column: str) -> tuple[str, dict[str, Any]] | None:
    """Tell which score and which settings ``score.*`` a column is made with.

    Returns:
        The name of the score and the settings that its column depends on; None for a name that no
        score has.

    >>> score_options("fid_efficientnet_lite0")
    ('fid', {'extractor': 'efficientnet_lite0', 'tta': 'none'})
    >>> score_options("peak_1.5px_tta")
    ('peak', {'peak_sigma_px': 1.5, 'tta': 'dihedral'})
    >>> score_options("sse_bf16")
    ('sse', {'precision': 'bf16', 'tta': 'none'})
    >>> score_options("nothing") is None
    True
    """
    base = column.removesuffix("_tta")
    tta = "none" if base == column else "dihedral"
    needed: dict[str, Any] = {}
    if base.endswith("_bf16"):
        base, needed["precision"] = base.removesuffix("_bf16"), "bf16"
    if width := re.fullmatch(r"peak_([0-9.e+-]+)px", base):
        try:
            base, needed["peak_sigma_px"] = "peak", float(width[1])
        except ValueError:
            return None
    for stem in ("fid", "fid_spatial"):
        for extractor in EXTRACTOR_NAMES:
            if base in (stem, f"{stem}_{extractor}"):
                found = "inception" if base == stem else extractor
                base, needed["extractor"] = stem, found
    needed["tta"] = tta
    options: dict[str, Any] = _USUAL | needed
    if base not in SCORE_NAMES or score_column(base, **options) != column:
        return None
    return base, needed


def scoring_command(run_dir: Path, column: str) -> str | None:
    """The command that adds a column to ``scores.csv``.

    Returns:
        The command; None if no command can.
    """
    options = score_options(column)
    if options is None:
        return None
    name, needed = options
    made_with: dict[str, Any] = {"precision": "float32"}
    try:
        config = RunDirectory(run_dir).read_config()
    except UserError:  # all options are given then
        pass
    else:
        made_with |= config["score"]
        try:
            check_method_scores(str(config["method"].get("name")), [name])
        except (UserError, KeyError):
            return None
    words = [f"run={run_dir}", f"score={name}"]
    for option, value in ({"precision": "float32"} | needed).items():
        if made_with.get(option) != value:
            text = f"{value:g}" if isinstance(value, float) else value
            words.append(f"score.{option}={text}")
    return shlex.join(["python", "-m", "cyclegan_ad.evaluate", *words])
