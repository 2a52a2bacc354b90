"""A simulated perfect detector, scored as the published code scored PatchCore and PaDiM."""

from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.runs.results import PaperFigure, paper_figure

NORMAL_SCORE, ABNORMAL_SCORE = 0.8, 1.0
PAPER_RUNS = 5
PAPER_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True)
class Accuracies:
    """ZFN and best accuracy in percent."""

    zfn: float
    best: float

    def __str__(self) -> str:
        """Both, as in ``54.29/95.71``."""
        return f"{_short(self.zfn)}/{_short(self.best)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One dataset.

    Attributes:
        dataset: Its name.
        images: Test images of each class behind Table 2.
        last_batch: How many of them are in the last batch.
        by_image: The perfect detector, each image scored by itself.
        by_batch: The same detector with the sum of the batch.
        swapped: As `by_batch`, but the last batch of normal images outscores that of abnormal ones.
        patchcore: ZFN and best accuracy published.
        padim: ZFN and best accuracy published.
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
        return rounded(self.by_batch) == published(self.patchcore)

    def runs_swapped(self) -> list[int]:
        """In how many of the 5 runs the last batches may have been swapped.

        Returns:
            The numbers that give the published means and deviations of PatchCore, all to 2 digits.
        """
        return [number for number in range(1, PAPER_RUNS) if self._fits(number)]

    def _fits(self, number: int) -> bool:
        runs = [self.swapped] * number + [self.by_batch] * (PAPER_RUNS - number)
        zfn, best = self.patchcore
        return _statistics([run.zfn for run in runs]) == (
            zfn.mean_percent,
            zfn.std_percent,
        ) and _statistics([run.best for run in runs]) == (best.mean_percent, best.std_percent)


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
    starts = np.arange(0, values.size, batch_size)
    sums = np.add.reduceat(values, starts)
    return np.repeat(sums, np.diff(np.append(starts, values.size)))


def judge(normal: NDArray[np.float64], abnormal: NDArray[np.float64]) -> Accuracies:
    """ZFN and best accuracy, in percent, of the scores of both classes, each (N,)."""
    labels = np.repeat([0, 1], [normal.size, abnormal.size])
    found = summarise(np.concatenate([normal, abnormal]), labels)
    return Accuracies(100 * found["zfn_accuracy"], 100 * found["max_accuracy"])


def simulate(dataset: str, images: int, batch_size: int) -> Row:
    """Score the perfect detector on a dataset.

    Args:
        dataset: A dataset of the paper.
        images: Test images of each class.
        batch_size: Images of a batch.
    """
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


def published(figures: tuple[PaperFigure, PaperFigure]) -> Accuracies:
    """Means of two published figures, ZFN and best accuracy."""
    return Accuracies(*(figure.mean_percent for figure in figures))


def rounded(found: Accuracies) -> Accuracies:
    """To the two digits that the paper prints."""
    return Accuracies(round(found.zfn, 2), round(found.best, 2))


def bounds(found: Accuracies, figures: tuple[PaperFigure, PaperFigure]) -> bool:
    """Tell whether neither published figure is higher than what was found."""
    most, paper = rounded(found), published(figures)
    return paper.zfn <= most.zfn and paper.best <= most.best


def _statistics(percents: list[float]) -> tuple[float, float]:
    return round(fmean(percents), 2), round(pstdev(percents), 2)


def _short(percent: float) -> str:
    return "100" if percent == 100 else f"{percent:.2f}"
