"""Where the PatchCore column of the paper's Table 2 comes from.

  python -m experiments.batch_sum_artifact
  python -m experiments.batch_sum_artifact batch_size=1      the same without the batches

Scores a simulated perfect detector (0.8 for each normal, 1.0 for each abnormal image) as the
published code of the paper scored PatchCore and PaDiM, and each image by itself.

Settings (change with name=value):
  batch_size=16     images in a batch
"""

from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.reference.paper import paper_table1
from cyclegan_ad.runs.results import PaperFigure, paper_figure
from experiments.driver import Settings, print_markdown, run_driver, whole_number

PAPER_RUNS, PAPER_BATCH_SIZE = 5, 16
DEFAULTS = {"batch_size": str(PAPER_BATCH_SIZE)}

NORMAL_SCORE, ABNORMAL_SCORE = 0.8, 1.0

EXPLANATION = (
    "The published code summed the anomaly map over all images of a batch and gave this sum to "
    "each of them. Normal and abnormal images were loaded separately, so the last batch of each "
    "class is smaller and its sum lower. The abnormal images of the last batch then score below "
    "the full batches of normal ones: a threshold that misses none of them (ZFN) rejects nearly "
    "every normal image, and at the best threshold they are missed. Only where the last batch is "
    "nearly full (wood: 14 of 16) does its sum exceed that of full normal batches. So even a "
    "perfect detector gets these figures; the number of images determines them."
)

# ZFN and best accuracy, in percent.
Accuracies = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One dataset.

    Attributes:
        dataset: Its name.
        images: Test images of each class behind Table 2.
        last_batch: Number of images in the last batch.
        by_image: The perfect detector, each image scored by itself.
        by_batch: The same detector with the sum of the batch.
        swapped: As `by_batch`, but the last batch of normal images outscores that of abnormal ones.
        patchcore: Published ZFN and best accuracy.
        padim: Published ZFN and best accuracy.
    """

    dataset: str
    images: int
    last_batch: int
    by_image: Accuracies
    by_batch: Accuracies
    swapped: Accuracies
    patchcore: tuple[PaperFigure, PaperFigure]
    padim: tuple[PaperFigure, PaperFigure]

    @property
    def agrees(self) -> bool:
        """Whether both published means of PatchCore are those of the perfect detector."""
        return rounded(self.by_batch) == means(self.patchcore)

    @property
    def bounds_padim(self) -> bool:
        """Whether no published mean of PaDiM is higher than that of the perfect detector."""
        pairs = zip(means(self.padim), rounded(self.by_batch), strict=True)
        return all(published <= most for published, most in pairs)

    def runs_swapped(self) -> list[int]:
        """In how many of the 5 runs the last batches may have been swapped.

        Returns:
            The numbers that give the published means and deviations, all to 2 digits.
        """
        published = [(figure.mean_percent, figure.std_percent) for figure in self.patchcore]
        return [number for number in range(1, PAPER_RUNS) if self._statistics(number) == published]

    def _statistics(self, number: int) -> list[tuple[float, float]]:
        runs = [self.swapped] * number + [self.by_batch] * (PAPER_RUNS - number)
        return [(round(fmean(p), 2), round(pstdev(p), 2)) for p in zip(*runs, strict=True)]


def batch_sums(scores: ArrayLike, batch_size: int) -> NDArray[np.float64]:
    """Give each image the sum of the scores of its batch, as the published code did.

    Args:
        scores: (N,) real, of the images of one loader in its order.
        batch_size: Images of a batch; the last one may be smaller.

    Returns:
        (N,) float64.

    >>> batch_sums([1.0, 1.0, 1.0, 1.0, 1.0], 2).tolist()
    [2.0, 2.0, 2.0, 2.0, 1.0]
    """
    values = np.asarray(scores, dtype=np.float64)
    sums = np.add.reduceat(values, np.arange(0, values.size, batch_size))
    return np.repeat(sums, batch_size)[: values.size]


def judge(normal: NDArray[np.float64], abnormal: NDArray[np.float64]) -> Accuracies:
    """Compute the accuracies of the scores of both classes, each (N,)."""
    labels = np.repeat([0, 1], [normal.size, abnormal.size])
    found = summarise(np.concatenate([normal, abnormal]), labels)
    return 100 * found["zfn_accuracy"], 100 * found["max_accuracy"]


def simulate(dataset: str, batch_size: int) -> Row:
    """Score the perfect detector on a dataset of the paper."""
    images = paper_table1()[dataset].behind_table2
    normal, abnormal = np.full(images, NORMAL_SCORE), np.full(images, ABNORMAL_SCORE)
    last_batch = (images - 1) % batch_size + 1
    outscored, outscoring = abnormal.copy(), normal.copy()
    outscored[-last_batch:], outscoring[-last_batch:] = NORMAL_SCORE, ABNORMAL_SCORE
    return Row(
        dataset=dataset,
        images=images,
        last_batch=last_batch,
        by_image=judge(normal, abnormal),
        by_batch=judge(batch_sums(normal, batch_size), batch_sums(abnormal, batch_size)),
        swapped=judge(batch_sums(outscoring, batch_size), batch_sums(outscored, batch_size)),
        patchcore=_paper("patchcore", dataset),
        padim=_paper("padim", dataset),
    )


def _paper(method: str, dataset: str) -> tuple[PaperFigure, PaperFigure]:
    zfn = paper_figure(dataset, method, "sse", "zfn_accuracy")
    best = paper_figure(dataset, method, "sse", "max_accuracy")
    assert zfn is not None and best is not None
    return zfn, best


def means(figures: tuple[PaperFigure, PaperFigure]) -> Accuracies:
    """Means of published accuracies."""
    return figures[0].mean_percent, figures[1].mean_percent


def rounded(found: Accuracies) -> Accuracies:
    """Round to the two digits that the paper prints."""
    return round(found[0], 2), round(found[1], 2)


def batch_sum_artifact(settings: Settings) -> list[UserError]:
    """Compute and print the table.

    Args:
        settings: ``batch_size``.

    Returns:
        Nothing is ever left out.

    Raises:
        UserError: If the batch size is not an integer.
    """
    batch_size = whole_number(settings, "batch_size", 1)
    rows = [simulate(dataset, batch_size) for dataset in paper_table1()]
    lines = [
        "ZFN / best accuracy in percent: a perfect detector with images scored alone or by the sum "
        f"of their batch of {batch_size}, and the paper.",
        "",
        "| Dataset | Test | Last | Alone | Batch | PatchCore | PaDiM |",
        f"| --- |{' ---: |' * 6}",
    ]
    for row in rows:
        found = (row.by_image, row.by_batch, means(row.patchcore), means(row.padim))
        cells = [row.dataset, str(row.images), str(row.last_batch), *map(_short, found)]
        lines.append(f"| {' | '.join(cells)} |")
    other = f"The paper's figures are from batches of {PAPER_BATCH_SIZE}."
    notes = compare(rows) if batch_size == PAPER_BATCH_SIZE else [other]
    print_markdown("\n".join([*lines, "", EXPLANATION, "", *(f"- {note}" for note in notes)]))
    return []


def compare(rows: list[Row]) -> list[str]:
    """Say which published figures the simulation gives."""
    exact = [row.dataset for row in rows if row.agrees]
    lines = [f"PatchCore, equal to the last digit: {_listed(exact)}."]
    for row in rows:
        if not row.agrees:
            figures = [f"{f.mean_percent:.2f}±{f.std_percent:.2f}" for f in row.patchcore]
            published = " / ".join(figures)
            simulated = _short(row.by_batch)
            lines.append(
                f"{row.dataset}: {simulated} simulated, {published} published. {_reason(row)}"
            )
    equal = [row.dataset for row in rows if rounded(row.by_batch) == means(row.padim)]
    higher = [row.dataset for row in rows if not row.bounds_padim]
    return [
        *lines,
        f"PaDiM, equal to the last digit: {_listed(equal)}; higher than the simulated detector: "
        f"{_listed(higher)}. Elsewhere errors of its own may add to those of the sum.",
    ]


def _reason(row: Row) -> str:
    if number := row.runs_swapped():
        images = "image" if row.last_batch == 1 else f"{row.last_batch} images"
        return (
            f"All four numbers follow if in {number[0]} of the {PAPER_RUNS} runs the {images} of "
            "the last normal batch scored above the last abnormal batch "
            f"(which gives {_short(row.swapped)})."
        )
    share = 100 * PAPER_BATCH_SIZE / (2 * row.images)
    return (
        "Close, but not equal: a real detector gets some of so many images wrong (a batch on the "
        f"wrong side moves an accuracy by {share:.2f})."
    )


def _short(found: Accuracies) -> str:
    return "/".join("100" if percent == 100 else f"{percent:.2f}" for percent in found)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


if __name__ == "__main__":
    run_driver(batch_sum_artifact, DEFAULTS, __doc__)
