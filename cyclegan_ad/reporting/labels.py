"""Names, titles and order of what the report shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cyclegan_ad.methods.names import EMBEDDING, METHODS
from cyclegan_ad.runs.results import paper_method_name
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.settings import PaDiM, PatchCore, Settings
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
}
METHOD_TITLES = {name: method.title for name, method in METHODS.items()}
METRIC_TITLES = {
    "zfn_accuracy": "ZFN accuracy",
    "max_accuracy": "Best accuracy",
    "auroc": "AUROC",
}

# Stands in for FID where the Inception weights cannot be had.
FID_SUBSTITUTE = ScoreColumn("fid", "efficientnet_lite0")
FID = ScoreColumn("fid", "inception")
TABLE2_ROWS = (ScoreColumn("sse"), FID, FID_SUBSTITUTE)

# Their one score is a distance of embeddings, which the paper lists under SSE.
EMBEDDING_METHODS = tuple(name for name, method in METHODS.items() if method.scores == (EMBEDDING,))

# The paper's, and the default.
OWN_BACKBONES = {name: method.backbone for name, method in METHODS.items()}
_BACKBONE_TITLES = {
    "resnet18": "ResNet-18",
    "wide_resnet50_2": "Wide ResNet-50-2",
    "efficientnet_lite0": "EfficientNet-Lite0",
}

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Method:
    """A column of Table 2: the runs of one name, method and resolution.

    Attributes:
        run: name of the runs, the folder they lie in.
        name: ``cyclegan``, ``ganomaly``, ``padim`` or ``patchcore``.
        resolution: side of the images in pixels.
        backbone: title of the network, where it is not the method's own; else empty.
    """

    run: str
    name: str
    resolution: int
    backbone: str = ""

    @property
    def title(self) -> str:
        """What a reader calls it: ``CycleGAN 64 px``, or the name that the user gave the runs."""
        usual = f"{METHOD_TITLES.get(self.name, self.name)} {self.resolution} px"
        usual += f", {self.backbone}" if self.backbone else ""
        if self.run == f"{self.name}-{self.resolution}":
            return usual
        if self.run == f"{self.name}-{self.resolution}-calibrated":
            return f"{usual}, calibrated"
        return f"{printable(self.run)} ({usual})"

    @property
    def in_paper(self) -> str:
        """Its name in the paper's Table 2."""
        return paper_method_name(self.name, self.resolution)

    @property
    def order(self) -> tuple[int, int, int, str, str]:
        """Sorts as the paper's columns do; runs with names of the user's own come last."""
        usual = self.run == f"{self.name}-{self.resolution}"
        known = list(METHOD_TITLES)
        place = known.index(self.name) if self.name in known else len(known)
        return (0 if usual else 1, place, -self.resolution, self.run, self.backbone)


def other_backbone(settings: Settings) -> str:
    """Title of a method's network where it is not its own with ImageNet weights; else empty."""
    method = settings.method
    if not isinstance(method, PaDiM | PatchCore):
        return ""
    if method.backbone == OWN_BACKBONES[method.name] and method.pretrained:
        return ""
    title = _BACKBONE_TITLES.get(method.backbone, printable(method.backbone))
    return title + ("" if method.pretrained else " with random weights")


def dataset_title(dataset: str) -> str:
    """Title of a dataset; one of the user's own keeps its name."""
    return DATASET_TITLES.get(dataset, printable(dataset))


def dataset_order(dataset: str) -> tuple[int, str]:
    """Sorts as the paper's rows do; datasets of the user's own come last, by name."""
    known = list(DATASET_TITLES)
    return (known.index(dataset) if dataset in known else len(known), dataset)


def table2_row(column: ScoreColumn, method: str) -> ScoreColumn | None:
    """Row of Table 2 that a score belongs to; None for an extension.

    >>> table2_row(ScoreColumn("embedding"), "padim").title
    'SSE'
    >>> table2_row(ScoreColumn("embedding"), "ganomaly") is None
    True
    """
    if column == ScoreColumn(EMBEDDING) and method in EMBEDDING_METHODS:
        return ScoreColumn("sse")
    return column if column in TABLE2_ROWS else None


def score_order(column: ScoreColumn) -> tuple[int, str]:
    """Sorts the paper's scores first."""
    place = TABLE2_ROWS.index(column) if column in TABLE2_ROWS else len(TABLE2_ROWS)
    return (place, column.column)


def percent(fraction: float | None, digits: int = 2) -> str:
    """Write a fraction in percent, without the sign.

    >>> percent(0.97143), percent(None)
    ('97.14', '-')
    """
    return NOTHING if fraction is None else f"{100 * fraction:.{digits}f}"


def mean_and_std(mean: float | None, std: float | None) -> str:
    """Write a mean and, where there is one, a standard deviation, both fractions, in percent.

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
