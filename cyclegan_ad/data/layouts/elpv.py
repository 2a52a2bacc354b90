"""Solar cells of the package elpv-dataset, where pip installed it, or of a folder of its layout."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cyclegan_ad.data.layouts.sample import ABNORMAL, NORMAL, Sample
from cyclegan_ad.data.listing import list_images
from cyclegan_ad.data.text_file import read_text
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import shown_name

PACKAGE = "elpv_dataset"
INSTALL = "pip install 'cyclegan-ad[elpv]'"
TABLE, FOLDER = "labels.csv", "images"
_REPAIR = "correct the table, or install elpv-dataset again if it is that of the package"
_EXPECTED = "lines such as `images/cell0001.png 1.0 mono`"


def find_elpv() -> Path:
    """Return the folder of the images and labels in the installed package; imports nothing.

    Raises:
        UserError: If the package is not installed; says how to get it.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(
            f"dataset=elpv: the package elpv-dataset is not installed; {INSTALL}, or use a folder "
            f"with {TABLE} and {FOLDER}/, dataset.root=PATH"
        )
    return Path(found.origin).parent / "data"


def has_elpv(root: Path) -> bool:
    """Return whether a folder has the table and the images."""
    return os.path.isfile(root / TABLE) and os.path.isdir(root / FOLDER)


def list_elpv(root: Path, defect_probability: float | None) -> Iterator[Sample]:
    """List the images of ``labels.csv``, the type of the module as their kind.

    The table has no header: path, probability that the cell is defective, and ``mono`` or ``poly``,
    with blanks between them.

    Args:
        root: Folder of the table.
        defect_probability: Images of at least this probability are abnormal, all others normal.

    Raises:
        UserError: Naming the table, the line and the value: a line is damaged, or an image is
            missing or listed twice.
        ValueError: ``defect_probability`` is None.
    """
    if defect_probability is None:
        raise ValueError("invalid defect_probability=None: expected a number > 0 and <= 1")
    table = root / TABLE
    images = set(list_images(root, FOLDER))
    seen: set[str] = set()
    for number, line in enumerate(read_text(table, "dataset.root", _EXPECTED).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        probability = _share(fields[1]) if len(fields) == 3 else None
        if probability is None:
            raise UserError(
                f"{table}, line {number} is damaged ({shown_name(line)}): expected {_EXPECTED}; "
                f"{_REPAIR}"
            )
        path, _, kind = fields
        if path not in images or path in seen:
            why = "is listed twice" if path in seen else "is missing"
            raise UserError(f"{table}, line {number}: {shown_name(path)} {why}; {_REPAIR}")
        seen.add(path)
        yield Sample(path, ABNORMAL if probability >= defect_probability else NORMAL, kind)


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
