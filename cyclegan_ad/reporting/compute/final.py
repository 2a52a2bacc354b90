"""The final table: every method and score, beside the paper's, and paired with the linear probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan_ad.methods.names import SIGNALS
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.reporting.compute.aggregate import Entry, Statistic, Study, few_of
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.labels import FID, FID_SUBSTITUTE, Method
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.scoring.names import ScoreColumn

METRICS = ("auroc", "zfn_accuracy", "max_accuracy", "pg0")
BASELINE = "linear_probe"

# The best supported first: the bound of crossval rests on the most images.
_TRAINING = ("crossval", "calibrated")
_SSE = ScoreColumn("sse")


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of a method minus that of the linear probe, on the splits that both have.

    Attributes:
        mean: Mean over the splits, a fraction.
        at_least: Splits on which the method is at least as good.
        splits: Number of splits.
    """

    mean: float
    at_least: int
    splits: int


@dataclass(frozen=True, slots=True)
class Result:
    """One method with one score on one dataset; thresholds are those of the test images.

    Attributes:
        dataset: Name of the dataset.
        method: Column of Table 2.
        column: Score column; None for the better of SSE and FID.
        seeds: Seeds of the runs, ascending.
        statistics: Metric -> values over the seeds, in [0, 1].
        without_copies: The same figures of the test images that are not byte-identical to an image
            that the run used; None if no test image is, empty if too few are left.
        copies: Number of these images, over the seeds.
        crossfit: Decisions by crossfit, which all runs have: these compare methods.
        by_training: Decisions by crossval, else calibrated, whose thresholds are set on abnormal
            images outside the test set; None without either.
        differences: Metric -> comparison with the linear probe; empty for the probe itself.
        few: What few abnormal test images support, see `few_of`; None if they are many.
        first: Whether the column is the first score that the runs were asked for (``score.names``).
    """

    dataset: str
    method: Method
    column: ScoreColumn | None
    seeds: tuple[int, ...]
    statistics: dict[str, Statistic]
    without_copies: dict[str, Statistic] | None
    copies: tuple[int, ...]
    crossfit: HeldOut | None
    by_training: HeldOut | None
    differences: dict[str, Difference]
    few: str | None
    first: bool

    @property
    def held_out(self) -> HeldOut | None:
        """Decisions of the best supported protocol that there is."""
        return self.by_training or self.crossfit


def gather_final(study: Study, held_out: Sequence[HeldOut]) -> list[Result]:
    """Gather all methods and scores but the single signals, in the order of the study.

    Of a method with SSE and FID, a row with the better of the two for each metric follows, which is
    how the paper chooses: by the test result.

    Args:
        study: All cells.
        held_out: Decisions of `gather_held_out`.
    """
    runs = {
        key: [
            run
            for run in study.runs
            if (run.dataset, run.method) == key[:2] and key[2] in run.scores
        ]
        for key in study.entries
    }
    decided = {(row.dataset, row.method, row.column, row.protocol): row for row in held_out}
    probes = {dataset: _find_probe(study, dataset) for dataset in study.datasets}
    results: list[Result] = []
    for key, entry in study.entries.items():
        if entry.column.name in SIGNALS:
            continue
        probe = probes[entry.dataset]
        against = (
            None
            if probe is None or probe is entry
            else (probe.column, runs[probe.dataset, probe.method, probe.column])
        )
        training = [decided.get((*key, protocol)) for protocol in _TRAINING]
        results.append(
            _result(
                entry,
                sorted(runs[key], key=lambda run: run.seed),
                decided.get((*key, "crossfit")),
                next((row for row in training if row is not None), None),
                against,
            )
        )
    return _with_better(results)


def _find_probe(study: Study, dataset: str) -> Entry | None:
    """Return the linear probe of a dataset, by the first score that its runs were asked for."""
    for run in sorted(study.runs, key=lambda run: run.order):
        if run.dataset == dataset and run.method.name == BASELINE:
            for column in run.config.score.columns:
                if (entry := study.entries.get((dataset, run.method, column))) is not None:
                    return entry
    return None


def _result(
    entry: Entry,
    runs: list[Run],
    crossfit: HeldOut | None,
    by_training: HeldOut | None,
    probe: tuple[ScoreColumn, list[Run]] | None,
) -> Result:
    column = entry.column
    each = [run.metrics["scores"][column.column] for run in runs]
    copies = tuple(int(run.copied.sum()) for run in runs)
    return Result(
        dataset=entry.dataset,
        method=entry.method,
        column=column,
        seeds=tuple(run.seed for run in runs),
        statistics=_over(each),
        without_copies=_without_copies(runs, column) if any(copies) else None,
        copies=copies,
        crossfit=crossfit,
        by_training=by_training,
        differences={} if probe is None else _compare(runs, column, *probe),
        few=few_of(runs),
        first=column == runs[0].first_score,
    )


def _over(each: Sequence[dict[str, float]]) -> dict[str, Statistic]:
    return {name: Statistic(tuple(float(row[name]) for row in each)) for name in METRICS}


def _without_copies(runs: Sequence[Run], column: ScoreColumn) -> dict[str, Statistic]:
    each = []
    for run in runs:
        kept = ~run.copied
        if len(set(run.labels[kept].tolist())) < 2:
            return {}
        each.append(summarise(run.scores[column][kept], run.labels[kept]))
    return _over(each)


def _compare(
    runs: Sequence[Run], column: ScoreColumn, other: ScoreColumn, others: Sequence[Run]
) -> dict[str, Difference]:
    by_seed = {run.seed: run for run in others}
    pairs = [
        (run.metrics["scores"][column.column], by_seed[run.seed].metrics["scores"][other.column])
        for run in runs
        if run.seed in by_seed and by_seed[run.seed].test_set == run.test_set
    ]
    if not pairs:
        return {}
    found = {}
    for metric in METRICS:
        values = [float(one[metric]) - float(two[metric]) for one, two in pairs]
        at_least = sum(value >= 0 for value in values)
        found[metric] = Difference(sum(values) / len(values), at_least, len(values))
    return found


def _with_better(results: list[Result]) -> list[Result]:
    """Add a row with the better of SSE and FID after the last row of each method that has both."""
    found: list[Result] = []
    for number, row in enumerate(results):
        found.append(row)
        here = row.dataset, row.method
        if number + 1 < len(results) and (
            results[number + 1].dataset, results[number + 1].method
        ) == here:  # fmt: skip
            continue
        of_score = {one.column: one for one in results if (one.dataset, one.method) == here}
        fid = of_score.get(FID) or of_score.get(FID_SUBSTITUTE)
        sse = of_score.get(_SSE)
        if sse is not None and fid is not None and sse.seeds == fid.seeds:
            found.append(_better(sse, fid))
    return found


def _better(sse: Result, fid: Result) -> Result:
    chosen = {
        name: max((sse.statistics[name], fid.statistics[name]), key=lambda one: one.mean)
        for name in METRICS
    }
    without: dict[str, Statistic] | None = None if sse.without_copies is None else {}
    if sse.without_copies and fid.without_copies:
        pairs = {name: (sse.without_copies[name], fid.without_copies[name]) for name in METRICS}
        without = {name: max(pair, key=lambda one: one.mean) for name, pair in pairs.items()}
    return Result(
        dataset=sse.dataset,
        method=sse.method,
        column=None,
        seeds=sse.seeds,
        statistics=chosen,
        without_copies=without,
        copies=sse.copies,
        crossfit=None,
        by_training=None,
        differences={},
        few=sse.few,
        first=False,
    )
