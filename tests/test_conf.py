"""The files under ``conf``: each composes, says what the paper says, and is read and explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import OVERRIDES, compose_settings, draw_folder
from yaml.representer import SafeRepresenter

from cyclegan_ad import job, run_evaluation
from cyclegan_ad.command_line import conf_dir
from cyclegan_ad.evaluate import evaluate
from cyclegan_ad.run_directory import RunDirectory
from cyclegan_ad.settings import check_settings

SEVEN = ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound", "retina_oct")
TRAINER_KEYS = ("accelerator", "devices", "strategy")
GROUPS = ("dataset", "logger", "method", "protocol", "score", "trainer")
# column and experiment are added with +, see tests/experiments.
OPTIONS = [
    (path.parent.name, path.stem)
    for path in sorted(conf_dir().glob("*/*.yaml"))
    if path.parent.name not in ("column", "experiment")
]


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


# Leaves of conf/train.yaml that a job need not read, because the configuration itself does: each is
# a dataset's default for the setting named, which the job reads.
TAKEN_OVER = {
    "dataset.scores": "score.names",
    "dataset.max_epochs": "trainer.max_epochs",
    "dataset.base_channels": "method.generator.base_channels",
    "dataset.learning_rate": "method.learning_rate",
}


class Recording(dict):
    """Settings that note the dotted name of each value taken by name; copying all is no note."""

    def __init__(self, values: dict[str, Any], noted: set[str], prefix: str = "") -> None:
        super().__init__(values)
        self.noted, self.prefix = noted, prefix
        for key, value in values.items():
            if isinstance(value, dict):
                self[key] = Recording(value, noted, f"{prefix}{key}.")

    def __getitem__(self, key: str) -> Any:
        self.noted.add(self.prefix + key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.noted.add(self.prefix + key)
        return super().get(key, default)

    def __or__(self, changes: dict[str, Any]) -> "Recording":
        return Recording(dict(self.items()) | changes, self.noted, self.prefix)


def test_every_setting_is_read_by_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "data" / "brain_mri")
    (root / "normal").rename(root / "no")
    (root / "abnormal").rename(root / "yes")
    words = [
        *(word for word in OVERRIDES if word not in ("dataset=folder", "logger=none")),
        "dataset=brain_mri",  # found under data_dir, by its folders
        "logger=wandb",
        "logger.mode=offline",
        "score=sse",
        "overwrite=true",
        "trainer.max_epochs=1",
        *(f"{name}={tmp_path / name}" for name in ("runs", "cache_dir")),
        f"data_dir={tmp_path / 'data'}",
    ]
    settings = compose(*words)
    earlier = RunDirectory.of(settings)  # which overwrite=true replaces
    earlier.path.mkdir(parents=True)
    earlier.config.write_text("seed: 7\n")
    noted: set[str] = set()
    monkeypatch.setattr(job, "build_loggers", lambda *_, **__: [])
    monkeypatch.setitem(
        SafeRepresenter.yaml_representers, Recording, SafeRepresenter.represent_dict
    )

    job.run_job(Recording(settings, noted))  # not by train(), whose checks read nearly everything

    assert set(flatten(settings)) - noted == TAKEN_OVER.keys()


@pytest.mark.parametrize("name", TAKEN_OVER)
def test_defaults_of_a_dataset_are_taken_over(name: str) -> None:
    value: Any = compose(f"{name}=[9]")
    for part in TAKEN_OVER[name].split("."):
        value = value[part]
    assert value == [9]


def test_every_setting_of_evaluate_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.checkpoint.parent.mkdir(parents=True)
    run.checkpoint.touch()
    run.training.write_text(json.dumps({"epochs": 1, "steps": 1, "seconds": 1, "finished": True}))
    run.config.write_text(yaml.safe_dump(compose("dataset=folder")))
    given = {
        "run": str(run.path),
        "score.names": ["fid_spatial"],
        "score.extractor": "efficientnet_lite0",
        "score.batch_size": 7,
        "data_dir": "elsewhere",
        "root": "moved",
        "cache_dir": "caches",
        "accelerator": "cpu",
    }
    settings = compose_settings("evaluate", [f"{key}={value}" for key, value in given.items()])
    assert set(flatten(settings)) == given.keys()
    taken: list[tuple[RunDirectory, dict[str, Any]]] = []
    monkeypatch.setattr(run_evaluation, "evaluate_again", lambda *args: taken.append(args))

    evaluate(settings)

    ((where, wanted),) = taken
    assert where.path == run.path
    assert (wanted["data_dir"], wanted["cache_dir"]) == ("elsewhere", "caches")
    assert wanted["dataset"]["root"] == "moved"
    assert wanted["trainer"]["accelerator"] == "cpu"
    assert wanted["score"] == {
        "names": ["fid_spatial"],
        "extractor": "efficientnet_lite0",
        "batch_size": 7,
    }


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
