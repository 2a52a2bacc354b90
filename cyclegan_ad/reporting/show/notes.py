"""Notes under the tables: conditions and limits of the figures."""

from __future__ import annotations

from collections.abc import Iterable

from cyclegan_ad.display.numbers import FLAG, UNLIKE
from cyclegan_ad.metrics.wording import CHOOSE_BEFOREHAND, FEW_IMAGES, NO_TEST
from cyclegan_ad.reporting.compute.aggregate import Entry, Study
from cyclegan_ad.reporting.compute.few_abnormal import Curve
from cyclegan_ad.reporting.compute.final import Result
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.passed import Passed
from cyclegan_ad.reporting.compute.provenance import mixed_versions
from cyclegan_ad.reporting.labels import Method, dataset_title
from cyclegan_ad.reporting.show.table2 import Table2

EMBEDDING_MARK = "e"
SUBSTITUTE_MARK = "s"
FEW_MARK = "f"

_PAPER_OPTIMISTIC = (
    "the paper's thresholds were set on the test images themselves, so its accuracies are "
    "optimistic and the differences include this effect."
)
_PROTOCOL_NOTES = {
    "paper": "Optimistic: the thresholds of both accuracies were set on the test images "
    "themselves, as in the paper. Accuracies at other thresholds are under Held-out thresholds.",
    "crossfit": "The thresholds of the accuracies were set on the other folds of the test set "
    f"(protocol=crossfit); {_PAPER_OPTIMISTIC}",
    "calibrated": "The thresholds of the accuracies were set on abnormal images kept out of "
    "training (protocol=calibrated), which sets no threshold for the best accuracy; "
    f"{_PAPER_OPTIMISTIC}",
    "crossval": "The thresholds of the accuracies were set on all abnormal training images, each "
    "scored by a model that did not see it (protocol=crossval), which sets no threshold for the "
    f"best accuracy; {_PAPER_OPTIMISTIC}",
}


def protocol_notes(study: Study) -> list[str]:
    """Say which images the thresholds were set on, and with which margin."""
    notes = [_PROTOCOL_NOTES[study.protocol]]
    if study.protocol == "paper":
        return notes
    margins: dict[float, set[str]] = {}
    lost = set()
    for entry in study.entries.values():
        cell = f"{dataset_title(entry.dataset)}, {entry.method.title}"
        margins.setdefault(entry.margin or 0.0, set()).add(cell)
        if entry.margin_is_lost:
            lost.add(f"{cell}, {entry.column.title}")
    if len(margins) > 1:
        each = "; ".join(
            f"{100 * margin:g} % ({' and '.join(sorted(cells))})"
            for margin, cells in sorted(margins.items())
        )
        notes.append(
            "The margin below the score that a threshold was set at differs, so cells and means "
            f"are not comparable: {each}."
        )
    elif any(margins):
        notes.append(
            f"The thresholds are {100 * next(iter(margins)):g} % below the score they were set at."
        )
    if lost:
        notes.append(f"The margin has no effect on a score of 0: {'; '.join(sorted(lost))}.")
    return notes


def few_notes(rows: Iterable[Entry | HeldOut | Passed | Curve | Result]) -> list[str]:
    """Say what few abnormal test images support, by dataset; empty if all are many."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.few is not None:
            found.setdefault(row.few, set()).add(row.dataset)
    each = "; ".join(f"{_list(datasets)}: {few}" for few, datasets in found.items())
    return [f"({FEW_MARK}) Fewer than {FEW_IMAGES} abnormal test images. {each}."] if each else []


def table2_notes(table: Table2, study: Study) -> list[str]:
    """List the notes that apply to Table 2, the one on the protocol first."""
    blocks = [block for row in table.rows for block in row.blocks if block is not None]
    cells = [cell for block in blocks for cell in block.cells]
    notes = [
        *protocol_notes(study),
        "In percent: mean ± sample standard deviation over seeds (divided by n - 1); a single seed "
        "has none. Bold: the highest of a dataset and metric.",
    ]
    if any(cell.paper for cell in cells):
        notes.append(
            "Paper: mean ± standard deviation over 5 splits. The paper divides by n, so for the "
            "same 5 values our standard deviation would be 12 % larger."
        )
    if any(cell.flagged for cell in cells):
        notes.append(
            f"{FLAG} Artefact: the published code summed the anomaly map over the whole batch and "
            "assigned the sum to every image of it. The paper's figures for this method follow "
            "from this error and do not describe the method. We score each image separately, so "
            "no difference is given."
        )
    if unlike := _differences_from_paper(study):
        notes.append(
            f"{UNLIKE} Our settings differ from the paper's; their effect is part of the "
            f"difference. {'. '.join(unlike)}."
        )
    if any(block.embedding for block in blocks):
        notes.append(
            f"({EMBEDDING_MARK}) Distance of embeddings, the only score of this method; the paper "
            "lists it under SSE."
        )
    if any(row.substitute for row in table.rows):
        notes.append(
            f"({SUBSTITUTE_MARK}) FID on the features of another network than the paper's "
            "Inception, EfficientNet-Lite0, without a figure of the paper."
            + (" MEAN uses it only where there is no FID." if table.means else "")
        )
    notes += [*few_notes(study.entries.values()), *_mean_notes(table)]
    if mixed := mixed_versions(study.runs):
        notes.append(
            "Some cells contain runs of different versions, so the standard deviation does not "
            f"come from the seeds alone. {'. '.join(mixed)}."
        )
    return notes


def _differences_from_paper(study: Study) -> list[str]:
    """List the settings that differ from the paper's, a text a method or group of its datasets."""
    found: dict[Method, dict[tuple[str, ...], set[str]]] = {}
    for entry in study.entries.values():
        if entry.paper:
            groups = found.setdefault(entry.method, {})
            groups.setdefault(entry.unlike_paper, set()).add(entry.dataset)
    return [
        f"{method.title}{f' ({_list(datasets)})' if len(groups) > 1 else ''}: {', '.join(unlike)}"
        for method, groups in sorted(found.items(), key=lambda item: item[0].order)
        for unlike, datasets in groups.items()
        if unlike
    ]


def _mean_notes(table: Table2) -> list[str]:
    if not table.means:
        return []
    notes = ["MEAN: for each metric, the mean over datasets of the better of SSE and FID."]
    if len({mean.datasets for mean in table.means}) > 1:
        notes.append(
            "The methods were not run on the same datasets. Means over different datasets are not "
            "comparable, so MEAN, all datasets of each method, has no bold figure. MEAN, common "
            "datasets, averages over the datasets that all methods have, if there are any."
        )
    substituted = {name for mean in table.means for name in mean.substituted}
    if substituted:
        notes.append(f"In MEAN, FID of the other network is the better on: {_list(substituted)}.")
    alone = {name for mean in table.means for name in mean.one_score}
    if alone:
        notes.append(f"In MEAN, a method has only one of SSE and FID on: {_list(alone)}.")
    if any(mean.paper is not None for mean in table.means):
        notes.append("The paper's MEAN is computed over the same datasets as ours.")
    return notes


def _list(datasets: Iterable[str]) -> str:
    return ", ".join(sorted(dataset_title(name) for name in datasets))


SIGNIFICANCE_NOTES = [
    "Mean of the row minus the column, in percentage points. * and bold: significant at 5 % after "
    "the correction. -: no shared split, or too few datasets. All p-values are in "
    "significance.csv.",
    "Two methods are compared on the splits that both were tested on: one pair a dataset and seed, "
    "only where their test images are identical. Test: exact sign flips of the paired differences, "
    "two-sided; all pairs of one dataset change their sign together, as its splits share images. "
    "Holm's correction over all comparisons of a metric that share 6 datasets or more.",
    "Fewer than 6 datasets cannot fall below 5 %: the smallest p-value of n datasets is 2^(1-n), "
    "0.0625 for 5. Nothing is said about datasets unlike these.",
    "ZFN accuracy uses thresholds set on the test images (optimistic), for both methods.",
]

HELD_OUT_NOTES = [
    "crossfit: each part of the test set is judged at a threshold from its other parts. "
    "calibrated: the threshold comes from abnormal images kept out of training and test. crossval: "
    "from all abnormal training images, each scored by a model that did not see it.",
    "Set on: different abnormal images behind a threshold, n (the fewest of all seeds), and the "
    "folds of crossval. Expected: about 1/(n + 1) of the abnormal images are missed, averaged over "
    "draws of all images. Guaranteed: what is proved about this average; for several folds the "
    "smaller of 1/(m + 1), m the images of the largest fold (split conformal prediction), and "
    "1/(K + 1), K the folds of one size (CV+ of Barber et al., 2021).",
    "Misses and false alarms are counted over all seeds; test sets of different seeds overlap, so "
    "an image can count more than once. Rates are those of the counts; accuracies are means ± "
    "sample standard deviation over seeds.",
    "The upper bound holds with the confidence of the protocol, exactly (binomial) except for "
    "several folds of crossval, where it is that of the largest fold alone or, if smaller, follows "
    "from the guaranteed rate. It depends on the number of abnormal images that a "
    "threshold was set on, the smallest of all seeds, and does not shrink with more seeds. "
    + CHOOSE_BEFOREHAND,
]

FEW_ABNORMAL_NOTES = [
    "Runs with dataset.max_abnormal, which are in no other table. Of the abnormal images outside "
    "the test set, only the first ones in the order of the seed are used: those of a smaller "
    "number are among those of a larger one, and the test images of a seed are the same. All "
    "normal training images are used. Methods that train on normal images alone have one figure. "
    "A number that a dataset does not have is a dash.",
    "Mean ± sample standard deviation over seeds, in percent. Optimistic: the thresholds of ZFN "
    "accuracy and PG0 were set on the test images. Figure and table have the first score of each "
    "method (score.names), few_abnormal.csv has all.",
]

PASSED_NOTES = [
    "PG0, PG2 and PG5: share of the normal images that pass, in percent, if at most 0, 2 and 5 % "
    "of the abnormal ones may be missed; the others are left to a person. Optimistic: these "
    "thresholds are always set on the test images themselves. Of fewer than 50 abnormal test "
    "images, 2 % are none, so PG2 is PG0.",
    "Mean ± sample standard deviation over seeds (divided by n - 1). Bold: the highest of a "
    "dataset. With as many normal as abnormal images, the ZFN accuracy is (100 + PG0) / 2.",
]

NORMAL_ONLY_NOTES = [
    "These runs have no abnormal images (protocol=quantile) and are in no other table. " + NO_TEST,
    "The threshold lies just above one of the highest scores of normal images kept out of "
    "training. Expected: the rate of false alarms on average over such thresholds. The upper bound "
    "is exact for continuous scores. " + CHOOSE_BEFOREHAND,
]

EXTENSION_NOTES = [
    "Not in the paper, and not part of any mean. peak: maximum of the Gaussian-smoothed squared "
    "difference. standardised: squared difference over the variance of the errors on normal "
    "training images. spatial FID: Fréchet distance over the positions of a layer. embedding: "
    "distance of a method's embeddings. 8 symmetries: averaged over the rotated and mirrored "
    "image. SSE and FID are listed for comparison.",
]
