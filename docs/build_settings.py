"""Write the reference of all settings, docs/settings.md, from the files under conf/.

  python docs/build_settings.py            write the page
  python docs/build_settings.py --check    exit with 1 if the page is not up to date

Names, defaults and meanings come from conf/: the meaning of a setting is the comment above it.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from hydra import compose, initialize_config_dir

from cyclegan_ad.composing import conf_dir, register_resolvers, resolve
from cyclegan_ad.runs.directory import NOT_TRAINING, flatten

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
    "experiment": "Several jobs of the paper in one command, chosen with `+experiment=`.",
    "column": "One column of Table 2, chosen with `+column=`.",
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
    "report": "Tables and a page of finished runs.",
    "dashboard": "A W&B workspace that compares methods and datasets.",
}
_LAUNCHERS = {
    "local_parallel": "Several jobs at a time on one machine.",
    "slurm": "Jobs of a SLURM cluster.",
    "slurm_local": "The same as `slurm` on this machine, without SLURM.",
}
_COMPUTED = "see meaning"


def describe_field(name: str, value: object) -> str:
    """Say what a setting may be.

    Args:
        name: Dotted name, such as ``dataset.batch_size``.
        value: Its default.

    Returns:
        Its type in words; empty where the default does not tell.
    """
    kinds = {bool: "true or false", int: "integer", float: "number", str: "string", list: "list"}
    return kinds.get(type(value), "")


def makes_another_training(name: str) -> bool:
    """Whether a change of a setting of ``train``, by itself, makes another training."""
    return not name.startswith(NOT_TRAINING)


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *_groups(), *_train(), *_other_commands(), *_launchers()])


def _groups() -> Iterator[str]:
    yield "## Groups\n"
    for group, meaning in _GROUPS.items():
        yield f"### {group}\n\n{meaning}\n"
        rows = [[f"`{path.stem}`", about(path)] for path in _options(group)]
        yield _table(["option", "meaning"], rows)


def _train() -> Iterator[str]:
    yield "## Settings of train\n"
    comments, raw = _comments_of_train(), _raw(conf_dir() / "train.yaml")
    for group, option in _SHOWN.items():
        raw = _prefixed(group, _raw(conf_dir() / group / f"{option}.yaml")) | raw
    shared = _composed("train")
    top_level = {name: value for name, value in shared.items() if "." not in name}
    yield "### General\n"
    yield _settings_table(top_level, comments, raw)
    yield f"### dataset.*\n\nDefaults are those of `dataset={_SHOWN['dataset']}`.\n"
    yield _settings_table(_of("dataset", shared), comments, raw)
    yield "Other datasets have defaults of their own:\n"
    yield _table(["dataset", "defaults"], list(_datasets()))
    for path in _options("method"):
        yield f"### method.* of {path.stem}\n"
        in_file, about_file = _raw(path), read_comments(path)
        if "method" not in yaml.safe_load(path.read_text(encoding="utf-8")):
            in_file, about_file = _prefixed("method", in_file), _prefixed("method", about_file)
        own = _of("method", _composed("train", f"method={path.stem}"))
        yield _settings_table(own, about_file, in_file)
        others = [f"`{name}={_code(value)}`" for name, value in in_file.items() if name not in own]
        if others:
            yield f"It also sets {', '.join(others)}.\n"
    for group in ("score", "protocol", "trainer", "logger"):
        yield f"### {group}.*\n"
        yield _settings_table(_of(group, shared), comments, raw)


def _other_commands() -> Iterator[str]:
    for command, meaning in _COMMANDS.items():
        path = conf_dir() / f"{command}.yaml"
        values = _composed(command, *(["run=PATH"] if command == "evaluate" else []))
        yield f"## Settings of {command}\n\n{meaning}\n"
        comments = _comments_of_train() | read_comments(path)
        yield _settings_table(values, comments, _raw(path), training=False)


def _launchers() -> Iterator[str]:
    yield "## Launchers of sweeps\n"
    yield "Chosen with `hydra/launcher=`, see [clusters](clusters.md).\n"
    for name, meaning in _LAUNCHERS.items():
        path = conf_dir() / "hydra" / "launcher" / f"{name}.yaml"
        values = {key: value for key, value in _raw(path).items() if key != "_target_"}
        yield f"### hydra/launcher={name}\n\n{meaning}\n"
        comments = _prefixed("hydra.launcher", read_comments(path))
        rows = _prefixed("hydra.launcher", values)
        yield _settings_table(rows, comments, rows, training=False)


def _datasets() -> Iterator[list[str]]:
    for path in _options("dataset"):
        own = {
            name: value
            for name, value in _raw(path).items()
            if name not in ("name", "layout", "folders", "source")
        }
        yield [f"`{path.stem}`", " ".join(f"`{key}={_code(value)}`" for key, value in own.items())]


def _settings_table(
    values: Mapping[str, Any],
    comments: Mapping[str, str],
    raw: Mapping[str, Any],
    *,
    training: bool = True,
) -> str:
    rows = []
    for name, value in values.items():
        default = _default(name, raw.get(name, value), value)
        kind = "" if default == _COMPUTED else describe_field(name, value)
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
    return makes_another_training(name) or any(map(_is_training, _taken_from().get(name, ())))


@cache
def _taken_from() -> dict[str, list[str]]:
    """Setting -> the settings that take their default from it."""
    found: dict[str, list[str]] = {}
    for path in [conf_dir() / "train.yaml", *_options("method")]:
        prefix = "" if path.stem in ("train", "padim", "patchcore") else "method"
        for name, value in (_prefixed(prefix, _raw(path)) if prefix else _raw(path)).items():
            for source in re.findall(r"\$\{([a-z_]+(?:\.[a-z_]+)*)\}", str(value)):
                found.setdefault(source, []).append(name)
    return found


@cache
def _composed(command: str, *words: str) -> dict[str, Any]:
    """Dotted name -> default, on a machine where nothing is set in the environment."""
    register_resolvers()
    kept = {name: value for name, value in os.environ.items() if "CYCLEGAN_AD" not in name}
    words = (f"dataset={_SHOWN['dataset']}", *words) if command == "train" else words
    with (
        patch.dict(os.environ, kept | {"HOME": "~"}, clear=True),
        initialize_config_dir(str(conf_dir()), version_base="1.3"),
    ):
        return dict(flatten(resolve(compose(command, list(words)))))


def _comments_of_train() -> dict[str, str]:
    comments = read_comments(conf_dir() / "train.yaml")
    for group, option in _SHOWN.items():
        own = read_comments(conf_dir() / group / f"{option}.yaml")
        comments = _prefixed(group, own) | comments
    return comments


def read_comments(path: Path) -> dict[str, str]:
    """Dotted name of each setting of a file -> the comment above it, in one line."""
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in _body(path):
        stripped = line.strip()
        key = re.match(r"( *)([\w+]+):(?= |$)", line)
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        if key is not None:
            indent = len(key[1])
            parents = [*(one for one in parents if one[0] < indent), (indent, key[2])]
            found[".".join(name for _, name in parents)] = " ".join(comment)
        comment = []
    return {name: text for name, text in found.items() if text}


def about(path: Path) -> str:
    """The first paragraph of the comment that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = lines[: len(lines) - len(_body(path))]
    text = "\n".join(line.removeprefix("#").strip() for line in comment if "@package" not in line)
    return _markdown(" ".join(text.partition("\n\n")[0].split()))


def _body(path: Path) -> list[str]:
    """The lines of a file without the comment that it begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    while lines and lines[0].startswith("#"):
        del lines[0]
    return lines


def _raw(path: Path) -> dict[str, Any]:
    """Dotted name -> value as it stands in a file, interpolations and all."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in content.items() if name not in ("defaults", "hydra")}
    return dict(flatten(kept))


def _options(group: str) -> list[Path]:
    return sorted((conf_dir() / group).glob("*.yaml"))


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _of(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.startswith(f"{group}.")}


def _code(value: object) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(_code, value))}]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _markdown(text: str) -> str:
    """A comment with the names in it set as code."""
    places, settings = r"<\S+>", r"\+?(?:hydra/)?(?:[a-z]+\.)*[a-z_]+=(?:[\w.-]*\w)?"
    names = r"[a-z]+(?:\.[a-z_]+)+|[a-z]+(?:_[a-z0-9]+)+"
    return re.sub(rf"(?<![`\w/.-])({places}|{settings}|{names})(?!`)", r"`\1`", text)


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
