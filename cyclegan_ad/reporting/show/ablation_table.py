"""Table of an ablation: AUROC of each score on images kept out of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cyclegan_ad.display.numbers import NOTHING
from cyclegan_ad.methods.names import FUSED
from cyclegan_ad.reporting.compute.ablation import PROBE, Ablation
from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.labels import dataset_title, mean_and_std
from cyclegan_ad.reporting.show.text_tables import Text, TextTable

_AVERAGED = ", 8 symmetries"

HEADER = [
    *("dataset", "run", "method", "resolution", "score", "seeds", "normal", "abnormal"),
    *("auroc_mean_percent", "auroc_std_percent"),
]
NOTES = (
    "Evidence for selection: AUROC in percent on images of both classes that were kept out of the "
    "training (method.tuning_fraction), mean ± sample standard deviation over seeds. No test image "
    "has a part in this table, and the runs in it (ablation-...) are in no other one.",
    "The weights of fused and fused_signals come from the same images: each image is judged by a "
    "fit without its fold. So is the linear probe, which is fitted to the other images; it does "
    "not depend on the training and stands here for comparison.",
)


def ablation_text(rows: Sequence[Ablation]) -> TextTable:
    """Lay out the ablation: a row a choice of training, a column a score."""
    titles = {name: row.titles[name] for row in rows for name in row.statistics}
    # The probe beside the fused scores, which come first.
    names = sorted(titles, key=lambda name: not (name == PROBE or name.startswith(FUSED)))
    averaged = all(titles[name].endswith(_AVERAGED) for name in names if name != PROBE)
    shown = [titles[name].removesuffix(_AVERAGED if averaged else "") for name in names]
    header = ("Dataset", "Training", *shown, "Images", "Seeds")
    lines = []
    for row in rows:
        cells = [_cell(row.statistics.get(name)) for name in names]
        images = f"{row.normal} + {row.abnormal}"
        named = dataset_title(row.dataset), row.method.run
        lines.append(tuple(map(Text, (*named, *cells, images, str(len(row.seeds))))))
    title = "Ablation: signals and choices of training, judged by images kept out of it"
    notes = (*NOTES, *(("All scores are averaged over the 8 symmetries of the image.",) * averaged))
    return TextTable("ablation", title, (), header, tuple(lines), notes, 2, 1)


def ablation_rows(rows: Sequence[Ablation]) -> list[list[Any]]:
    """Return the numbers of the ablation, one figure a row, in the columns of `HEADER`."""
    found: list[list[Any]] = []
    for row in rows:
        named = [row.dataset, row.method.run, row.method.name, row.method.resolution]
        seeds = " ".join(map(str, row.seeds))
        for name, values in row.statistics.items():
            std = None if values.std is None else 100 * values.std
            found.append([*named, name, seeds, row.normal, row.abnormal, 100 * values.mean, std])
    return found


def _cell(found: Statistic | None) -> str:
    return NOTHING if found is None else mean_and_std(found.mean, found.std)
