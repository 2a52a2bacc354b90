"""Names of scores, and their columns in the files of a run; without torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import (
    EMBEDDING,
    FUSED,
    METHODS,
    PROBE_SCORES,
    RECONSTRUCTION_SCORES,
    SIGNALS,
)
from cyclegan_ad.text import as_typed, shortest

SCORE_NAMES = (*RECONSTRUCTION_SCORES, *SIGNALS, *FUSED, EMBEDDING, *PROBE_SCORES)
# Of the method itself, always in float32.
OWN_SCORES = (EMBEDDING, *PROBE_SCORES)
AROUND_ZERO = (
    *("change_ratio", "critics"),
    *("critic_normal", "critic_normal_peak", "critic_abnormal", "critic_abnormal_peak"),
    *PROBE_SCORES,
    *FUSED,
)
"""Scores of size about 1 and any sign, whose rounding is not relative to the value."""
Tta = Literal["none", "dihedral"]
Precision = Literal["float32", "bf16"]
TTA_NAMES: tuple[str, ...] = get_args(Tta)
SCORE_PRECISIONS: tuple[str, ...] = get_args(Precision)

_EXTRACTOR_SCORES = ("fid", "fid_spatial")
_PEAK_SCORES = ("peak", "peak_abnormal")
_PAPER_EXTRACTOR = "inception"
_EXTRACTOR_TITLES = {"efficientnet_lite0": "EfficientNet-Lite0"}
# What a method without a score lacks; a reconstruction for the others.
_LACKING = {
    EMBEDDING: "has no embedding",
    **dict.fromkeys(PROBE_SCORES, "is no linear probe"),
    **dict.fromkeys((*SIGNALS, *FUSED), "has not the four networks of a Cycle-GAN"),
}
_TITLES = {"sse": "SSE", "fid": "FID", "fid_spatial": "spatial FID"}
TERM_TITLES = {
    "sse": "change to normal",
    "change_abnormal": "little change to abnormal",
    "cycle_normal": "error of the normal cycle",
    "cycle_abnormal": "low error of the abnormal cycle",
    "critic_normal": "not like normal, mean",
    "critic_normal_peak": "not like normal, one patch",
    "critic_abnormal": "like abnormal, mean",
    "critic_abnormal_peak": "like abnormal, one patch",
    "probe": "linear probe",
}
"""Term of a fused score -> what speaks for abnormal where its value is high."""


@dataclass(frozen=True)
class ScoreColumn:
    """A score with all settings that affect its values.

    Attributes:
        name: One of ``SCORE_NAMES``.
        extractor: Feature extractor of ``fid`` and ``fid_spatial``; None for other scores.
        peak_sigma_px: Standard deviation of the smoothing of ``peak`` and ``peak_abnormal`` in
            pixels; None for others.
        tta: ``none``, or ``dihedral`` for the mean over the 8 symmetries of the image.
        precision: Precision of reconstruction and extractor, ``float32`` or ``bf16``; always
            ``float32`` for ``OWN_SCORES``.
    """

    name: str
    extractor: str | None = None
    peak_sigma_px: float | None = None
    tta: str = "none"
    precision: str = "float32"

    @classmethod
    def of(
        cls, name: str, *, extractor: str, peak_sigma_px: float, tta: str, precision: str
    ) -> Self:
        """Return the column of a score with the settings ``score.*``, without irrelevant ones."""
        return cls(
            name,
            extractor=extractor if name in _EXTRACTOR_SCORES else None,
            peak_sigma_px=float(peak_sigma_px) if name in _PEAK_SCORES else None,
            tta=tta,
            precision="float32" if name in OWN_SCORES else precision,
        )

    @property
    def column(self) -> str:
        """Name in ``scores.csv``, ``metrics.json`` and dashboards.

        >>> ScoreColumn("fid", "inception").column, ScoreColumn("sse", precision="bf16").column
        ('fid', 'sse_bf16')
        >>> ScoreColumn("peak", peak_sigma_px=2.0, tta="dihedral").column
        'peak_2px_tta'
        """
        column = self.name
        if self.extractor not in (None, _PAPER_EXTRACTOR):
            column += f"_{self.extractor}"
        if self.peak_sigma_px is not None:
            column += f"_{shortest(self.peak_sigma_px)}px"
        if self.precision != "float32":
            column += f"_{self.precision}"
        return column if self.tta == "none" else f"{column}_tta"

    @property
    def title(self) -> str:
        """Title in tables and figures.

        >>> ScoreColumn("fid", "efficientnet_lite0").title
        'FID (EfficientNet-Lite0)'
        >>> ScoreColumn("peak", peak_sigma_px=2.0, tta="dihedral").title
        'peak 2 px, 8 symmetries'
        """
        title = _TITLES.get(self.name, self.name)
        if self.extractor not in (None, _PAPER_EXTRACTOR):
            title += f" ({_EXTRACTOR_TITLES.get(str(self.extractor), self.extractor)})"
        if self.peak_sigma_px is not None:
            title += f" {shortest(self.peak_sigma_px)} px"
        if self.precision != "float32":
            title += f", {self.precision}"
        return title if self.tta == "none" else f"{title}, 8 symmetries"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as stored in ``metrics.json`` and ``detector.json``."""
        return asdict(self)

    @classmethod
    def parse(cls, fields: object) -> Self:
        """Parse the result of :meth:`as_dict`.

        Raises:
            ValueError: If it is not a valid score column.

        >>> ScoreColumn.parse(ScoreColumn("sse").as_dict())
        ScoreColumn(name='sse', extractor=None, peak_sigma_px=None, tta='none', precision='float32')
        """
        if not isinstance(fields, dict) or fields.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("not a valid score column")
        found = cls(**fields)
        sigma_px = found.peak_sigma_px
        if (
            found.name not in SCORE_NAMES
            or found.tta not in TTA_NAMES
            or found.precision not in SCORE_PRECISIONS
            or (found.extractor is None) is (found.name in _EXTRACTOR_SCORES)
            or not isinstance(found.extractor, str | None)
            or (type(sigma_px) is float and sigma_px > 0) is not (found.name in _PEAK_SCORES)
        ):
            raise ValueError("not a valid score column")
        return found


def check_score_names(names: Iterable[str]) -> tuple[str, ...]:
    """Check the names of the requested scores; return the unique ones, in the same order.

    Raises:
        UserError: If a name is unknown or there is none.

    >>> check_score_names(["fid", "sse", "fid"])
    ('fid', 'sse')
    """
    unique = tuple(dict.fromkeys(names))
    if not unique or not set(unique) <= set(SCORE_NAMES):
        raise UserError(
            f"invalid score.names={as_typed(unique)}: expected one or more of "
            f"{', '.join(SCORE_NAMES)}"
        )
    return unique


def needs_extractor(names: Iterable[str]) -> bool:
    """Return whether any of the scores needs a feature extractor.

    >>> needs_extractor(["sse"]), needs_extractor(["sse", "fid"])
    (False, True)
    """
    return any(name in _EXTRACTOR_SCORES for name in names)


def check_method_scores(method: str, names: Iterable[str]) -> None:
    """Check that a method, one of ``METHODS``, has the requested scores.

    Raises:
        UserError: If the method lacks one of them.
    """
    possible = METHODS[method].scores
    for name in names:
        if name not in possible:
            reason = _LACKING.get(name, "makes no reconstruction")
            raise UserError(
                f"invalid score.names={as_typed(tuple(names))}: method={method} {reason}, so it "
                f"has no score {name}; omit score, or use some of "
                f"score.names=[{','.join(possible)}]"
            )
