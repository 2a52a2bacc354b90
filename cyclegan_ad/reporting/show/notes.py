"""What must be said under a table so that nobody reads more into it than is there."""

from __future__ import annotations

from collections.abc import Iterable

from cyclegan_ad.display.terminal import FLAG, UNLIKE
from cyclegan_ad.metrics.wording import CHOOSE_BEFOREHAND
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.provenance import mixed_versions
from cyclegan_ad.reporting.labels import Method, dataset_title
from cyclegan_ad.reporting.show.table2 import Row, Table2

EMBEDDING_MARK = "e"
SUBSTITUTE_MARK = "s"

OPTIMISTIC = (
    "Optimistic: both accuracies belong to thresholds that were set on the very test images they "
    "are judged on, as in the paper. The honest figures stand under Honest protocols."
)
_OTHER_PROTOCOLS = {
    "crossfit": "The accuracies belong to thresholds set on the other folds of the test set "
    "(protocol=crossfit); the paper's thresholds were set on the test images themselves, so its "
    "accuracies are optimistic and the differences mix the two.",
    "calibrated": "The accuracies belong to thresholds set on abnormal images kept out of training "
    "(protocol=calibrated), which sets no threshold for the best accuracy; the paper's thresholds "
    "were set on the test images themselves, so its accuracies are optimistic and the differences "
    "mix the two.",
}


def protocol_notes(study: Study) -> list[str]:
    """Say which images the thresholds were set on, and how far below their scores."""
    if study.protocol == "paper":
        return [OPTIMISTIC]
    notes = [_OTHER_PROTOCOLS[study.protocol]]
    margins: dict[float, set[str]] = {}
    for entry in study.entries.values():
        cell = f"{dataset_title(entry.dataset)}, {entry.method.title}"
        margins.setdefault(entry.margin or 0.0, set()).add(cell)
    if len(margins) == 1 and 0 not in margins:
        notes.append(
            f"The thresholds lie {100 * next(iter(margins)):g} % below the score they were set at."
        )
    elif len(margins) > 1:
        each = "; ".join(
            f"{100 * margin:g} % ({' and '.join(sorted(cells))})"
            for margin, cells in sorted(margins.items())
        )
        notes.append(
            f"The thresholds lie not equally far below the score they were set at, so cells and "
            f"means do not compare: {each}."
        )
    lost = {
        f"{dataset_title(entry.dataset)}, {entry.method.title}, {entry.column.title}"
        for entry in study.entries.values()
        if entry.margin_is_lost
    }
    if lost:
        notes.append(f"A margin of a score of 0 moves nothing: {'; '.join(sorted(lost))}.")
    return notes


def table2_notes(table: Table2, study: Study) -> list[str]:
    """Notes to Table 2: only those that something in it needs."""
    blocks = [block for row in table.rows for block in row.blocks if block is not None]
    cells = [cell for block in blocks for cell in block.cells]
    notes = [
        *protocol_notes(study),
        "In percent: mean ± sample standard deviation over seeds (divided by n - 1); one seed has "
        "no deviation. In bold: the highest of a dataset and metric.",
    ]
    if any(cell.paper for cell in cells):
        notes.append(
            "Paper: its mean ± standard deviation over 5 splits, and ours minus its mean in "
            "percentage points. Its deviations are divided by n, so ours would be 12 % larger for "
            "the same 5 values."
        )
    if any(cell.flagged for cell in cells):
        notes.append(
            f"{FLAG} Artefact: the published code summed the anomaly map over the whole batch and "
            "gave the sum to every image of it. The paper's figures for this method follow from "
            "that and say nothing about the method; ours score each image by itself, so no "
            "difference is given."
        )
    notes += _unlike_notes(study)
    if any(block.embedding for block in blocks):
        notes.append(
            f"({EMBEDDING_MARK}) Distance of embeddings, the one score of this method; the paper "
            "lists it under SSE."
        )
    notes += _substitute_notes(table.rows)
    notes += _mean_notes(table)
    if mixed := mixed_versions(study.runs):
        notes.append(
            "The runs of a cell are not all of one version, so their deviation is not one of seeds "
            f"alone. {'. '.join(mixed)}."
        )
    return notes


def _unlike_notes(study: Study) -> list[str]:
    """Which settings were not the paper's: a text a method, or a text a setting and datasets."""
    found: dict[Method, dict[tuple[str, ...], list[str]]] = {}
    for entry in study.entries.values():
        if entry.paper:
            datasets = found.setdefault(entry.method, {}).setdefault(entry.unlike_paper, [])
            if entry.dataset not in datasets:
                datasets.append(entry.dataset)
    told = [
        f"{method.title}{f' ({_list(datasets)})' if len(groups) > 1 else ''}: {', '.join(unlike)}"
        for method, groups in sorted(found.items(), key=lambda item: item[0].order)
        for unlike, datasets in groups.items()
        if unlike
    ]
    if not told:
        return []
    return [
        f"{UNLIKE} Ours was made with other settings than the paper's, which a difference does not "
        f"tell from anything else. {'. '.join(told)}."
    ]


def _substitute_notes(rows: Iterable[Row]) -> list[str]:
    if not any(row.substitute for row in rows):
        return []
    return [
        f"({SUBSTITUTE_MARK}) FID on the features of another network than the paper's Inception: "
        "no figure of the paper stands beside it. In MEAN it counts as FID only where there is no "
        "FID."
    ]


def _mean_notes(table: Table2) -> list[str]:
    if not any(row.mean for row in table.rows):
        return []
    notes = ["MEAN: for each metric, the mean over datasets of the better of SSE and FID."]
    if len({mean.datasets for mean in table.means}) > 1:
        notes.append(
            "The methods were not run on the same datasets. Means over different datasets do not "
            "compare, so in MEAN, own datasets, none is in bold. MEAN, common datasets, is over "
            "those that all methods have; there is no such row if they have none."
        )
    substituted = {name for mean in table.means for name in mean.substituted}
    if substituted:
        notes.append(f"In MEAN, FID of the other network is the better on: {_list(substituted)}.")
    alone = {name for mean in table.means for name in mean.one_score}
    if alone:
        notes.append(
            f"In MEAN, a method has but one of SSE and FID, which is taken, on: {_list(alone)}."
        )
    if any(mean.paper is not None for mean in table.means):
        notes.append("The paper's MEAN is taken over the same datasets as ours beside it.")
    return notes


def _list(datasets: Iterable[str]) -> str:
    return ", ".join(sorted(dataset_title(name) for name in datasets))


SIGNIFICANCE_NOTES = [
    "Two methods are compared on the splits that both were tested on: one pair a dataset and seed, "
    "only where their test images are identical. Test: exact sign flips of the paired differences "
    "(beyond 16 pairs, 65 536 random ones), two-sided; Holm's correction over all comparisons of a "
    "metric that have 6 pairs or more.",
    "Fewer than 6 pairs cannot fall below 5 %: n pairs reach 2^(1-n) at best, 5 pairs 0.0625.",
    "The test sets of different seeds overlap, so pairs of one dataset are not independent: take "
    "the p-values as indications.",
    "ZFN accuracy is taken at thresholds set on the test images (optimistic), for both methods.",
]

HONEST_NOTES = [
    "crossfit: each part of the test set is judged at a threshold from its other parts. "
    "calibrated: the threshold comes from abnormal images kept out of training and test.",
    "Misses and false alarms are counted over all seeds; test sets of different seeds overlap, so "
    "an image can count more than once. Rates are those of the counts; accuracies are means ± "
    "sample standard deviation over seeds.",
    "The upper bound is exact (binomial) and follows from the number of abnormal images that a "
    "threshold was set on, the fewest of all seeds; it does not shrink with more seeds. "
    + CHOOSE_BEFOREHAND,
]

EXTENSION_NOTES = [
    "Not in the paper, and in none of its means. peak: maximum of the Gaussian-smoothed squared "
    "difference. standardised: squared difference over the variance of the errors on normal "
    "training images. spatial FID: Fréchet distance over the positions of a layer. embedding: "
    "distance of a method's embeddings. 8 symmetries: averaged over the rotated and mirrored "
    "image. SSE and FID stand beside them to compare.",
]
