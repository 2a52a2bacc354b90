"""The files under ``conf``: each composes, says what the paper says, and is read and explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import check_settings, compose_settings, draw_folder, of_method, saved, setting

from cyclegan_ad import job
from cyclegan_ad.evaluate import evaluate
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import types as setting_types
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import Group, read_settings
from cyclegan_ad.training import train_run

SEVEN = ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound", "retina_oct")
GROUPS = ("dataset", "logger", "method", "protocol", "score", "trainer")
COMMANDS = (
    *("calibrate", "dashboard", "evaluate", "export", "inspector", "predict", "report"),
    "train",
)
# Settings without a default.
REQUIRED = {
    "evaluate": ["run=x"],
    "predict": ["detector=x", "images=x"],
    "calibrate": ["detector=x", "images=x"],
    "export": ["detector=x"],
    "inspector": ["detector=x"],
}
# These are added with +; all but preset: see tests/experiments.
ADDED = ("ablation", "column", "experiment", "preset", "row")
OPTIONS = [
    (path.parent.name, path.stem)
    for path in sorted(conf_dir().glob("*/*.yaml"))
    if path.parent.name not in ADDED
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
    # A score needs a method that has it; a quantile one that needs no abnormal images.
    more = {
        ("score", "embedding"): ["method=ganomaly"],
        ("score", "fused"): ["method=cyclegan_plus"],
        ("score", "probe"): ["method=linear_probe"],
        ("protocol", "quantile"): ["method=padim"],
        ("protocol", "crossval"): ["method=padim"],
    }
    return {
        (group, name): compose(f"{group}={name}", *more.get((group, name), []))
        for group, name in OPTIONS
    }


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
    assert tuple(sorted(path.stem for path in conf_dir().glob("*.yaml"))) == COMMANDS


@pytest.mark.parametrize("option", OPTIONS, ids="=".join)
def test_each_option_composes_to_settings_that_pass(
    by_option: dict[tuple[str, str], dict[str, Any]], option: tuple[str, str]
) -> None:
    settings = by_option[option]
    read_settings(Settings, settings)
    group, name = option
    # Run directories and messages are named after these.
    if name in ("folder", "mvtec"):
        assert setting(settings, "dataset.name") is None  # that of the folder of the images
    elif group in ("dataset", "method", "protocol"):
        assert setting(settings, f"{group}.name") == name
    if group == "logger":
        assert setting(settings, f"{group}.kind") == name


def test_defaults_of_the_bare_command(defaults: dict[str, Any]) -> None:
    check_settings(defaults)
    assert setting(defaults, "dataset.name") == "demo"
    assert setting(defaults, "method.name") == "cyclegan"
    assert setting(defaults, "logger.kind") == "wandb"
    assert setting(defaults, "trainer.accelerator") == "auto"
    assert [setting(defaults, name) for name in ("resolution", "seed")] == [64, 0]
    assert setting(defaults, "overwrite") is False
    assert setting(defaults, "protocol.name") == "paper"
    assert (setting(defaults, "score.tta"), setting(defaults, "score.peak_sigma_px")) == ("none", 2)
    # bfloat16 changes the ranking of images.
    assert setting(defaults, "score.precision") == "float32"
    # No download and no account: neither Inception weights nor a dataset.
    assert setting(defaults, "score.names") == ["sse"]
    # Minutes on a CPU.
    assert setting(defaults, "dataset.copies_per_epoch") == 1
    assert setting(defaults, "trainer.max_epochs") < 50
    assert setting(defaults, "method.generator.base_channels") < 64


@pytest.mark.parametrize("name", SEVEN)
def test_datasets_of_the_paper_have_its_settings(
    by_option: dict[tuple[str, str], dict[str, Any]], name: str
) -> None:
    settings = by_option["dataset", name]
    method, dataset = setting(settings, "method"), setting(settings, "dataset")
    assert (method["lambda_cyc"], method["lambda_ide"]) == (10.0, 5.0)
    assert method["learning_rate"] == 2e-4
    assert method["betas"] == [0.5, 0.999]
    assert method["pool_size"] == 50
    assert method["adversarial_loss"] == "least_squares"
    assert method["decay_start_epoch"] is None  # the middle
    assert method["generator"]["base_channels"] == 64
    assert method["discriminator"]["base_channels"] == 64
    assert dataset["batch_size"] == 16
    assert setting(settings, "score.names") == ["sse", "fid"]
    assert setting(settings, "score.extractor") == "inception"
    is_oct = name == "retina_oct"
    # All images train that do not test.
    assert setting(settings, "protocol.calibration_fraction") == 0
    assert setting(settings, "trainer.max_epochs") == (50 if is_oct else 200)
    assert dataset["embedding_images"] == (1000 if is_oct else None)
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
    assert setting(settings, "score.names") == ["sse"]
    assert "dataset.root=PATH" in setting(settings, "dataset.source")


@pytest.mark.parametrize(
    ("option", "names"),
    [("fid", ["fid"]), ("extensions", ["sse", "peak", "standardised"])],
)
def test_a_chosen_score_overrides_that_of_the_dataset(option: str, names: list[str]) -> None:
    assert setting(compose("dataset=screw", f"score={option}"), "score.names") == names
    again = compose_settings("evaluate", ["run=x", f"score={option}"])
    assert setting(again, "score.names") == names


@pytest.mark.parametrize("dataset", ["screw", "retina_oct"])
@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore"])
def test_baselines_have_the_settings_of_the_paper(dataset: str, method: str) -> None:
    settings = compose(f"method={method}", f"dataset={dataset}")
    check_settings(settings)
    own = setting(settings, "method")
    is_oct = dataset == "retina_oct"
    if method == "ganomaly":
        assert setting(settings, "score.names") == ["sse", "fid"]
        assert setting(settings, "trainer.max_epochs") == (50 if is_oct else 200)
        assert (own["base_channels"], own["latent_size"]) == (64, 100)
        assert (own["lambda_adv"], own["lambda_con"], own["lambda_enc"]) == (1.0, 50.0, 1.0)
        return
    assert setting(settings, "score.names") == ["embedding"]
    # One pass over the images as they are, whatever the dataset says.
    assert setting(settings, "trainer.max_epochs") == 1
    assert setting(settings, "dataset.copies_per_epoch") == 1
    assert setting(settings, "dataset.augmentation") == "none"
    assert own["pretrained"] is True and own["weights_path"] is None and own["layers"] is None
    assert own["max_train_images"] == (1000 if is_oct else None)
    if method == "padim":
        assert own["backbone"] == "resnet18"
    else:
        assert own["backbone"] == "wide_resnet50_2"
        assert (own["coreset_ratio"], own["n_neighbors"]) == (0.1, 9)


def test_a_backbone_is_taken_by_the_methods_that_have_one() -> None:
    for method in ("padim", "patchcore", "linear_probe"):
        found = compose("backbone=efficientnet_lite0", f"method={method}")
        assert setting(found, "method.backbone") == "efficientnet_lite0"
        check_settings(found)
    assert "backbone" not in setting(compose("backbone=efficientnet_lite0"), "method")


def test_protocols() -> None:
    fractions = {"paper": 0, "crossfit": 0, "calibrated": 0.2, "crossval": 0, "quantile": 0.3}
    for name, fraction in fractions.items():
        assert setting(compose(f"protocol={name}"), "protocol") == {
            "name": name,
            "folds": 5,
            "margin": 0,
            "confidence": 0.95,
            "calibration_fraction": fraction,
            "false_alarm_rate": 0.05,
            "crossval_folds": 5,
        }
        asked = compose_settings("evaluate", ["run=x", f"protocol={name}", "protocol.margin=0.1"])
        assert (setting(asked, "protocol.name"), setting(asked, "protocol.margin")) == (name, 0.1)


def test_the_preset_sets_defaults_that_typed_settings_override() -> None:
    names = {
        "method.generator.base_channels": 16,
        "dataset.copies_per_epoch": 1,
        "trainer.max_epochs": 100,
    }
    quick = compose("dataset=screw", "+preset=cpu_quick")
    check_settings(quick)
    assert {name: setting(quick, name) for name in names} == names
    usual = compose("dataset=screw")
    for name, value in names.items():
        assert setting(usual, name) > value
        typed = compose("dataset=screw", f"{name}=7", "+preset=cpu_quick")
        assert {each: setting(typed, each) for each in names} == names | {name: 7}
    # A default typed as one of the dataset counts too; methods of one pass stay so.
    typed = compose("dataset.max_epochs=7", "+preset=cpu_quick", "dataset=screw")
    assert setting(typed, "trainer.max_epochs") == 7
    assert setting(compose("+preset=cpu_quick", "method=padim"), "trainer.max_epochs") == 1
    assert "+preset=cpu_quick" in help_of("train")


def test_the_order_of_words_does_not_matter() -> None:
    words = ["trainer=cpu", "score=fid", "dataset=wood", "seed=3", "trainer.max_epochs=7"]
    assert compose(*words) == compose(*reversed(words))


@pytest.mark.parametrize(
    ("resolution", "blocks"), [(32, 6), (64, 6), (128, 6), (252, 6), (256, 9), (512, 9)]
)
def test_residual_blocks_follow_the_resolution(resolution: int, blocks: int) -> None:
    settings = compose(f"resolution={resolution}")
    assert setting(settings, "method.generator.residual_blocks") == blocks
    check_settings(settings)


def test_settings_that_follow_others() -> None:
    settings = compose(
        "dataset=wood",
        "resolution=256",
        "dataset.base_channels=8",
        "dataset.max_epochs=5",
        "method.generator.residual_blocks=2",
    )
    assert setting(settings, "method.generator") == {"base_channels": 8, "residual_blocks": 2}
    assert setting(settings, "method.discriminator.base_channels") == 8
    assert setting(settings, "trainer.max_epochs") == 5
    wider = compose("method.generator.base_channels=24")
    assert setting(wider, "method.discriminator.base_channels") == 24


def test_folders_come_from_the_environment_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CYCLEGAN_AD_DATA", raising=False)
    monkeypatch.delenv("CYCLEGAN_AD_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/her")
    settings = compose()
    assert setting(settings, "data_dir") == "data"
    assert setting(settings, "cache_dir") == "/home/her/.cache/cyclegan_ad"
    monkeypatch.setenv("CYCLEGAN_AD_DATA", "/big/data")
    monkeypatch.setenv("CYCLEGAN_AD_CACHE", "/big/cache")
    settings = compose()
    assert setting(settings, "data_dir") == "/big/data"
    assert setting(settings, "cache_dir") == "/big/cache"
    assert setting(compose("data_dir=here"), "data_dir") == "here"
    evaluate = compose_settings("evaluate", ["run=x"])
    assert setting(evaluate, "data_dir") == "/big/data"
    assert setting(evaluate, "cache_dir") == "/big/cache"


# Leaves of conf/train.yaml that a job need not read, because the configuration itself does: each is
# a default for the setting named, which the job reads.
TAKEN_OVER = {
    "backbone": "method.backbone",
    "dataset.embedding_images": "method.max_train_images",
    "dataset.scores": "score.names",
    "method.scores": "score.names",
    "method.tta": "score.tta",
    "dataset.max_epochs": "trainer.max_epochs",
    "dataset.base_channels": "method.generator.base_channels",
    "dataset.learning_rate": "method.learning_rate",
}


def record_reading(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Note the class and name of each setting that is read from now on, but by its checks."""
    noted: set[str] = set()
    checking = [False]
    plain, check = Group.__getattribute__, setting_types.read_settings

    def get(group: Group, name: str) -> Any:
        if not checking[0] and name in type(group).model_fields:
            noted.add(f"{type(group).__name__}.{name}")
        return plain(group, name)

    def read(*arguments: Any) -> Any:
        checking[0] = True
        try:
            return check(*arguments)
        finally:
            checking[0] = False

    monkeypatch.setattr(Group, "__getattribute__", get)
    monkeypatch.setattr(setting_types, "read_settings", read)
    return noted


def settings_of(group: Group, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted name of each setting, and its class and name."""
    for name, value in group:
        if isinstance(value, Group):
            yield from settings_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", f"{type(group).__name__}.{name}"


@pytest.mark.parametrize(
    ("method", "score"),
    [
        ("cyclegan", "score=both"),
        ("ganomaly", "score=sse"),
        ("padim", "score=embedding"),
        ("patchcore", "score=embedding"),
        ("linear_probe", "score=probe"),
    ],
)
def test_every_setting_is_read_by_a_job(
    method: str,
    score: str,
    tmp_path: Path,
    torch_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if method != "cyclegan":
        pytest.importorskip("anomalib", reason="extra 'baselines'")
    root = draw_folder(tmp_path / "data" / "brain_mri")
    (root / "normal").rename(root / "no")
    (root / "abnormal").rename(root / "yes")
    words = [
        *(word for word in of_method(method) if word not in ("dataset=folder", "logger=none")),
        "dataset=brain_mri",  # found under data_dir, by its folders
        "logger=wandb",
        "logger.mode=offline",
        score,
        "overwrite=true",
        "trainer.max_epochs=1",
        *(f"{name}={tmp_path / name}" for name in ("runs", "cache_dir")),
        f"data_dir={tmp_path / 'data'}",
    ]
    settings = read_settings(Settings, compose(*words))
    earlier = RunDirectory.of(settings)  # which overwrite=true replaces
    earlier.path.mkdir(parents=True)
    earlier.config.write_text("seed: 7\n")
    monkeypatch.setattr(train_run, "build_loggers", lambda logger, *_, **__: use(logger))
    noted = record_reading(monkeypatch)

    job.run_job(settings)  # not by train(), whose checks read nearly everything

    monkeypatch.undo()
    unread = {name for name, place in settings_of(settings) if place not in noted}
    # No setting, as it is written by the checks before a job; of protocol=quantile only, see
    # tests/evaluation/test_normal_only.py; of crossval only, see test_apply_crossval.py there.
    recorded = {"method.weights_sha256", "protocol.false_alarm_rate", "protocol.crossval_folds"}
    assert unread - recorded == TAKEN_OVER.keys()


def use(logger: Any) -> list[Any]:
    """Read what W&B's logger is given."""
    assert (logger.kind, logger.mode) == ("wandb", "offline")
    assert logger.project and logger.entity is None
    return []


@pytest.mark.parametrize("name", TAKEN_OVER)
def test_defaults_are_taken_over(name: str) -> None:
    method = "padim" if name in ("backbone", "dataset.embedding_images") else "cyclegan"
    assert setting(compose(f"{name}=[9]", f"method={method}"), TAKEN_OVER[name]) == [9]


def test_every_setting_of_evaluate_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.checkpoint.parent.mkdir(parents=True)
    run.checkpoint.touch()
    run.training.write_text(json.dumps({"epochs": 1, "steps": 1, "seconds": 1, "finished": True}))
    run.config.write_text(yaml.safe_dump(saved(compose("dataset=folder"))))
    given = {
        "run": str(run.path),
        "score.names": ["fid_spatial"],
        "score.extractor": "efficientnet_lite0",
        "score.batch_size": 7,
        "score.peak_sigma_px": 3,
        "score.tta": "dihedral",
        "score.precision": "bf16",
        "protocol.name": "crossfit",
        "protocol.folds": 3,
        "protocol.margin": 0.1,
        "protocol.confidence": 0.9,
        "protocol.false_alarm_rate": 0.2,
        "protocol.crossval_folds": 7,
        "data_dir": "elsewhere",
        "root": str(draw_folder(tmp_path / "moved")),
        "table": str(tmp_path / "moved.csv"),
        "cache_dir": "caches",
        "accelerator": "cpu",
    }
    (tmp_path / "moved.csv").touch()
    settings = compose_settings("evaluate", [f"{key}={value}" for key, value in given.items()])
    assert set(flatten(settings)) == given.keys() | {"protocol.calibration_fraction"}
    taken: list[tuple[RunDirectory, Settings]] = []
    monkeypatch.setattr(job, "evaluate_again", lambda *args: taken.append(args))

    evaluate(read_settings(EvaluateSettings, settings))

    ((where, made),) = taken
    wanted = made.as_dict()
    assert where.path == run.path
    assert (setting(wanted, "data_dir"), setting(wanted, "cache_dir")) == ("elsewhere", "caches")
    assert setting(wanted, "dataset.root") == given["root"]
    assert setting(wanted, "dataset.table") == given["table"]
    assert setting(wanted, "trainer.accelerator") == "cpu"
    assert setting(wanted, "score") == {
        "names": ["fid_spatial"],
        "extractor": "efficientnet_lite0",
        "batch_size": 7,
        "peak_sigma_px": 3,
        "tta": "dihedral",
        "precision": "bf16",
    }
    assert setting(wanted, "protocol") == {
        "name": "crossfit",
        "folds": 3,
        "margin": 0.1,
        "confidence": 0.9,
        "calibration_fraction": 0,  # the run's own
        "false_alarm_rate": 0.2,
        "crossval_folds": 7,
    }


@pytest.mark.parametrize(
    ("command", "groups"),
    [("train", GROUPS), ("evaluate", ("score", "protocol")), ("report", ("protocol",))],
)
def test_help_names_every_group_and_option(command: str, groups: tuple[str, ...]) -> None:
    text = " ".join(help_of(command).split())
    for group in groups:
        options = re.escape(group) + r" ((?:\w+ \| )*\w+)\b"
        listed = [found.split(" | ") for found in re.findall(options, text)]
        wanted = {name for of, name in OPTIONS if of == group}
        wanted -= {"quantile"} if command == "report" else set()  # has no accuracies
        assert wanted in [set(names) for names in listed], (group, listed)


def test_help_gives_the_defaults_of_the_settings(defaults: dict[str, Any]) -> None:
    text = help_of("train")
    for name in ("resolution", "seed", "runs"):
        assert re.search(rf"^ *{name}={defaults[name]} ", text, flags=re.MULTILINE), name
    top_level = {name for name, value in defaults.items() if not isinstance(value, dict)}
    for name in top_level | set(GROUPS):
        assert re.search(rf"(^|\s){name}(=|\.\*| )", text), name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_setting_or_its_group(command: str) -> None:
    text = help_of(command)
    settings = compose_settings(command, REQUIRED.get(command, []))
    for name in flatten(settings):
        name = name.removeprefix("decide_by.")  # see name_decision
        group, dot, _ = name.partition(".")
        pattern = rf"{re.escape(name)}=" + (rf"|{group}\.\*" if dot else "")
        listed = command == "report" and dot  # protocol.name is chosen by the group
        assert listed or re.search(rf"(^|\s)({pattern})", text, flags=re.MULTILINE), name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen(command: str) -> None:
    assert max(map(len, help_of(command).splitlines())) <= 100


def test_commands_in_the_help_compose() -> None:
    for command in COMMANDS:
        for line in re.findall(rf"python -m cyclegan_ad\.{command}(.*)$", help_of(command), re.M):
            words = [word for word in line.split() if "=" in word]
            compose_settings(command, [word.split(",")[0] for word in words])
