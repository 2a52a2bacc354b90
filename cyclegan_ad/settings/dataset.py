"""Settings ``dataset.*``: the images, their labels and groups, batches and storage."""

import difflib
import os
import re
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Strict, model_validator

from cyclegan_ad.data.layouts.names import OWN_LAYOUTS
from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.types import (
    SAME_TRAINING,
    SAME_TYPE,
    Count,
    Finite,
    FolderName,
    Group,
    PathSetting,
    Positive,
    Ratio,
    Strings,
    Weight,
)
from cyclegan_ad.text import as_typed

PAPER_DATASETS = (
    *("hazelnut", "screw", "tile", "wood"),
    *("brain_mri", "breast_ultrasound", "retina_oct"),
)
"""Datasets of the paper; own images never have one of these names, so never its figures."""
MVTEC_CATEGORIES = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut"),
    *("pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"),
)
_LONGEST_NAME = 60  # characters of a name taken from a folder


def _as_names(value: Any) -> Any:
    """Accept a single name in place of a list, and names that look like numbers."""
    names = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(name, bool) or not isinstance(name, str | int) for name in names):
        return value
    return [str(name) for name in names]


def _is_category(value: str) -> str:
    if value in MVTEC_CATEGORIES:
        return value
    near = difflib.get_close_matches(value.lower(), MVTEC_CATEGORIES, 1)
    advice = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"{advice}expected one of {', '.join(MVTEC_CATEGORIES)}")


def _is_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(
            f"expected a regular expression such as patient_(\\d+) ({error})"
        ) from None
    return value


Names = Annotated[tuple[str, ...], Strict(False), BeforeValidator(_as_names)]


def _as_fraction(value: Any) -> Any:
    """Accept a fraction as it is typed, such as 1/3."""
    if isinstance(value, str) and re.fullmatch(r"\d+/[1-9]\d*", value):
        return float(Fraction(value))
    return value


def _window(window: tuple[float, float]) -> tuple[float, float]:
    if window[0] >= window[1]:
        raise ValueError("expected null or [LOW,HIGH] with LOW < HIGH, such as [0,4095]")
    return window


class Dataset(Group):
    """``dataset.*``: the images, their augmentation, batches and storage."""

    name: FolderName
    layout: Literal[
        "mvtec",
        "mvtec_like",
        "brain_mri",
        "breast_ultrasound",
        "retina_oct",
        "elpv",
        "folder",
    ]
    root: Annotated[PathSetting | None, SAME_TRAINING]
    folders: Annotated[Strings, SAME_TRAINING]
    source: Annotated[str, SAME_TRAINING]
    # What they choose is compared image by image.
    category: Annotated[Annotated[str, AfterValidator(_is_category)] | None, SAME_TRAINING]
    normal: Annotated[Names | None, SAME_TRAINING]
    abnormal: Annotated[Names | None, SAME_TRAINING]
    table: Annotated[PathSetting | None, SAME_TRAINING]
    group: Annotated[str, AfterValidator(_is_expression)] | None
    keep_copies_together: bool
    max_abnormal: Positive | None
    defect_probability: Annotated[Ratio, BeforeValidator(_as_fraction)] | None
    channels: Annotated[Literal[1, 3], SAME_TYPE]
    window: Annotated[tuple[Finite, Finite], Strict(False), AfterValidator(_window)] | None
    augmentation: Literal["dihedral", "affine", "flip", "none"]
    copies_per_epoch: Positive
    batch_size: Positive
    exclude: Annotated[PathSetting | None, SAME_TRAINING]
    skip_unreadable: bool
    storage: Annotated[Literal["auto", "memory", "disk"], SAME_TRAINING]
    memory_limit_mib: Annotated[Count, SAME_TRAINING]
    images_on: Annotated[Literal["auto", "device", "host"], SAME_TRAINING]
    # Defaults of method.*, trainer.* and score.*, which are compared instead.
    max_epochs: Annotated[Positive, SAME_TRAINING]
    base_channels: Annotated[Positive, SAME_TRAINING]
    learning_rate: Annotated[Weight, SAME_TRAINING]
    embedding_images: Annotated[Positive | None, SAME_TRAINING]
    scores: Annotated[Strings, SAME_TRAINING]

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" in values and values["name"] is None:
            return values | {"name": name_of_own(values)}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.layout in OWN_LAYOUTS and self.name in PAPER_DATASETS:
            raise UserError(
                f"invalid dataset.name={self.name}: a dataset of the paper has this name, and its "
                f"figures are not those of other images; use another, such as own-{self.name}"
            )
        given = [name for name in ("normal", "abnormal", "table") if getattr(self, name)]
        if given and self.layout != "folder":
            raise self._refused(given[0], "only dataset=folder has it; add dataset=folder")
        if self.category is not None and self.layout != "mvtec_like":
            raise self._refused("category", "only dataset=mvtec has it; add dataset=mvtec")
        if (self.defect_probability is None) is (self.layout == "elpv"):
            if self.layout != "elpv":
                raise self._refused("defect_probability", "only dataset=elpv has it; remove it")
            raise UserError(
                "invalid dataset.defect_probability=null: expected a number > 0 and <= 1"
            )
        if self.table is not None and len(given) > 1:
            raise self._refused(
                given[0], "dataset.table has the labels already; remove one of them"
            )
        return self

    def _refused(self, name: str, why: str) -> UserError:
        value = getattr(self, name)
        shown = as_typed(value if isinstance(value, str | tuple) else str(value))
        return UserError(f"invalid dataset.{name}={shown}: {why}")


def name_of_own(values: dict[str, Any]) -> str:
    """Return the name of the user's own dataset: that of its category or of its folder.

    Characters that are not allowed become ``_``. The name of a dataset of the paper is not taken.

    Args:
        values: Settings ``dataset.*`` as given, not yet checked.

    Example:
        >>> name_of_own({"category": None, "root": "/data/Größe (M)", "table": None})
        'Größe _M_'
        >>> name_of_own({"category": "screw", "root": None, "table": None})
        'own-screw'
    """
    category, root, table = (values.get(name) for name in ("category", "root", "table"))
    if isinstance(category, str):
        found = category
    elif isinstance(root, str):
        found = _folder_of(root)
    elif isinstance(table, str):
        found = _folder_of(str(Path(table).expanduser().absolute().parent))
    else:
        found = ""
    plain = re.sub(r"[^\w .@+-]", "_", unicodedata.normalize("NFC", found))
    plain = plain[:_LONGEST_NAME].strip(" .")
    if not re.search(r"\w", plain):
        return "folder"
    return f"own-{plain}" if plain in PAPER_DATASETS else plain


def _folder_of(path: str) -> str:
    return os.path.basename(os.path.abspath(os.path.expanduser(path)))
