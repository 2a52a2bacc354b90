"""Means over the seeds of a sweep, printed at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.errors import UserError
from cyclegan_ad.reporting.compute.aggregate import build_study, choose_protocol
from cyclegan_ad.reporting.labels import printable
from cyclegan_ad.reporting.read.alike import choose_alike
from cyclegan_ad.reporting.read.choose_runs import choose_consistent
from cyclegan_ad.reporting.read.read_run import LeftOut, Run, read_run
from cyclegan_ad.reporting.show.notes import table2_notes
from cyclegan_ad.reporting.show.table2 import lay_out_seeds
from cyclegan_ad.reporting.show.terminal_table import print_study


def print_means(places: Sequence[Path]) -> None:
    """Print mean and deviation of each cell that has several seeds, beside the paper's.

    Args:
        places: run directories.
    """
    found: list[Run] = []
    left_out: list[LeftOut] = []
    for place in places:
        shown = printable(str(place))
        try:
            run, columns = read_run(place, shown)
        except UserError as error:
            left_out.append(LeftOut(shown, printable(str(error))))
        else:
            found.append(run)
            left_out += columns
    runs, others = choose_consistent(found)
    alike = choose_alike(runs)
    study = build_study(runs, choose_protocol(runs, None), alike)
    table = lay_out_seeds(study)
    if table is not None:
        print_study(
            table,
            table2_notes(table, study),
            [*left_out, *others, *alike.left_out],
            title="Mean over seeds",
        )
