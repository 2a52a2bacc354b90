"""The paper's Table 1, as kept in ``cyclegan_ad/reference``."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class PaperSizes:
    """How many images of a dataset the paper trains and tests on.

    Attributes:
        train_normal: As Table 1 prints it.
        train_abnormal: As Table 1 prints it.
        test_normal: As Table 1 prints it.
        test_abnormal: As Table 1 prints it.
        behind_table2: Test images of each class that the accuracies of Table 2 fit.
        note: Why the two differ, or how many images there are; may be empty.
    """

    train_normal: int
    train_abnormal: int
    test_normal: int
    test_abnormal: int
    behind_table2: int
    note: str


@cache
def paper_table1() -> dict[str, PaperSizes]:
    """Sizes of the paper by name of the dataset, in its order."""
    source = resources.files("cyclegan_ad") / "reference" / "paper_table1.csv"
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return {
        row["dataset"]: PaperSizes(
            train_normal=int(row["train_normal"]),
            train_abnormal=int(row["train_abnormal"]),
            test_normal=int(row["test_normal"]),
            test_abnormal=int(row["test_abnormal"]),
            behind_table2=int(row["test_per_class_behind_table2"]),
            note=row["note"],
        )
        for row in rows
    }
