"""The names of scores and feature extractors, and what is wrong with a wrong one.

No torch here: a command checks its settings before it loads anything slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import EMBEDDING, METHODS, RECONSTRUCTION_SCORES
from cyclegan_ad.pretrained.names import check_extractor_name
from cyclegan_ad.text import shortest

SCORE_NAMES = (*RECONSTRUCTION_SCORES, EMBEDDING)
TTA_NAMES = ("none", "dihedral")
SCORE_PRECISIONS = ("float32", "bf16")

_EXTRACTOR_SCORES = ("fid", "fid_spatial")


def check_score_names(names: Iterable[str]) -> tuple[str, ...]:
    """Check the scores that were asked for.

    Args:
        names: score names, in the order wanted; a repeated one counts once.

    Returns:
        The names without repeats, in the same order.

    Raises:
        UserError: if a name is unknown or there is none.

    Example:
        >>> check_score_names(["fid", "sse", "fid"])
        ('fid', 'sse')
    """
    unique = tuple(dict.fromkeys(names))
    choices = ", ".join(SCORE_NAMES)
    for name in unique:
        if name not in SCORE_NAMES:
            raise UserError(f"unknown score '{name}': score takes one or more of {choices}")
    if not unique:
        raise UserError(f"no score was asked for: score takes one or more of {choices}")
    return unique


def needs_extractor(names: Iterable[str]) -> bool:
    """Tell whether any of the scores compares deep features.

    Example:
        >>> needs_extractor(["sse"]), needs_extractor(["sse", "fid"])
        (False, True)
    """
    return any(name in _EXTRACTOR_SCORES for name in names)


def check_method_scores(method: str, names: Iterable[str]) -> None:
    """Check that a method has the scores that were asked for.

    Args:
        method: one of ``METHODS``.
        names: any of ``SCORE_NAMES``.

    Raises:
        UserError: if it has not all of them.
    """
    possible = METHODS[method].scores
    for name in names:
        if name not in possible:
            reason = "has no embedding" if name == EMBEDDING else "makes no reconstruction"
            raise UserError(
                f"method={method} {reason}, so it has no score '{name}': leave score out, or "
                f"take score.names=[{','.join(possible)}] or some of it"
            )


def score_columns(score: Mapping[str, Any]) -> list[str]:
    """Name the columns that the settings ``score.*`` ask for.

    >>> options = {"extractor": "inception", "peak_sigma_px": 2, "tta": "none"}
    >>> score_columns({"names": ["sse", "fid"], "precision": "float32", **options})
    ['sse', 'fid']
    """
    options = {name: score[name] for name in ("extractor", "peak_sigma_px", "tta", "precision")}
    return [score_column(name, **options) for name in check_score_names(score["names"])]


def score_column(
    name: str,
    extractor: str,
    *,
    peak_sigma_px: float | None = None,
    tta: str = "none",
    precision: str = "float32",
) -> str:
    """Name the column that a score has in ``scores.csv`` and ``metrics.json``.

    Figures that were not computed alike must never share a column, so the extractor (but for the
    paper's own), the width of the smoothing, bfloat16 and test-time augmentation are part of its
    name.

    Args:
        name: one of ``SCORE_NAMES``.
        extractor: one of ``EXTRACTOR_NAMES``; counts for ``fid`` and ``fid_spatial``.
        peak_sigma_px: width of the smoothing in pixels, for ``peak``.
        tta: one of ``TTA_NAMES``.
        precision: one of ``SCORE_PRECISIONS``; ``embedding`` is computed as the method does it.

    Raises:
        UserError: if a name is unknown.
        ValueError: if ``peak`` is given no width.

    Example:
        >>> score_column("fid", "efficientnet_lite0")
        'fid_efficientnet_lite0'
        >>> score_column("peak", "inception", peak_sigma_px=2, tta="dihedral")
        'peak_2px_tta'
        >>> score_column("sse", "inception", precision="bf16")
        'sse_bf16'
    """
    check_score_names([name])
    column = name
    if name in _EXTRACTOR_SCORES and check_extractor_name(extractor) != "inception":
        column = f"{name}_{extractor}"
    if name == "peak":
        if peak_sigma_px is None:
            raise ValueError("peak needs the width of its smoothing")
        column = f"peak_{shortest(peak_sigma_px)}px"
    if precision != "float32" and name != EMBEDDING:
        column = f"{column}_{precision}"
    return column if tta == "none" else f"{column}_tta"
