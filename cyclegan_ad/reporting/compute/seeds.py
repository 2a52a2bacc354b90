"""Print one table of the runs of a sweep at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.reporting.compute.ablation import gather_ablation, part_ablation
from cyclegan_ad.reporting.compute.aggregate import build_study, choose_protocol
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import read_runs
from cyclegan_ad.reporting.read.read_run import LeftOut, Run
from cyclegan_ad.reporting.show.kept_out_table import print_kept_out
from cyclegan_ad.reporting.show.notes import table2_notes
from cyclegan_ad.reporting.show.table2 import lay_out_sweep
from cyclegan_ad.reporting.show.terminal_table import print_left_out, print_study
from cyclegan_ad.text import printable

SETTINGS_NOTE = (
    "Runs of several settings: their figures are of test images, so no setting should be chosen by "
    "them. hydra/sweeper=optuna, and run_name=search-NAME, compare by images kept out of training."
)


def print_means(places: Sequence[Path]) -> None:
    """Print a row for each method and score, with mean and deviation over seeds, and the paper's.

    Runs of an ablation or a search are in a table of their own, without test figures.

    Args:
        places: Run directories.
    """
    found, left_out = read_runs((place, printable(str(place))) for place in places)
    consistent, others = choose_consistent(found)
    left_out += others
    runs, compared = part_ablation(consistent)
    rows, others = gather_ablation(compared)
    print_kept_out(rows)
    left_out += others
    if runs:
        _print_table(runs, left_out)
    else:
        print_left_out(left_out)


def _print_table(runs: Sequence[Run], left_out: list[LeftOut]) -> None:
    comparable = choose_comparable(runs)
    study = build_study(runs, choose_protocol(runs, None), comparable)
    table = lay_out_sweep(study)
    notes = list(table2_notes(table, study))
    cells = {(run.dataset, run.method.name, run.method.resolution) for run in runs}
    if len({(run.dataset, run.method) for run in runs}) > len(cells):
        notes.append(SETTINGS_NOTE)
    several = any(len(entry.seeds) > 1 for entry in study.entries.values())
    print_study(
        table,
        notes,
        [*left_out, *comparable.left_out],
        title="Mean over seeds" if several else "Runs of this sweep",
    )
