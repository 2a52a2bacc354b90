"""Building blocks of settings: frozen groups, types with limits, and one-line errors.

A group is a pydantic model without defaults, which are in ``conf/`` only. An error names the
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
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.paths import check_folder_name, check_path
from cyclegan_ad.text import as_typed

LARGEST_SEED = 2**32 - 1  # limit of the global generator of NumPy
_LARGEST_INT = 2**31 - 1  # limit that all libraries support
_SHOWN = 60  # characters of a value in a message


SAME_TRAINING = object()
"""Marks a field or group that may change when a run is resumed."""


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    check_path(info.field_name or "", value)
    return Path(value).expanduser()


def _same_type(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    known = validate(value)
    if type(known) is not type(value):
        raise PydanticCustomError("literal_error", "another type")
    return known


SAME_TYPE = WrapValidator(_same_type)
"""Marks a ``Literal`` of which 1 and true are different values."""


Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Count = Annotated[int, Field(ge=0, le=_LARGEST_INT)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST_INT)]
Folds = Annotated[int, Field(ge=2, le=_LARGEST_INT)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
ShareAboveZero = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Strings = Annotated[tuple[str, ...], Strict(False)]
PathSetting = Annotated[Path, BeforeValidator(_path)]
FolderName = Annotated[str, AfterValidator(check_folder_name)]


class Group(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    def as_dict(self) -> dict[str, Any]:
        """Convert to nested dictionaries with values of YAML and JSON."""
        return {name: _plain(value) for name, value in self}

    def flat(self) -> dict[str, Any]:
        """Return dotted name -> value of each setting, with values as in :meth:`as_dict`."""
        return dict(flatten(self.as_dict()))

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """Return a validated copy with other values.

        Args:
            changes: Dotted name of a setting or a group -> new value.

        Raises:
            UserError: If a value is invalid.
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
    """Validate settings and convert them to their types.

    Raises:
        UserError: Naming the first invalid setting, its value and what was expected.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(_explain(model, raw, error)) from None


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each setting in nested dictionaries."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def fields_of(model: type[Group], prefix: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Yield each setting of a group, including those of all alternatives of a union.

    Yields:
        Dotted name, annotation with its limits, and whether the setting is fixed when a run is
        resumed.
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
    """Describe the valid values of a setting.

    >>> expected(Count), expected(Share), expected(bool)
    ('an integer >= 0', 'a number >= 0 and < 1', 'true or false')
    >>> expected(Literal["auto", True] | None)
    'null or one of auto, true'
    >>> expected(tuple[AboveZero, ...])
    'a list of values, each a number > 0'
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
            if typing.get_origin(inner[0]) is Annotated:
                return f"a list of values, each {expected(inner[0])}"
            choices = [as_typed(choice) for choice in typing.get_args(inner[0])]
            return f"a list of some of {', '.join(choices)}" if choices else "a list such as [a,b]"
        return f"a list of {len(inner)} values, each {expected(inner[0])}"
    names = {bool: "true or false", int: "an integer", float: "a number", Path: "a path"}
    return names.get(annotation, "a string (quote a number: \\'5\\')")


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
    """Describe the first error of a validation in one line."""
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
        return f"invalid {name}={as_typed(value)}: expected one of {choices or 'the options'}"
    if first["type"] == "missing" and isinstance(first["loc"][-1], str):
        return f"missing setting {name}: add {name}=VALUE"
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name}; remove it"
    shown = as_typed(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    if first["type"] == "value_error":
        return f"invalid {name}={shown}: {first['ctx']['error']}"
    kinds = [kind for setting, kind, _ in fields_of(model) if setting == name]
    words = expected(kinds[0]) if kinds else "a group of settings"
    if first["type"] == "less_than_equal":
        words += f" and <= {first['ctx']['le']}"
    return f"invalid {name}={shown}: expected {words}"
