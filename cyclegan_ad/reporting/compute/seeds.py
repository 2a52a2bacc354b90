"""Print means over the seeds of a sweep at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclegan_ad.reporting.compute.aggregate import build_study, choose_protocol
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import read_runs
from cyclegan_ad.reporting.show.notes import table2_notes
from cyclegan_ad.reporting.show.table2 import lay_out_seeds
from cyclegan_ad.reporting.show.terminal_table import print_study
from cyclegan_ad.text import printable


def print_means(places: Sequence[Path]) -> None:
    """Print mean and standard deviation of each cell with several seeds, with the paper's.

    Args:
        places: Run directories.
    """
    found, left_out = read_runs((place, printable(str(place))) for place in places)
    runs, others = choose_consistent(found)
    comparable = choose_comparable(runs)
    study = build_study(runs, choose_protocol(runs, None), comparable)
    table = lay_out_seeds(study)
    if table is not None:
        print_study(
            table,
            table2_notes(table, study),
            [*left_out, *others, *comparable.left_out],
            title="Mean over seeds",
        )
