"""Names, titles and sort orders used in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.display.numbers import NOTHING, percent
from cyclegan_ad.methods.names import EMBEDDING, METHODS
from cyclegan_ad.metrics.thresholds import PASSED
from cyclegan_ad.reference.table2 import has_paper_size, paper_method_name
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings.train import LinearProbe, PaDiM, PatchCore, Settings
from cyclegan_ad.text import printable

# In the paper's order.
DATASET_TITLES = {
    "hazelnut": "Hazelnut",
    "screw": "Screw",
    "tile": "Tile",
    "wood": "Wood",
    "brain_mri": "Brain MRI",
    "breast_ultrasound": "Breast ultrasound",
    "retina_oct": "Retina OCT",
    "elpv": "ELPV solar cells",
}
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}
METRIC_TITLES = {
    "zfn_accuracy": "ZFN accuracy",
    "max_accuracy": "Best accuracy",
    "auroc": "AUROC",
}
PASSED_TITLES = {name: name.upper() for name in PASSED}

# Replaces FID where the Inception weights are not available.
FID_SUBSTITUTE = ScoreColumn("fid", "efficientnet_lite0")
FID = ScoreColumn("fid", "inception")
TABLE2_ROWS = (ScoreColumn("sse"), FID, FID_SUBSTITUTE)

# Methods whose only score is an embedding distance, which the paper lists under SSE.
EMBEDDING_METHODS = tuple(name for name, method in METHODS.items() if method.scores == (EMBEDDING,))

_BACKBONE_TITLES = {
    "resnet18": "ResNet-18",
    "wide_resnet50_2": "Wide ResNet-50-2",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "inception": "Inception",
}


@dataclass(frozen=True, slots=True)
class Method:
    """A column of Table 2: the runs of one name, method and resolution.

    Attributes:
        run: Name of the runs and of their folder.
        name: One of `METHODS`, such as ``cyclegan_plus``.
        resolution: Side of the images in pixels.
        backbone: Title of the network if it is not the default of the method, else empty.
    """

    run: str
    name: str
    resolution: int
    backbone: str = ""

    @property
    def title(self) -> str:
        """Title of the column, such as ``CycleGAN 64 px``; includes a run name set by the user."""
        usual = f"{METHOD_TITLES.get(self.name, self.name)} {self.resolution} px"
        usual += f", {self.backbone}" if self.backbone else ""
        if self.run == f"{self.name}-{self.resolution}":
            return usual
        if self.run == f"{self.name}-{self.resolution}-calibrated":
            return f"{usual}, calibrated"
        if self.run == f"{self.name}-{self.resolution}-quantile":
            return f"{usual}, normal images only"
        return f"{printable(self.run)} ({usual})"

    @property
    def in_paper(self) -> str:
        """Name of the method in the paper's Table 2."""
        return paper_method_name(self.name, self.resolution)

    @property
    def renamed(self) -> bool:
        """Whether the runs have another name than the usual one of method and resolution."""
        return self.run != f"{self.name}-{self.resolution}"

    @property
    def of_paper(self) -> bool:
        """Whether it is a method of the paper at a size of the paper, under its usual name."""
        return not (self.renamed or self.backbone) and has_paper_size(self.name, self.resolution)

    @property
    def order(self) -> tuple[int, int, int, str, str]:
        """Sort key: the paper's order; runs named by the user come last."""
        place = _index(list(METHOD_TITLES), self.name)
        return (int(self.renamed), place, -self.resolution, self.run, self.backbone)


def other_backbone(settings: Settings) -> str:
    """Return the title of a network that is not the method's default; else an empty string."""
    method = settings.method
    if not isinstance(method, PaDiM | PatchCore | LinearProbe):
        return ""
    pretrained = isinstance(method, LinearProbe) or method.pretrained
    if method.backbone == METHODS[method.name].backbone and pretrained:
        return ""
    title = _BACKBONE_TITLES.get(method.backbone, printable(method.backbone))
    return title + ("" if pretrained else " with random weights")


def dataset_title(dataset: str) -> str:
    """Return the title of a dataset; for a user's dataset, its printable name."""
    return DATASET_TITLES.get(dataset, printable(dataset))


def dataset_order(dataset: str) -> tuple[int, str]:
    """Return a sort key: the paper's order, then a user's datasets by name."""
    return _index(list(DATASET_TITLES), dataset), dataset


def table2_row(column: ScoreColumn, method: str) -> ScoreColumn | None:
    """Return the row of Table 2 that a score belongs to; None for an extension.

    >>> table2_row(ScoreColumn("embedding"), "padim").title
    'SSE'
    >>> table2_row(ScoreColumn("embedding"), "ganomaly") is None
    True
    """
    if column == ScoreColumn(EMBEDDING) and method in EMBEDDING_METHODS:
        return ScoreColumn("sse")
    return column if column in TABLE2_ROWS else None


def score_order(column: ScoreColumn) -> tuple[int, str, str]:
    """Return a sort key: the paper's scores first."""
    return _index(TABLE2_ROWS, column), column.name, column.column


def cell_order(cell: tuple[str, Method, ScoreColumn]) -> tuple[object, ...]:
    """Return a sort key of (dataset, method, score column)."""
    dataset, method, column = cell
    return dataset_order(dataset), method.order, score_order(column)


def _index(known: Sequence[object], value: object) -> int:
    return known.index(value) if value in known else len(known)


def mean_and_std(mean: float | None, std: float | None) -> str:
    """Write a mean and, if there is one, a standard deviation, both fractions, in percent.

    >>> mean_and_std(0.5, 0.0123), mean_and_std(0.5, None)
    ('50.00 ± 1.23', '50.00')
    """
    return percent(mean) + ("" if std is None or mean is None else f" ± {percent(std)}")


def signed(difference: float | None) -> str:
    """Write a difference of two fractions in percentage points, with its sign.

    >>> signed(0.0123), signed(-0.5), signed(0.0), signed(None)
    ('+1.23', '-50.00', '0.00', '')
    """
    if difference is None or not math.isfinite(difference):
        return ""
    text = f"{abs(100 * difference):.2f}"
    if float(text) == 0:
        return text
    return ("+" if difference > 0 else "-") + text


def probability(p: float | None) -> str:
    """Write a p-value.

    >>> probability(0.03125), probability(0.00002), probability(None)
    ('0.031', '< 0.001', '-')
    """
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
