"""Scores by their names, with the settings of ``score.*`` beside them."""

from collections.abc import Iterable
from typing import Any

from cyclegan_ad.pretrained.names import EXTRACTOR_NAMES
from cyclegan_ad.scoring.names import SCORE_NAMES, SCORE_PRECISIONS, TTA_NAMES, ScoreColumn


def make_columns(
    names: Iterable[str],
    extractor: str = "inception",
    *,
    peak_sigma_px: float = 2,
    tta: str = "none",
    precision: str = "float32",
) -> tuple[ScoreColumn, ...]:
    """The columns of some scores."""
    how: dict[str, Any] = {"peak_sigma_px": peak_sigma_px, "tta": tta, "precision": precision}
    return tuple(ScoreColumn.of(name, extractor=extractor, **how) for name in names)


def make_scores(
    names: Iterable[str],
    extractor: Any = None,
    *,
    feature_cache: Any = None,
    variance: Any = None,
    **how: Any,
) -> Any:
    """The scores of some names."""
    from cyclegan_ad.scoring.scores import Scores  # which loads torch

    network = "inception" if extractor is None else extractor.name
    columns = make_columns(names, network, **how)
    return Scores(columns, extractor, feature_cache=feature_cache, variance=variance)


def column_named(column: str) -> ScoreColumn:
    """The column of a name, with a width of 2 px."""
    [found] = {
        one
        for extractor in EXTRACTOR_NAMES
        for tta in TTA_NAMES
        for precision in SCORE_PRECISIONS
        for one in make_columns(SCORE_NAMES, extractor, tta=tta, precision=precision)
        if one.column == column
    }
    return found
