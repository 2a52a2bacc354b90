"""Table 1: numbers of training and test images of each dataset, and the paper's.

  python -m experiments.table1 data_dir=data
  python -m experiments.table1 data_dir=data dataset=screw,brain_mri

Counts and splits the files as training does, without opening an image. Writes table1.csv and
table1.md.

Settings (change with name=value):
  data_dir=data     folder of the datasets; also CYCLEGAN_AD_DATA
  dataset=A,B,...   which datasets; default: the paper's seven
  out=tables        folder that the table is written to
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclegan_ad.data.samples import find_root, list_samples
from cyclegan_ad.data.split import split_samples
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_rows, write_text
from cyclegan_ad.reference.paper import PaperSizes, paper_table1
from experiments.driver import (
    Settings,
    choose_datasets,
    configured_datasets,
    print_markdown,
    run_driver,
)

DEFAULTS = {
    "data_dir": os.environ.get("CYCLEGAN_AD_DATA", "data"),
    "dataset": ",".join(paper_table1()),
    "out": "tables",
}
# Sizes do not depend on the seed of a split.
_SEED = 0

SIZES = ("train_normal", "train_abnormal", "test_normal", "test_abnormal")
HEADINGS = "Train normal | Train abnormal | Test normal | Test abnormal | Test behind Table 2"
EXPLANATION = (
    "Ours: half of the smaller class (rounded down) and as many images of the other class are "
    "test images. The last column is the number of test images of each class that the accuracies "
    "of Table 2 are fractions of: Table 1 prints 60 for screw, 41 for tile and 66 for breast "
    "ultrasound, Table 2 was computed on 59, 42 and 65."
)


@dataclass(frozen=True, slots=True)
class Row:
    """Sizes of one dataset.

    Attributes:
        dataset: Name of the dataset.
        ours: Number of images here, in the order of `SIZES`.
        paper: Sizes in the paper.
    """

    dataset: str
    ours: tuple[int, int, int, int]
    paper: PaperSizes

    @property
    def printed(self) -> tuple[int, ...]:
        """Numbers printed in Table 1, in the order of `SIZES`."""
        return tuple(getattr(self.paper, size) for size in SIZES)

    @property
    def remark(self) -> str:
        """Differences of the three, and the note of the reference; may be empty."""
        remarks = []
        if self.ours != self.printed:
            remarks.append("ours differs from Table 1")
        if set(self.ours[2:]) != {self.paper.behind_table2}:
            remarks.append(
                f"ours tests on {self.ours[2]}, Table 2 on {self.paper.behind_table2} of each class"
            )
        if self.paper.note:
            remarks.append(f"paper: {self.paper.note}")
        return "; ".join(remarks)


def count(dataset: str, config: dict[str, Any], data_dir: Path) -> tuple[int, int, int, int]:
    """Count the training and test images of a dataset, without opening one.

    Args:
        dataset: Name of the dataset.
        config: Content of its file in ``conf/dataset``.
        data_dir: Folder of the datasets.

    Returns:
        Numbers of images in the order of `SIZES`.

    Raises:
        UserError: If the dataset is missing or has too few images.
    """
    layout = config["layout"]
    root = find_root(data_dir, config["folders"], layout, dataset=dataset, source=config["source"])
    samples = list_samples(layout, root)
    labels = [sample.label for sample in samples]
    try:
        split = split_samples([sample.path for sample in samples], labels, _SEED)
    except ValueError as error:
        raise UserError(f"dataset {dataset} in '{root}': {error}") from None
    train = [labels[i] for i in split.train]
    test = [labels[i] for i in split.test]
    return train.count(0), train.count(1), test.count(0), test.count(1)


def table1(settings: Settings) -> list[UserError]:
    """Count, print and write the table; return an error for each dataset left out."""
    paper, configs = paper_table1(), configured_datasets()
    data_dir, out = (Path(settings[name]).expanduser() for name in ("data_dir", "out"))
    rows: list[Row] = []
    missing: list[UserError] = []
    for dataset in choose_datasets(settings, paper):
        try:
            ours = count(dataset, configs[dataset], data_dir)
        except UserError as error:
            missing.append(error)
        else:
            rows.append(Row(dataset, ours, paper[dataset]))
    if rows:
        text = markdown(rows)
        print_markdown(text)
        header = ["dataset", *SIZES, *(f"paper_{size}" for size in SIZES)]
        write_rows(
            out / "table1.csv",
            [*header, "test_per_class_behind_table2", "remark"],
            [[r.dataset, *r.ours, *r.printed, r.paper.behind_table2, r.remark] for r in rows],
        )
        write_text(out / "table1.md", text)
        print(f"Written to {out / 'table1.csv'} and {out / 'table1.md'}")
    return missing


def markdown(rows: list[Row]) -> str:
    """Write the table as Markdown."""
    lines = [
        "# Table 1: images that train and test",
        "",
        "Each cell: ours / the paper's.",
        "",
        f"| Dataset | {HEADINGS} |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        pairs = zip(row.ours, row.printed, strict=True)
        cells = " | ".join(f"{ours} / {printed}" for ours, printed in pairs)
        lines.append(f"| {row.dataset} | {cells} | {row.paper.behind_table2} |")
    lines += ["", EXPLANATION, "", *(f"- {r.dataset}: {r.remark}" for r in rows if r.remark)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    run_driver(table1, DEFAULTS, __doc__)
