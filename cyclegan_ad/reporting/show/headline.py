"""The headline in two or three sentences, its small table, and the plot on the page."""

from __future__ import annotations

from typing import Any

from cyclegan_ad.display.numbers import NOTHING, percent
from cyclegan_ad.reporting.compute.headline import RANKED_BY, Headline, Standing
from cyclegan_ad.reporting.compute.held_out import HeldOut
from cyclegan_ad.reporting.compute.significance import ALPHA, Comparison, is_shown
from cyclegan_ad.reporting.labels import dataset_title, mean_and_std, probability, signed
from cyclegan_ad.reporting.show.notes import FEW_MARK, few_notes
from cyclegan_ad.reporting.show.text_tables import Text, TextTable
from cyclegan_ad.text import counted

HEADER = [
    *("dataset", "run", "method", "resolution", "score", "best", "seeds", "metric"),
    *("mean_percent", "std_percent"),
]
_METRICS = (RANKED_BY, "auroc", "pg0")
NOTES = (
    "ZFN accuracy and AUROC: mean ± standard deviation over seeds. ZFN accuracy: accuracy at the "
    "highest threshold that misses no abnormal test image, which is set on the test images "
    "(optimistic), for the paper too. Missed and false alarms: at thresholds set on other images, "
    "over all seeds, with the bound on the miss rate stated beforehand.",
    "Each method by the first score it was asked for (score.names), chosen before its results, and "
    "by its runs of the usual name at the largest size; all others are in the tables below.",
)
PAPER_NOTE = (
    "The paper's CycleGAN: the best of its two scores and two sizes, chosen by the test result."
)
_NAMED = 3  # datasets or methods that a sentence names


def headline_sentences(found: Headline | None) -> tuple[str, ...]:
    """Say who is ahead, how surely, and what it means for misses and false alarms."""
    if found is None:
        return ("No run has abnormal test images, so nothing can be said about misses.",)
    return (_who(found), _how_surely(found), _what_it_means(found))


def headline_text(found: Headline | None) -> TextTable:
    """Lay out the best method of each dataset, a row a dataset."""
    standings = () if found is None else found.standings
    contested = any(len(standing.results) > 1 for standing in standings)
    papers = any(standing.paper is not None for standing in standings)
    header = (
        *("Dataset", "Best method" if contested else "Method", "ZFN accuracy %"),
        *(("Paper's CycleGAN %",) if papers else ()),
        "AUROC %",
        *(("Next method", "Ahead by, points", "Splits ahead") if contested else ()),
        *("Missed", "Stated bound %", "False alarms %"),
    )
    rows = tuple(_row(standing, contested, papers) for standing in standings)
    notes = (
        *(NOTES if rows else ()),
        *((PAPER_NOTE,) if papers else ()),
        *few_notes(standing.best[0] for standing in standings),
    )
    title = "The best method of each dataset" if contested else "The method on each dataset"
    return TextTable("headline", title, (), header, rows, notes, 2)


def headline_rows(found: Headline | None) -> list[list[Any]]:
    """Return the numbers behind table and plot, one figure a row, in the columns of `HEADER`."""
    return [
        [
            *(one.dataset, one.method.run, one.method.name, one.method.resolution),
            *("" if one.column is None else one.column.column, one in standing.best),
            *(" ".join(map(str, one.seeds)), metric, 100 * one.statistics[metric].mean),
            _100(one.statistics[metric].std),
        ]
        for standing in (() if found is None else found.standings)
        for one in standing.results
        for metric in _METRICS
    ]


def _row(standing: Standing, contested: bool, papers: bool) -> tuple[Text, ...]:
    best, after, pair = standing.best[0], standing.next, standing.against_next
    few = f" ({FEW_MARK})" if best.few is not None else ""
    zfn, auroc = (best.statistics[name] for name in (RANKED_BY, "auroc"))
    paper = standing.paper
    published = NOTHING
    if paper is not None:
        published = f"{paper.mean_percent:.2f} ± {paper.std_percent:.2f}"
    next_to = (
        NOTHING if after is None else after.method.title,
        NOTHING if pair is None else signed(pair.difference),
        NOTHING if pair is None else f"{pair.ahead} of {pair.splits}",
    )
    cells = (
        dataset_title(standing.dataset),
        " and ".join(one.method.title for one in standing.best),
        mean_and_std(zfn.mean, zfn.std) + few,
        *((published,) if papers else ()),
        mean_and_std(auroc.mean, auroc.std) + few,
        *(next_to if contested else ()),
        *_held_out(best.held_out),
    )
    return tuple(map(Text, cells))


def _held_out(row: HeldOut | None) -> tuple[str, str, str]:
    if row is None:
        return (NOTHING, NOTHING, NOTHING)
    found = row.decisions
    missed = f"{found['misses']} of {found['abnormal']}"
    return missed, percent(row.guaranteed, 1), percent(found["false_alarm_rate"], 1)


def _who(found: Headline) -> str:
    leader = next(iter(found.wins))
    contested = [standing for standing in found.standings if len(standing.results) > 1]
    if not contested:
        compared = [
            (standing.best[0].statistics[RANKED_BY].mean, standing.paper)
            for standing in found.standings
            if standing.paper is not None
        ]
        above = sum(100 * mean > paper.mean_percent for mean, paper in compared if paper)
        beside = (
            f" It is above the paper's best CycleGAN on {above} of "
            f"{counted(len(compared), 'dataset')} that the paper has."
            if compared
            else ""
        )
        who = f"{leader} is the only method" if found.names == 1 else "Each dataset has one method"
        return f"{who}, so there is no winner: ZFN accuracy {_span(found)}.{beside}"
    (first, most), *others = found.wins.items()
    unclear = tuple(standing.dataset for standing in contested if not standing.is_clear)
    if not most and unclear:
        return (
            "No method is ahead: on the splits that two methods share, the order of their means "
            f"turns round{_list(unclear)}."
        )
    if not most:
        return f"No method is ahead: all have the same mean ZFN accuracy, {_span(found)}."
    of = counted(len(contested), "dataset")
    where = f"{len(most)} of {of}{_list(most)}"
    if len(contested) == 1:
        where = dataset_title(contested[0].dataset)
    said = f"{first} has the highest mean ZFN accuracy on {where}"
    after = [f"{name} on {len(datasets)}{_list(datasets)}" for name, datasets in others]
    if unclear:
        after.append(f"the order turns round on shared splits on {len(unclear)}{_list(unclear)}")
    return f"{'; '.join([said, *after])}."


def _how_surely(found: Headline) -> str:
    seeds = {len(one.seeds) for standing in found.standings for one in standing.results}
    over = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    over += " seed" if seeds == {1} else " seeds"
    leader = next(iter(found.wins))
    if found.names == 1 and seeds == {1}:
        return "One seed: what another random split would give is not known."
    if found.names == 1:
        return f"Each mean is over {over}, each with another random split."
    if not found.comparisons:
        return (
            f"Each mean is over {over}; {leader} was tested on no split of another method, so how "
            "sure this is cannot be said."
        )
    sure = {name: one for name, one in found.comparisons.items() if is_shown(one)}
    better = [f"{n} ({_evidence(one)})" for n, one in sure.items() if one.difference > 0]
    worse = [f"{n} ({_evidence(one)})" for n, one in sure.items() if one.difference < 0]
    others = [name for name in found.comparisons if name not in sure]
    if all(one.too_few for one in found.comparisons.values()):
        most = max(one.datasets for one in found.comparisons.values())
        return (
            f"With {over} on {counted(most, 'dataset')} no difference between "
            f"{'the two' if found.names == 2 else f'two of {found.names}'} methods can be "
            f"significant at {100 * ALPHA:g} %, as the splits of a dataset share images: "
            "whether this order holds elsewhere is not known."
        )
    said = []
    if better:
        said.append(f"is better than {_and(better)}")
    if worse:
        said.append(f"is worse than {_and(worse)}")
    if sure:
        largest = max(one.p_holm or 0.0 for one in sure.values())
        said[-1] += (
            f", significantly (p {_p(largest)} by paired sign flips of whole datasets, corrected)"
        )
    if others:
        said.append(f"shows no significant difference to {_and(others)}")
    return f"On the splits it shares with each, {leader} {'; it '.join(said)}."


def _what_it_means(found: Headline) -> str:
    leader, rows = next(iter(found.wins)), found.held_out
    held_back = [1 - one.statistics["pg0"].mean for one in found.leader]
    low, high = min(held_back), max(held_back)
    alarms = percent(low, 1) if round(low, 3) == round(high, 3) else _range(low, high)
    if not rows:
        return (
            f"To miss no abnormal test image, {leader} raises false alarms on {alarms} % of the "
            "normal ones, at a threshold set on these images (optimistic); no threshold was set "
            "on others, so nothing is known about misses in use."
        )
    count = {
        name: sum(row.decisions[name] for row in rows)
        for name in ("misses", "abnormal", "false_alarms", "normal")
    }
    bound = max(row.guaranteed for row in rows)
    return (
        f"At thresholds set on other images ({rows[0].protocol}), {leader} misses "
        f"{count['misses']} of {count['abnormal']} abnormal test images "
        f"({percent(count['misses'] / count['abnormal'])} %; stated beforehand: at most "
        f"{percent(bound, 1)} % on average) and raises false alarms on "
        f"{percent(count['false_alarms'] / count['normal'], 1)} % of the normal ones; to miss none "
        f"of these, known afterwards, would take {alarms} %."
    )


def _evidence(found: Comparison) -> str:
    return f"{100 * found.difference:+.1f} points on {counted(found.pairs, 'split')}"


def _p(p: float) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"at most {text}"


def _span(found: Headline) -> str:
    means = [standing.best[0].statistics[RANKED_BY].mean for standing in found.standings]
    low, high = min(means), max(means)
    return f"{percent(low, 1)} %" if len(means) == 1 else f"{_range(low, high)} %"


def _range(low: float, high: float) -> str:
    return f"{percent(low, 1)} to {percent(high, 1)}"


def _list(datasets: tuple[str, ...]) -> str:
    titles = [dataset_title(name) for name in datasets]
    return f" ({', '.join(titles)})" if len(titles) <= _NAMED else ""


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _100(value: float | None) -> float | None:
    return None if value is None else 100 * value
