"""One image of a dataset, and what a user says about the own images."""

import re
from dataclasses import dataclass
from pathlib import Path

from cyclegan_ad.data.listing import to_nfc

NORMAL, ABNORMAL = 0, 1
CLASSES = {NORMAL: "normal", ABNORMAL: "abnormal"}

# Usual names, of folders and in tables, without blanks and punctuation: no_defect, n.i.O., ...
_NAMES = {
    NORMAL: frozenset(
        [
            "good",
            "ok",
            "okay",
            "normal",
            "normals",
            "nodefect",
            "nodefects",
            "defectfree",
            "nondefective",
            "fine",
            "pass",
            "passed",
            "accept",
            "accepted",
            "intact",
            "sound",
            "clean",
            "undamaged",
            "healthy",
            "io",
            "gut",
        ]
    ),
    ABNORMAL: frozenset(
        [
            "bad",
            "nok",
            "ng",
            "ko",
            "notok",
            "notgood",
            "abnormal",
            "abnormals",
            "anomaly",
            "anomalies",
            "anomalous",
            "defect",
            "defects",
            "defective",
            "fault",
            "faults",
            "faulty",
            "fail",
            "failed",
            "reject",
            "rejected",
            "scrap",
            "damaged",
            "broken",
            "unhealthy",
            "diseased",
            "nio",
            "schlecht",
        ]
    ),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset.

    Attributes:
        path: POSIX path relative to the dataset's root.
        label: 0 normal, 1 abnormal.
        kind: Name of the folder of its kind, such as ``good`` or ``scratch_neck``.
        mask: POSIX paths of its ground-truth masks relative to the root; their union is the
            defect. Empty if there is no ground truth.
        group: Name of what it shows (a patient, a lot, a part); images of one group never part
            over the subsets. None if no groups were asked for.
    """

    path: str
    label: int
    kind: str
    mask: tuple[str, ...] = ()
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Labelling:
    """How the images of a user get labels and groups: settings ``dataset.*`` of the same names.

    Attributes:
        normal: Folders or globs of normal images, relative to the root; empty: the usual names.
        abnormal: Likewise of abnormal images.
        table: CSV file that lists the images, see :func:`.table.list_table`.
        group: Regular expression that finds the group in a path.
        defect_probability: Smallest one of an abnormal image, for :mod:`.elpv`; None for others.
    """

    normal: tuple[str, ...] = ()
    abnormal: tuple[str, ...] = ()
    table: Path | None = None
    group: str | None = None
    defect_probability: float | None = None


BY_THE_USUAL_NAMES = Labelling()
"""What is assumed of a folder of which the user says nothing."""


def class_of(name: str) -> int | None:
    """Return the label that a usual name of a class stands for, in any case; None for others.

    >>> class_of("Good"), class_of("n.i.O."), class_of("NO_DEFECT"), class_of("scratch")
    (0, 1, 0, None)
    """
    plain = re.sub(r"[\W_]+", "", to_nfc(name).casefold())
    return next((label for label, names in _NAMES.items() if plain in names), None)
