"""The headline: which method is ahead on which dataset, how surely, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from cyclegan_ad.reference.table2 import PaperFigure
from cyclegan_ad.reporting.compute.aggregate import Study
from cyclegan_ad.reporting.compute.final import Result
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.paper_results import gather_paper
from cyclegan_ad.reporting.compute.significance import Comparison, Scored, compare_pairs, correct
from cyclegan_ad.reporting.labels import METHOD_TITLES
from cyclegan_ad.scoring.names import ScoreColumn

RANKED_BY = "zfn_accuracy"
"""Metric of the headline: with the thresholds of the test images, for all methods and the paper."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods on the splits of one dataset that both were tested on.

    Attributes:
        difference: Mean of first minus second, a fraction.
        ahead: Splits on which the first is better.
        splits: Number of splits.
    """

    difference: float
    ahead: int
    splits: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The methods on one dataset.

    Attributes:
        dataset: Name of the dataset.
        results: One a method, the highest mean first.
        best: Those whose mean, rounded as shown, is the highest.
        against_next: The best against the first that is not; None if there is none, or no split
            that both were tested on.
        paper: The best of the paper's CycleGAN, over its scores and sizes; None without one.
    """

    dataset: str
    results: tuple[Result, ...]
    best: tuple[Result, ...]
    against_next: Pair | None
    paper: PaperFigure | None

    @property
    def next(self) -> Result | None:
        """The first method that is not among the best."""
        return next((one for one in self.results if one not in self.best), None)

    @property
    def is_clear(self) -> bool:
        """Whether the splits shared with the next do not turn the order of the means round."""
        return self.against_next is None or self.against_next.difference >= 0


@dataclass(frozen=True, slots=True)
class Headline:
    """What the runs say at a glance.

    Attributes:
        standings: One a dataset, in the order of the tables.
        names: Number of methods that are compared.
        leader: Its result on each of its datasets; the method that is best on the most of them.
        wins: Title of each method -> datasets of several methods, with a clear order, on which it
            is the best or among the best; the leader first.
        comparisons: The leader against each other method, over all splits that both were tested
            on, corrected for all pairs of methods.
        further: Runs of other names, sizes or networks, which are not methods of their own.
    """

    standings: tuple[Standing, ...]
    names: int
    leader: tuple[Result, ...]
    wins: dict[str, tuple[str, ...]]
    comparisons: dict[str, Comparison]
    further: int

    @property
    def held_out(self) -> list[HeldOut]:
        """Decisions of the leader at held-out thresholds, all of its most frequent protocol."""
        rows = [one.held_out for one in self.leader if one.held_out is not None]
        protocols = [row.protocol for row in rows]
        usual = max(protocols, key=protocols.count, default=None)
        return [row for row in rows if row.protocol == usual]


def gather_headline(study: Study, results: Sequence[Result]) -> Headline | None:
    """Compare the methods, each by the first score it was asked for.

    A method is represented on a dataset by its runs of the usual name at the largest size; other
    names and sizes count as methods only if there is no other method.

    Args:
        study: All cells.
        results: Results of `gather_final`.

    Returns:
        None if no run has abnormal test images.
    """
    first = [one for one in results if one.first]
    if not first:
        return None
    alone = len({one.method.name for one in first}) == 1
    chosen: dict[tuple[str, str], Result] = {}
    for one in sorted(first, key=lambda one: (bool(one.method.backbone), one.method.order)):
        chosen.setdefault((one.dataset, _key(one, alone)), one)
    names = list(dict.fromkeys(key for _, key in chosen))
    runs = {key: _runs_of(study, one) for key, one in chosen.items()}
    standings = tuple(_standing(dataset, chosen, runs) for dataset in study.datasets)
    standings = tuple(standing for standing in standings if standing.results)

    def won(name: str) -> tuple[str, ...]:
        return tuple(
            standing.dataset
            for standing in standings
            if standing.next is not None
            and standing.is_clear
            and chosen.get((standing.dataset, name)) in standing.best
        )

    def place(name: str) -> tuple[int, int, float]:
        own = [one for (_, key), one in chosen.items() if key == name]
        mean = sum(one.statistics[RANKED_BY].mean for one in own) / len(own)
        return len(won(name)), len(own), mean

    ordered = sorted(names, key=place, reverse=True)
    leader = ordered[0]
    titles = {name: _title(name, chosen, alone) for name in names}
    return Headline(
        standings=standings,
        names=len(names),
        leader=tuple(one for (_, key), one in chosen.items() if key == leader),
        wins={titles[name]: won(name) for name in ordered if won(name) or name == leader},
        comparisons={
            titles[other]: found
            for (one, other), found in _compare_all(ordered, chosen, runs).items()
            if one == leader
        },
        further=len({one.method for one in first} - {one.method for one in chosen.values()}),
    )


def _key(one: Result, alone: bool) -> str:
    return f"{one.method.run} {one.method.backbone}" if alone else one.method.name


def _title(name: str, chosen: dict[tuple[str, str], Result], alone: bool) -> str:
    """Return the title of runs that are compared with others of their method, else the method's."""
    one = next(one for (_, key), one in chosen.items() if key == name)
    return one.method.title if alone else METHOD_TITLES[one.method.name]


Runs = dict[tuple[str, int], tuple[str, float]]
"""Dataset and seed -> fingerprint of the test images, and the value of `RANKED_BY`."""


def _runs_of(study: Study, one: Result) -> Runs:
    column = _column(one)
    return {
        (run.dataset, run.seed): (run.test_set, run.metrics["scores"][column.column][RANKED_BY])
        for run in study.runs
        if (run.dataset, run.method) == (one.dataset, one.method) and column in run.scores
    }


def _differences(one: Runs, other: Runs) -> list[tuple[str, float]]:
    """Return dataset and difference for each split with the same test images."""
    return [
        (split[0], one[split][1] - other[split][1])
        for split in sorted(one.keys() & other.keys())
        if one[split][0] == other[split][0]
    ]


def _standing(
    dataset: str, chosen: dict[tuple[str, str], Result], runs: dict[tuple[str, str], Runs]
) -> Standing:
    here = sorted(
        (key for key in chosen if key[0] == dataset),
        key=lambda key: -chosen[key].statistics[RANKED_BY].mean,
    )
    shown = {key: round(100 * chosen[key].statistics[RANKED_BY].mean, 2) for key in here}
    best = [key for key in here if shown[key] == shown[here[0]]]
    against = None
    if len(best) < len(here):
        found = [value for _, value in _differences(runs[best[0]], runs[here[len(best)]])]
        if found:
            ahead = sum(value > 0 for value in found)
            against = Pair(sum(found) / len(found), ahead, len(found))
    paper = [row for row in gather_paper(dataset) if row.method == "cyclegan"]
    return Standing(
        dataset=dataset,
        results=tuple(chosen[key] for key in here),
        best=tuple(chosen[key] for key in best),
        against_next=against,
        paper=paper[0].figures[RANKED_BY] if paper else None,
    )


def _compare_all(
    names: Sequence[str], chosen: dict[tuple[str, str], Result], runs: dict[tuple[str, str], Runs]
) -> dict[tuple[str, str], Comparison]:
    """Compare every two methods over all datasets, corrected together."""
    pairs = {}
    for one, other in combinations(names, 2):
        found = [
            pair
            for dataset in dict.fromkeys(dataset for dataset, _ in chosen)
            if (dataset, one) in chosen and (dataset, other) in chosen
            for pair in _differences(runs[dataset, one], runs[dataset, other])
        ]
        if found:
            first, second = _scored(one, chosen), _scored(other, chosen)
            pairs[one, other] = compare_pairs(RANKED_BY, first, second, found)
    return dict(zip(pairs, correct(list(pairs.values())), strict=True))


def _scored(name: str, chosen: dict[tuple[str, str], Result]) -> Scored:
    one = next(one for (_, key), one in chosen.items() if key == name)
    return one.method, _column(one)


def _column(one: Result) -> ScoreColumn:
    if one.column is None:
        raise ValueError("the better of two scores is no first score")
    return one.column
