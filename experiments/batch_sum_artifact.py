"""Where the PatchCore column of the paper's Table 2 comes from.

  python -m experiments.batch_sum_artifact
  python -m experiments.batch_sum_artifact batch_size=1      the same without the batches

A simulated perfect detector, 0.8 for every normal and 1.0 for every abnormal image, is scored as
the paper's published code scored PatchCore and PaDiM, and each image by itself.

Settings (change with name=value):
  batch_size=16     images in a batch
"""

from rich import box
from rich.console import Console
from rich.table import Table

from cyclegan_ad.errors import UserError
from cyclegan_ad.reference.paper import paper_table1
from experiments.batch_sum import (
    PAPER_BATCH_SIZE,
    PAPER_RUNS,
    Row,
    bounds,
    published,
    rounded,
    simulate,
)
from experiments.driver import Settings, open_console, run_driver, whole_number

DEFAULTS = {"batch_size": str(PAPER_BATCH_SIZE)}

EXPLANATION = (
    "The published code added up the anomaly map over all images of a batch and gave this sum to "
    "each of them. Normal and abnormal images came in loaders of their own, so the last batch of "
    "each class is smaller and its sum lower. The abnormal images of the last batch then score "
    "below the full batches of normal ones: to miss none of them (ZFN) nearly every normal image "
    "is called abnormal, and at the best threshold they are missed. Only where the last batch is "
    "nearly full (wood: 14 of 16) its sum still exceeds those of full normal batches. So a "
    "detector that errs on no image gets these figures; how many images there are decides them."
)


def batch_sum_artifact(settings: Settings) -> list[UserError]:
    """Compute and print the table.

    Args:
        settings: ``batch_size``.

    Returns:
        Nothing is ever left out.

    Raises:
        UserError: If the batch size is no whole number.
    """
    batch_size = whole_number(settings, "batch_size", 1)
    rows = [
        simulate(dataset, sizes.behind_table2, batch_size)
        for dataset, sizes in paper_table1().items()
    ]
    console = open_console()
    _print_table(rows, batch_size, console)
    console.print(f"\n{EXPLANATION}\n")
    if batch_size == PAPER_BATCH_SIZE:
        for line in compare(rows):
            plain = line if console.encoding.lower().startswith("utf") else line.replace("±", "+-")
            console.print(plain, markup=False)
    else:
        console.print(f"The paper's figures are from batches of {PAPER_BATCH_SIZE}.")
    return []


def compare(rows: list[Row]) -> list[str]:
    """Say in plain lines which published figures of PatchCore the simulation gives."""
    exact = [row.dataset for row in rows if row.agrees]
    lines = [f"PatchCore, equal to the last digit: {_listed(exact)}."]
    for row in rows:
        if row.agrees:
            continue
        zfn, best = row.patchcore
        lines.append(
            f"{row.dataset}: {row.by_batch} simulated, published "
            f"{zfn.mean_percent:.2f}±{zfn.std_percent:.2f} / "
            f"{best.mean_percent:.2f}±{best.std_percent:.2f}. {_reason(row)}"
        )
    equal = [row.dataset for row in rows if rounded(row.by_batch) == published(row.padim)]
    higher = [row.dataset for row in rows if not bounds(row.by_batch, row.padim)]
    lines.append(
        f"PaDiM, equal to the last digit: {_listed(equal)}; higher than the simulated detector: "
        f"{_listed(higher)}. Elsewhere errors of its own may add to those of the sum."
    )
    return lines


def _reason(row: Row) -> str:
    number = row.runs_swapped()
    if number:
        one = row.last_batch == 1
        size = "the one image" if one else f"the {row.last_batch} images"
        return (
            f"All four numbers follow if in {number[0]} of the {PAPER_RUNS} runs {size} of the "
            f"last normal batch scored above {'that' if one else 'those'} of the last abnormal one "
            f"(which gives {row.swapped})."
        )
    share = 100 * PAPER_BATCH_SIZE / (2 * row.images)
    return (
        "Near, but not equal: of so many images a real detector gets some wrong (a batch on the "
        f"wrong side moves an accuracy by {share:.2f})."
    )


def _print_table(rows: list[Row], batch_size: int, console: Console) -> None:
    ascii_only = not console.encoding.lower().startswith("utf")
    table = Table(
        title="A perfect detector, and what the paper has: ZFN / best accuracy, %",
        title_justify="left",
        title_style="bold",
        box=None if ascii_only else box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    table.add_column("Dataset", no_wrap=True)
    table.add_column("Test", justify="right", no_wrap=True)
    table.add_column("Last\nbatch", justify="right", no_wrap=True)
    for heading in ("Scored\nalone", f"Sum over\n{batch_size}", "PatchCore\npaper", "PaDiM\npaper"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.dataset,
            str(row.images),
            str(row.last_batch),
            str(row.by_image),
            str(row.by_batch),
            str(published(row.patchcore)),
            str(published(row.padim)),
        )
    console.print(table)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "nowhere"


if __name__ == "__main__":
    run_driver(batch_sum_artifact, DEFAULTS, __doc__)
