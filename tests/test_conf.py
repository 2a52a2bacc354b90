"""The files under ``conf``: each composes, says what the paper says, and is read and explained."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import compose_settings

from cyclegan_ad.command_line import conf_dir
from cyclegan_ad.settings import check_settings

SEVEN = ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound", "retina_oct")
PACKAGE = Path(__file__).resolve().parents[1] / "cyclegan_ad"
TRAINER_KEYS = ("accelerator", "devices", "strategy")
GROUPS = ("dataset", "logger", "method", "score", "trainer")
OPTIONS = [(path.parent.name, path.stem) for path in sorted(conf_dir().glob("*/*.yaml"))]


def compose(*words: str) -> dict[str, Any]:
    return compose_settings("train", words)


@pytest.fixture(scope="module")
def defaults() -> dict[str, Any]:
    """What the bare command composes. Do not change it."""
    return compose()


@pytest.fixture(scope="module")
def by_option() -> dict[tuple[str, str], dict[str, Any]]:
    """Option of a group -> what is composed with it. Do not change them."""
    return {(group, name): compose(f"{group}={name}") for group, name in OPTIONS}


def flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def help_of(command: str) -> str:
    content = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())
    return content["hydra"]["help"]["template"]


def test_groups_are_those_of_the_commands() -> None:
    assert tuple(sorted({group for group, _ in OPTIONS})) == GROUPS
    assert sorted(path.stem for path in conf_dir().glob("*.yaml")) == ["evaluate", "train"]


@pytest.mark.parametrize("option", OPTIONS, ids="=".join)
def test_each_option_composes_to_settings_that_pass(
    by_option: dict[tuple[str, str], dict[str, Any]], option: tuple[str, str]
) -> None:
    settings = by_option[option]
    check_settings(settings)
    group, name = option
    if group in ("dataset", "method"):
        assert settings[group]["name"] == name  # run directories and messages are named after it
    if group == "logger":
        assert settings[group]["kind"] == name


def test_defaults_of_the_bare_command(defaults: dict[str, Any]) -> None:
    check_settings(defaults)
    assert defaults["dataset"]["name"] == "demo"
    assert defaults["method"]["name"] == "cyclegan"
    assert defaults["logger"]["kind"] == "wandb"
    assert defaults["trainer"]["accelerator"] == "auto"
    assert (defaults["resolution"], defaults["seed"], defaults["overwrite"]) == (64, 0, False)
    # No download and no account: neither Inception weights nor a dataset.
    assert defaults["score"]["names"] == ["sse"]
    # Minutes on a CPU.
    assert defaults["dataset"]["copies_per_epoch"] == 1
    assert defaults["trainer"]["max_epochs"] < 50
    assert defaults["method"]["generator"]["base_channels"] < 64


@pytest.mark.parametrize("name", SEVEN)
def test_datasets_of_the_paper_have_its_settings(
    by_option: dict[tuple[str, str], dict[str, Any]], name: str
) -> None:
    settings = by_option["dataset", name]
    method, dataset = settings["method"], settings["dataset"]
    assert (method["lambda_cyc"], method["lambda_ide"]) == (10.0, 5.0)
    assert method["learning_rate"] == 2e-4
    assert method["betas"] == [0.5, 0.999]
    assert method["pool_size"] == 50
    assert method["adversarial_loss"] == "least_squares"
    assert method["decay_start_epoch"] is None  # the middle
    assert method["generator"]["base_channels"] == 64
    assert method["discriminator"]["base_channels"] == 64
    assert dataset["batch_size"] == 16
    assert settings["score"]["names"] == ["sse", "fid"]
    assert settings["score"]["extractor"] == "inception"
    is_oct = name == "retina_oct"
    assert settings["trainer"]["max_epochs"] == (50 if is_oct else 200)
    assert dataset["augmentation"] == ("flip" if is_oct else "dihedral")
    assert dataset["copies_per_epoch"] == (1 if is_oct else 9)
    assert dataset["channels"] == (3 if name in ("hazelnut", "tile", "wood") else 1)
    assert dataset["root"] is None
    assert dataset["folders"][0] == name
    assert "https://" in dataset["source"]


def test_folder_asks_for_its_place_and_scores_without_a_download(
    by_option: dict[tuple[str, str], dict[str, Any]],
) -> None:
    settings = by_option["dataset", "folder"]
    assert settings["score"]["names"] == ["sse"]
    assert "dataset.root=PATH" in settings["dataset"]["source"]


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("sse", ["sse"]),
        ("fid", ["fid"]),
        ("both", ["sse", "fid"]),
        ("fid_spatial", ["fid_spatial"]),
    ],
)
def test_a_chosen_score_overrides_that_of_the_dataset(option: str, names: list[str]) -> None:
    assert compose("dataset=screw", f"score={option}")["score"]["names"] == names
    assert compose_settings("evaluate", ["run=x", f"score={option}"])["score"]["names"] == names


def test_the_order_of_words_does_not_matter() -> None:
    words = ["trainer=cpu", "score=fid", "dataset=wood", "seed=3", "trainer.max_epochs=7"]
    assert compose(*words) == compose(*reversed(words))


@pytest.mark.parametrize(
    ("resolution", "blocks"), [(32, 6), (64, 6), (128, 6), (252, 6), (256, 9), (512, 9)]
)
def test_residual_blocks_follow_the_resolution(resolution: int, blocks: int) -> None:
    settings = compose(f"resolution={resolution}")
    assert settings["method"]["generator"]["residual_blocks"] == blocks
    check_settings(settings)


def test_settings_that_follow_others() -> None:
    settings = compose(
        "dataset=wood",
        "resolution=256",
        "dataset.base_channels=8",
        "dataset.max_epochs=5",
        "method.generator.residual_blocks=2",
    )
    assert settings["method"]["generator"] == {"base_channels": 8, "residual_blocks": 2}
    assert settings["method"]["discriminator"]["base_channels"] == 8
    assert settings["trainer"]["max_epochs"] == 5
    wider = compose("method.generator.base_channels=24")
    assert wider["method"]["discriminator"]["base_channels"] == 24


def test_folders_come_from_the_environment_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CYCLEGAN_AD_DATA", raising=False)
    monkeypatch.delenv("CYCLEGAN_AD_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/her")
    settings = compose()
    assert settings["data_dir"] == "data"
    assert settings["cache_dir"] == "/home/her/.cache/cyclegan_ad"
    monkeypatch.setenv("CYCLEGAN_AD_DATA", "/big/data")
    monkeypatch.setenv("CYCLEGAN_AD_CACHE", "/big/cache")
    settings = compose()
    assert (settings["data_dir"], settings["cache_dir"]) == ("/big/data", "/big/cache")
    assert compose("data_dir=here")["data_dir"] == "here"
    evaluate = compose_settings("evaluate", ["run=x"])
    assert (evaluate["data_dir"], evaluate["cache_dir"]) == ("/big/data", "/big/cache")


def test_trainers(by_option: dict[tuple[str, str], dict[str, Any]]) -> None:
    found = {
        name: tuple(by_option["trainer", name]["trainer"][key] for key in TRAINER_KEYS)
        for group, name in OPTIONS
        if group == "trainer"
    }
    assert found == {
        "auto": ("auto", 1, "auto"),
        "cpu": ("cpu", 1, "auto"),
        "gpu": ("gpu", 1, "auto"),
        "ddp": ("auto", "auto", "ddp"),
    }
    four = compose("trainer=ddp", "trainer.devices=4", "dataset=retina_oct", "resolution=256")
    assert four["trainer"]["devices"] == 4
    check_settings(four)


@pytest.fixture(scope="module")
def texts_in_code() -> set[str]:
    """Every text constant of the package, but for docstrings and the tables of settings.py."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "settings.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    return found


def test_every_setting_is_read(
    by_option: dict[tuple[str, str], dict[str, Any]], texts_in_code: set[str]
) -> None:
    names = {name for settings in by_option.values() for name in flatten(settings)}
    names |= set(flatten(compose_settings("evaluate", ["run=x"])))
    # Defaults that other settings take over: dataset.max_epochs becomes trainer.max_epochs.
    files = "".join(path.read_text() for path in conf_dir().rglob("*.yaml"))
    taken_over = set(re.findall(r"\$\{([\w.]+)\}", files))
    assert {"dataset.max_epochs", "dataset.base_channels", "dataset.scores"} <= taken_over
    dead = {
        name
        for name in names - taken_over
        if not set(name.split(".")) <= texts_in_code  # read as ["dataset"]["root"]
    }
    assert dead == set()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_names_every_group_and_option(command: str) -> None:
    text = " ".join(help_of(command).split())
    groups = GROUPS if command == "train" else ("score",)
    for group in groups:
        options = re.escape(group) + r" ((?:\w+ \| )*\w+)\b"
        listed = [found.split(" | ") for found in re.findall(options, text)]
        wanted = {name for of, name in OPTIONS if of == group}
        assert wanted in [set(names) for names in listed], (group, listed)


def test_help_gives_the_defaults_of_the_settings(defaults: dict[str, Any]) -> None:
    text = help_of("train")
    for name in ("resolution", "seed", "runs"):
        assert re.search(rf"^ *{name}={defaults[name]} ", text, flags=re.MULTILINE), name
    top_level = {name for name, value in defaults.items() if not isinstance(value, dict)}
    for name in top_level | set(GROUPS):
        assert re.search(rf"(^|\s){name}(=|\.\*| )", text), name


def test_help_names_every_setting_of_evaluate() -> None:
    text = help_of("evaluate")
    settings = compose_settings("evaluate", ["run=x"])
    for name in set(flatten(settings)) - {"score.names", "score.batch_size"}:
        assert re.search(rf"(^|\s){re.escape(name)}=", text), name
    assert settings["accelerator"] == "auto"


def test_commands_in_the_help_compose() -> None:
    for command in ("train", "evaluate"):
        for line in re.findall(rf"python -m cyclegan_ad\.{command}(.*)$", help_of(command), re.M):
            words = [word for word in line.split() if "=" in word]
            compose_settings(command, [word.split(",")[0] for word in words])
