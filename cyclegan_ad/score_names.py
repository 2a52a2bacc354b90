"""The names of scores and feature extractors, and what is wrong with a wrong one.

No torch here: a command checks its settings before it loads anything slow.
"""

from __future__ import annotations

from collections.abc import Iterable

from cyclegan_ad.errors import UserError

SCORE_NAMES = ("sse", "fid", "fid_spatial")
EXTRACTOR_NAMES = ("inception", "efficientnet_lite0")


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


def check_extractor_name(extractor: str) -> str:
    """Check the name of the feature extractor and give it back.

    Raises:
        UserError: if the name is unknown.

    Example:
        >>> check_extractor_name("inception")
        'inception'
    """
    if extractor not in EXTRACTOR_NAMES:
        raise UserError(
            f"unknown feature extractor '{extractor}': score.extractor is one of "
            f"{', '.join(EXTRACTOR_NAMES)}"
        )
    return extractor


def needs_extractor(names: Iterable[str]) -> bool:
    """Tell whether any of the scores compares deep features.

    Example:
        >>> needs_extractor(["sse"]), needs_extractor(["sse", "fid"])
        (False, True)
    """
    return any(name != "sse" for name in names)


def score_column(name: str, extractor: str) -> str:
    """Name the column that a score has in ``scores.csv`` and ``metrics.json``.

    Figures from different extractors must never share a column, so each but the paper's own is
    named after its extractor.

    Args:
        name: one of ``SCORE_NAMES``.
        extractor: one of ``EXTRACTOR_NAMES``; of no account for ``sse``.

    Raises:
        UserError: if either name is unknown.

    Example:
        >>> score_column("fid", "inception"), score_column("fid", "efficientnet_lite0")
        ('fid', 'fid_efficientnet_lite0')
    """
    check_score_names([name])
    if name == "sse" or check_extractor_name(extractor) == "inception":
        return name
    return f"{name}_{extractor}"
