"""Write the reference of all settings, docs/settings.md, from the files under conf/.

  python docs/build_settings.py            write the page
  python docs/build_settings.py --check    exit with 1 if the page is not up to date

Names, defaults and meanings come from conf/: the meaning of a setting is the comment above it.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from conf_files import (
    about,
    composed,
    options_of,
    read_comments,
    taken_from,
    values_written,
    with_inherited,
)

from cyclegan_ad.settings.commands import COMMANDS
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.train import Settings, makes_another_training
from cyclegan_ad.settings.types import expected, fields_of

PAGE = Path(__file__).resolve().with_name("settings.md")
COMMAND = "python docs/build_settings.py"

INTRODUCTION = f"""\
<!-- Written by `{COMMAND}` from the files in conf/; do not edit. -->
# Settings

Settings are given as `name=value`, in any order. A *group* is chosen with `group=option`, such as
`dataset=screw`; the settings of the chosen option are then `group.name`, such as
`dataset.batch_size=8`. Several values separated by commas, together with `-m`, start a sweep.

    # the most used settings
    python -m cyclegan_ad.train --help
    # every value of a command
    python -m cyclegan_ad.train dataset=screw --cfg job --resolve

Neither runs anything. A list is written `[a,b]` and no value `null`. In a shell, quote values that
contain spaces, brackets or commas: `'score.names=[sse,peak]'`. An unknown setting or an invalid
value ends the command with one line that names the setting, the value and the remedy, before any
image is read.

*New training* says whether another value makes another training. Where it does, a finished run in
the same place is never reused: the command stops and asks for `run_name=NAME` or `overwrite=true`.
"""

_GROUPS = {
    "dataset": "Which images are used.",
    "method": "What is trained or fitted on them.",
    "score": "How an image is compared with its reconstruction. `score=` sets `score.names`.",
    "protocol": "Which images the threshold is set on.",
    "trainer": "Where the training runs.",
    "logger": "Where losses and results are logged, besides the run directory.",
    "experiment": "Several jobs in one command, chosen with `+experiment=`.",
    "column": "One column of Table 2, chosen with `+column=`.",
    "row": "One row of the final table, chosen with `+row=`.",
    "ablation": "One choice of training of the ablation, chosen with `+ablation=`.",
    "preset": "Defaults of several settings, chosen with `+preset=`. Settings typed beside it win.",
}
# Of which the page shows the settings; these have no defaults that others of the group lack.
_SHOWN = {
    "dataset": "hazelnut",
    "score": "both",
    "protocol": "paper",
    "trainer": "auto",
    "logger": "wandb",
}
_COMMANDS = {
    "evaluate": "Score or decide again for an existing run. `null` means: as the run was made.",
    "predict": "Decisions about new images, see [predict](predict.md).",
    "calibrate": "A new threshold from labelled images, see [calibrate](calibrate.md).",
    "export": "A detector as one file of ONNX, OpenVINO or torch.export, see [export](export.md).",
    "inspector": "A page on which people look at decisions, see [inspector](inspector.md).",
    "report": "Tables and a page of finished runs.",
    "dashboard": "A W&B workspace that compares methods and datasets.",
}
_REQUIRED = {
    "evaluate": ["run=PATH"],
    "predict": ["detector=PATH", "images=PATH"],
    "calibrate": ["detector=PATH", "images=PATH"],
    "export": ["detector=PATH"],
    "inspector": ["detector=PATH"],
}
_LAUNCHERS = {
    "local_parallel": "Several jobs at a time on one machine.",
    "slurm": "Jobs of a SLURM cluster.",
    "slurm_local": "The same as `slurm` on this machine, without SLURM.",
}
_DATASET = f"dataset={_SHOWN['dataset']}"
_COMPUTED = "see meaning"


def describe_field(name: str, value: object, command: str = "train", method: str = "") -> str:
    """Say what a setting may be.

    Args:
        name: Dotted name, such as ``dataset.batch_size``.
        value: Its default.
        command: Command whose setting it is.
        method: Method whose setting it is, as the same name may be one of several.
    """
    models = (COMMANDS[command], *COMMANDS.values())
    for known, annotation, _ in chain(_fields_of_method(method), *map(fields_of, models)):
        if known == name:
            words = re.sub(r" \(.*?\)", "", expected(annotation))
            return words if value is not None or "null" in words else f"null or {words}"
    kinds = {bool: "true or false", int: "an integer", str: "a string"}
    return kinds.get(type(value), "")


def _fields_of_method(method: str) -> Iterator[tuple[str, Any, bool]]:
    for model in get_args(Settings.model_fields["method"].annotation):
        if method in get_args(model.model_fields["name"].annotation):
            yield from fields_of(model, "method.")


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *_groups(), *_train(), *_other_commands(), *_launchers()])


def _groups() -> Iterator[str]:
    yield "## Groups\n"
    for group, meaning in _GROUPS.items():
        yield f"### {group}\n\n{meaning}\n"
        rows = [[f"`{path.stem}`", _markdown(about(path))] for path in options_of(group)]
        yield _table(["option", "meaning"], rows)


def _train() -> Iterator[str]:
    yield "## Settings of train\n"
    comments, raw = _of_train(read_comments), _of_train(values_written)
    shared = composed("train", _DATASET)
    top_level = {name: value for name, value in shared.items() if "." not in name}
    yield "### General\n"
    yield _settings_table(top_level, comments, raw)
    yield f"### dataset.*\n\nDefaults are those of `{_DATASET}`.\n"
    yield _settings_table(_of("dataset", shared), comments, raw)
    yield "Other datasets have defaults of their own:\n"
    yield _table(["dataset", "defaults"], list(_datasets()))
    for path in options_of("method"):
        yield f"### method.* of {path.stem}\n"
        in_file = with_inherited(values_written, path, "method")
        own = _of("method", composed("train", _DATASET, f"method={path.stem}"))
        meanings = with_inherited(read_comments, path, "method")
        yield _settings_table(own, meanings, in_file, method=path.stem)
        if others := {name: value for name, value in in_file.items() if name not in own}:
            yield f"It also sets {_typed(others)}.\n"
    for group in ("score", "protocol", "trainer", "logger"):
        yield f"### {group}.*\n\nDefaults are those of `{group}={_SHOWN[group]}`.\n"
        yield _settings_table(_of(group, shared), comments, raw)
        if rows := list(_others(group)):
            yield "Other options set:\n"
            yield _table(["option", "defaults"], rows)


def _other_commands() -> Iterator[str]:
    for command, meaning in _COMMANDS.items():
        path = conf_dir() / f"{command}.yaml"
        values = composed(command, *_REQUIRED.get(command, []))
        yield f"## Settings of {command}\n\n{meaning}\n"
        comments = _of_train(read_comments) | read_comments(path)
        yield _settings_table(values, comments, values_written(path), command=command)


def _launchers() -> Iterator[str]:
    yield "## Launchers of sweeps\n"
    yield "Chosen with `hydra/launcher=`, see [clusters](clusters.md).\n"
    for name, meaning in _LAUNCHERS.items():
        path = conf_dir() / "hydra" / "launcher" / f"{name}.yaml"
        yield f"### hydra/launcher={name}\n\n{meaning}\n"
        values = values_written(path, "hydra.launcher")
        comments = read_comments(path, "hydra.launcher")
        yield _settings_table(values, comments, values, command="")
    path = conf_dir() / "hydra" / "sweeper" / "search.yaml"
    yield "## Search of settings\n"
    yield "`hydra/sweeper=optuna`, see [training](training.md#search-of-settings).\n"
    values = values_written(path, "hydra.sweeper")
    comments = read_comments(path, "hydra.sweeper")
    yield _settings_table(values, comments, values, command="")


def _datasets() -> Iterator[list[str]]:
    for path in options_of("dataset"):
        own = {
            name: value
            for name, value in values_written(path).items()
            if name not in ("name", "layout", "folders", "source")
        }
        yield [f"`{path.stem}`", _typed(own)]


def _others(group: str) -> Iterator[list[str]]:
    """What the options of a group that are not shown set, besides their name."""
    for path in options_of(group):
        values = {
            name: value
            for name, value in values_written(path, group).items()
            if name not in (f"{group}.name", f"{group}.kind")
        }
        if path.stem != _SHOWN[group] and values:
            yield [f"`{path.stem}`", _typed(values)]


def _settings_table(
    values: Mapping[str, Any],
    comments: Mapping[str, str],
    raw: Mapping[str, Any],
    *,
    command: str = "train",
    method: str = "",
) -> str:
    rows, training = [], command == "train"
    for name, value in values.items():
        default = _default(name, raw.get(name, value), value)
        kind = (
            "" if default == _COMPUTED else describe_field(name, value, command or "train", method)
        )
        row = [f"`{name}`", default, kind]
        if training:
            row.append("yes" if _is_training(name) else "no")
        rows.append([*row, _markdown(comments.get(name, ""))])
    heads = ["setting", "default", "type", *(["new training"] if training else []), "meaning"]
    return _table(heads, rows)


def _default(name: str, raw: object, value: object) -> str:
    """How the default reads: the value, and where it comes from if not from a file alone."""
    text = str(raw)
    if text == "???":
        return "required"
    if name.startswith("hydra.launcher.") and "${" in text:
        return _COMPUTED
    taken = re.fullmatch(r"\$\{(\.*)([a-z_.]+)\}", text)
    if taken is not None:
        parents = name.split(".")[: -len(taken[1])] if taken[1] else []
        return f"`{_code(value)}`, from `{'.'.join([*parents, taken[2]])}`"
    variables = [found for found in re.findall(r"oc\.env:([A-Z_]+)", text) if found != "HOME"]
    return f"`{_code(value)}`" + "".join(f", or the variable `{found}`" for found in variables)


def _is_training(name: str) -> bool:
    return makes_another_training(name) or any(map(_is_training, taken_from().get(name, ())))


def _of_train(read: Callable[[Path, str], dict[str, Any]]) -> dict[str, Any]:
    """What the files behind ``train`` say, of each group those of the option shown."""
    found: dict[str, Any] = {}
    for group, option in _SHOWN.items():
        found |= read(conf_dir() / group / f"{option}.yaml", group)
    return found | read(conf_dir() / "train.yaml", "")


def _of(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.startswith(f"{group}.")}


def _typed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}={_code(value)}`" for name, value in values.items())


def _code(value: object) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(_code, value))}]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _markdown(text: str) -> str:
    """A comment with the names in it set as code."""
    places, settings = r"<\S+>", r"\+?(?:hydra/)?(?:[a-z]+\.)*[a-z_]+=(?:<\w+>|[\w.-]*\w)?"
    names = r"[a-z]+(?:\.[a-z_]+)+|[a-z]+(?:_[a-z0-9]+)+"
    pattern = rf"(?<![\w/.-])({settings}|{places}|{names})"
    parts = text.split("`")  # every second one is code already
    return "`".join(
        part if number % 2 else re.sub(pattern, r"`\1`", part) for number, part in enumerate(parts)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(words: Sequence[str]) -> int:
    """Write the page, or compare it with what would be written.

    Returns:
        Exit status.
    """
    text = page()
    if "--check" not in words:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"error: {PAGE} is not up to date; write it with: {COMMAND}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
