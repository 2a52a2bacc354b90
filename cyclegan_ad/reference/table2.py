"""Figures of the paper's Table 2."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cyclegan_ad.methods.names import EMBEDDING, METHODS

# Of all methods but CycleGAN, for which the paper has two resolutions.
RESOLUTION_PX = 256
PAPER_METRICS = ("zfn_accuracy", "max_accuracy", "auroc")


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """One entry of the paper's Table 2.

    Attributes:
        mean_percent: Mean over the 5 splits of the paper, in percent.
        std_percent: Standard deviation over the splits, in percentage points.
        artefact: Whether the entry results from an error in the published code rather than from
            the method (PaDiM and PatchCore).
    """

    mean_percent: float
    std_percent: float
    artefact: bool = False


@cache
def _paper_table2() -> dict[tuple[str, str, str, str], PaperFigure]:
    source = resources.files("cyclegan_ad") / "reference" / "paper_table2.csv"
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return {
        (row["dataset"], row["method"], row["score"], row["metric"]): PaperFigure(
            mean_percent=float(row["mean_percent"]),
            std_percent=float(row["std_percent"]),
            artefact=_batch_summed(row["method"]),
        )
        for row in rows
    }


def _batch_summed(method_name: str) -> bool:
    method = METHODS.get(method_name)
    return method is not None and method.batch_summed


def paper_method_name(method: str, resolution: int) -> str:
    """Return the name of a method in Table 2: with the resolution for CycleGAN only.

    >>> paper_method_name("cyclegan", 64), paper_method_name("padim", 256)
    ('cyclegan-64', 'padim')
    """
    entry = METHODS.get(method)
    return f"{method}-{resolution}" if entry is not None and entry.row_per_resolution else method


def has_paper_size(method: str, resolution: int) -> bool:
    """Return whether the paper has figures of a method at a resolution.

    >>> has_paper_size("cyclegan", 64), has_paper_size("padim", 64)
    (True, False)
    >>> has_paper_size("linear_probe", 256)
    False
    """
    name = paper_method_name(method, resolution)
    known = {row[1] for row in _paper_table2()}
    entry = METHODS.get(method)
    of_size = entry is not None and (entry.row_per_resolution or resolution == RESOLUTION_PX)
    return name in known and of_size


def paper_figure(dataset: str, method_name: str, score: str, metric: str) -> PaperFigure | None:
    """Look up a figure of the paper's Table 2.

    Args:
        dataset: Name of the dataset as in ``conf/dataset``, e.g. ``brain_mri``.
        method_name: As returned by `paper_method_name`.
        score: Column of scores.csv; the paper has ``sse`` and ``fid`` (Inception), and for PaDiM
            and PatchCore ``embedding``.
        metric: ``zfn_accuracy``, ``max_accuracy`` or ``auroc``.

    Returns:
        The figure, or None if the paper has none.

    Raises:
        ValueError: If ``metric`` is not one of the three.
    """
    if metric not in PAPER_METRICS:
        raise ValueError(f"invalid metric={metric!r}: expected one of {', '.join(PAPER_METRICS)}")
    if _batch_summed(method_name) and score == EMBEDDING:
        score = "sse"  # name of the embedding distance in the paper
    return _paper_table2().get((dataset, method_name, score, metric))
