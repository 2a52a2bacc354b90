"""What settings are made of: frozen groups, types with limits, and errors of one line.

A group is a pydantic model without defaults: these stand in ``conf/`` alone. An error names the
setting as it is typed on the command line, its value, and what was expected.
"""

import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
)

from cyclegan_ad.errors import UserError
from cyclegan_ad.path_settings import check_folder_name, check_path
from cyclegan_ad.text import as_typed

LARGEST_SEED = 2**32 - 1  # what NumPy's global generator takes
_LARGEST_INT = 2**31 - 1  # what every library underneath takes
_SHOWN = 60  # characters of a value in a message


class _Mark:
    """Metadata of a field."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


SAME_TRAINING = _Mark("SAME_TRAINING")
"""Marks a field, or a group, whose change does not make a run another training."""


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    check_path(info.field_name or "", value)
    return Path(value).expanduser()


def _folder_name(value: str) -> str:
    check_folder_name(value)
    return value


def choice(*values: Any) -> Any:
    """A type with these values, of which 1 and true are different ones."""

    def same_type(value: Any) -> Any:
        if (type(value), value) not in [(type(known), known) for known in values]:
            raise ValueError(f"expected one of {', '.join(map(as_typed, values))}")
        return value

    return Annotated[Literal[values], BeforeValidator(same_type)]


Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Count = Annotated[int, Field(ge=0, le=_LARGEST_INT)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST_INT)]
Folds = Annotated[int, Field(ge=2, le=_LARGEST_INT)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
ShareAboveZero = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Strings = Annotated[tuple[str, ...], Strict(False)]
PathSetting = Annotated[Path, BeforeValidator(_path)]
FolderName = Annotated[str, AfterValidator(_folder_name)]


class Group(BaseModel):
    """Settings that are read together; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    def as_dict(self) -> dict[str, Any]:
        """The settings as nested dictionaries of what YAML and JSON can hold."""
        return {name: _plain(value) for name, value in self}

    def flat(self) -> dict[str, Any]:
        """Dotted name of each setting -> value, as in :meth:`as_dict`."""
        return dict(flatten(self.as_dict()))

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """A checked copy with other values.

        Args:
            changes: Dotted name of a setting or a group -> new value.

        Raises:
            UserError: If a value is not possible.
        """
        raw = self.as_dict()
        for name, value in changes.items():
            *groups, last = name.split(".")
            at = raw
            for group in groups:
                at = at[group]
            at[last] = value
        return read_settings(type(self), raw)


_G = TypeVar("_G", bound=Group)


def read_settings(model: type[_G], raw: Mapping[str, Any]) -> _G:
    """Check settings and turn them into their types.

    Args:
        model: The settings of a command.
        raw: The same as nested dictionaries, resolved.

    Raises:
        UserError: Naming the first wrong setting, its value and what was expected.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(_explain(model, raw, error)) from None


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each setting in nested dictionaries."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def fields_of(model: type[Group], prefix: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Each setting that a group may hold, whichever alternatives are chosen.

    Args:
        model: The group.
        prefix: What stands before its names.

    Yields:
        Dotted name, annotation with its limits, and whether a change makes another training.
    """
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[annotation, *field.metadata]
        same = SAME_TRAINING in field.metadata
        groups = _groups_in(field.annotation)
        for group in groups:
            for inner, kind, training in fields_of(group, f"{prefix}{name}."):
                yield inner, kind, training and not same
        if not groups:
            yield f"{prefix}{name}", annotation, not same


def expected(annotation: Any) -> str:
    """Say what a setting may be.

    >>> expected(Count), expected(Share), expected(bool)
    ('an integer >= 0', 'a number >= 0 and < 1', 'true or false')
    >>> expected(Literal["auto", True] | None)
    'null or one of auto, true'
    """
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        base, *metadata = typing.get_args(annotation)
        words = expected(base)
        if base in (int, float):
            words += _limits(metadata)
        return words
    if origin in (typing.Union, types.UnionType):
        parts = typing.get_args(annotation)
        null = ["null"] if type(None) in parts else []
        return " or ".join([*null, *(expected(part) for part in parts if part is not type(None))])
    if origin is Literal:
        choices = [as_typed(choice) for choice in typing.get_args(annotation)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if origin is tuple:
        inner = typing.get_args(annotation)
        if Ellipsis in inner:
            return "a list such as [a,b]"
        return f"a list of {len(inner)} values, each {expected(inner[0])}"
    names = {bool: "true or false", int: "an integer", float: "a number", Path: "a path"}
    return names.get(annotation, "a string (a number needs quotes, such as \\'5\\')")


def _limits(metadata: list[Any]) -> str:
    limits = []
    for mark in metadata:
        for item in getattr(mark, "metadata", [mark]):
            for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
                bound = getattr(item, name, None)
                if bound not in (None, _LARGEST_INT, LARGEST_SEED):
                    limits.append(f"{sign} {bound}")
    return f" {' and '.join(limits)}" if limits else ""


def _groups_in(annotation: Any) -> list[type[Group]]:
    if isinstance(annotation, type) and issubclass(annotation, Group):
        return [annotation]
    return [group for part in typing.get_args(annotation) for group in _groups_in(part)]


def _plain(value: Any) -> Any:
    if isinstance(value, Group):
        return value.as_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _explain(model: type[Group], raw: Mapping[str, Any], error: ValidationError) -> str:
    """The first error of a validation in one line."""
    first = error.errors(include_url=False)[0]
    name, value = "", typing.cast(Any, raw)
    for part in first["loc"]:
        if isinstance(value, Mapping) and (part in value or part == first["loc"][-1]):
            name = f"{name}.{part}" if name else str(part)
            value = value.get(part)
    if first["type"].startswith("union_tag"):
        tag = first["ctx"]["discriminator"].strip("'")
        name = f"{name}.{tag}"
        value = value.get(tag) if isinstance(value, Mapping) else value
        choices = first["ctx"].get("expected_tags", "").replace("'", "")
        return f"invalid {name}={as_typed(value)}: expected one of {choices or 'its names'}"
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):
        return f"{name} is missing: give {name}=VALUE"
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name}: no code reads it; leave it out"
    shown = as_typed(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    if first["type"] == "value_error":
        return f"invalid {name}={shown}: {first['ctx']['error']}"
    kinds = [kind for setting, kind, _ in fields_of(model) if setting == name]
    words = expected(kinds[0]) if kinds else "a group of settings"
    if first["type"] == "less_than_equal":
        words += f" and <= {first['ctx']['le']}"
    return f"invalid {name}={shown}: expected {words}"
