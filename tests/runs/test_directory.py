"""Where a run lies, and how a command may go on with it."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import compose_settings

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json, write_text
from cyclegan_ad.hardware import enter_sweep
from cyclegan_ad.runs.directory import RunDirectory, run_name
from cyclegan_ad.settings.train import Settings, training_differences
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import as_typed


@pytest.fixture(scope="module")
def composed() -> Settings:
    """All settings of a command."""
    return read_settings(Settings, compose_settings("train", ["dataset=brain_mri", "seed=3"]))


def changed(settings: Settings, name: str, value: object) -> Settings:
    """A copy with another value of a dotted name."""
    return settings.replaced({name: value})


@pytest.fixture
def settings(composed: Settings, tmp_path: Path) -> Settings:
    return changed(composed, "runs", str(tmp_path / "runs"))


@pytest.fixture
def run(settings: Settings) -> RunDirectory:
    """A run that was begun with the settings."""
    made = RunDirectory.of(settings)
    made.path.mkdir(parents=True)
    made.config.write_text(yaml.safe_dump(settings.as_dict()))
    return made


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_place_of_a_run(settings: Settings, tmp_path: Path) -> None:
    assert RunDirectory.of(settings).path == tmp_path / "runs/cyclegan-64/brain_mri/seed3"
    other = changed(changed(settings, "resolution", 256), "seed", 0)
    assert RunDirectory.of(other).path == tmp_path / "runs/cyclegan-256/brain_mri/seed0"
    named = changed(settings, "run_name", "wide")
    assert RunDirectory.of(named).path == tmp_path / "runs/wide/brain_mri/seed3"
    assert run_name(changed(settings, "run_name", 7)) == "7"
    assert run_name(changed(settings, "run_name", 0)) == "0"
    run = RunDirectory(tmp_path)
    assert run.calibration == tmp_path / "calibration.csv"
    assert run.checkpoint == tmp_path / "checkpoints" / "last.ckpt"
    assert run.detector == tmp_path / "detector"


def test_place_of_runs_may_be_in_the_home_folder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = RunDirectory.of(changed(settings, "runs", "~/runs"))
    assert at_home.path == tmp_path / "runs/cyclegan-64/brain_mri/seed3"


def test_runs_without_some_abnormal_images_have_a_place_of_their_own(tmp_path: Path) -> None:
    def place(*words: str) -> str:
        composed = compose_settings("train", ["dataset=screw", f"runs={tmp_path}", *words])
        return (
            RunDirectory.of(read_settings(Settings, composed)).path.relative_to(tmp_path).as_posix()
        )

    assert place() == place("protocol=crossfit") == "cyclegan-64/screw/seed0"
    assert place("protocol=calibrated") == "cyclegan-64-calibrated/screw/seed0"
    # What counts is what was kept out of training, not how the threshold is set.
    kept = ("protocol=paper", "protocol.calibration_fraction=0.1", "resolution=256")
    assert place(*kept) == "cyclegan-256-calibrated/screw/seed0"
    assert place("method=padim", "protocol=calibrated") == "padim-64-calibrated/screw/seed0"
    assert place("protocol=calibrated", "run_name=mine") == "mine/screw/seed0"
    few = "dataset.max_abnormal=5"
    assert place(few, "method=padim") == "few-5-padim-64/screw/seed0"
    assert place(few, "protocol=calibrated") == "few-5-cyclegan-64-calibrated/screw/seed0"
    assert place(few, "run_name=mine") == "mine/screw/seed0"


def test_nothing_there_is_a_new_run(settings: Settings) -> None:
    run = RunDirectory.of(settings)
    assert run.claim(settings) == "new"
    assert not run.path.exists()  # claiming changes nothing
    run.path.mkdir(parents=True)
    assert run.claim(settings) == "new"
    assert files(run.path) == []


def test_states_of_a_run_with_the_same_settings(run: RunDirectory, settings: Settings) -> None:
    assert run.claim(settings) == "unfinished"
    state = {"epochs": 2, "steps": 10, "seconds": 1.5, "finished": False}
    write_json(run.training, state)
    assert run.claim(settings) == "unfinished"
    assert run.read_training() == state
    epochs = settings.trainer.max_epochs
    write_json(run.training, state | {"epochs": epochs, "finished": True})
    assert run.claim(settings) == "trained"
    assert run.claim(changed(settings, "overwrite", True)) == "new"
    assert files(run.path) == ["config.yaml", "training.json"]


def test_training_that_has_not_begun(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path).read_training() == {
        "epochs": 0,
        "steps": 0,
        "seconds": 0.0,
        "finished": False,
    }


TRAINING = {
    "seed": 4,
    "resolution": 128,
    "dataset.channels": 3,
    "dataset.window": [0.0, 4095.0],
    "dataset.augmentation": "flip",
    "dataset.batch_size": 8,
    "dataset.copies_per_epoch": 1,
    "dataset.skip_unreadable": True,
    "dataset.layout": "mvtec",
    "dataset.group": "(P[0-9]+)_",
    "dataset.keep_copies_together": True,
    "dataset.max_abnormal": 5,
    "dataset.name": "mine",
    "method.generator.base_channels": 16,
    "method.generator.residual_blocks": 9,
    "method.discriminator.base_channels": 16,
    "method.adversarial_loss": "log",
    "method.lambda_cyc": 5.0,
    "method.betas": [0.9, 0.999],
    "method.decay_start_epoch": 20,
    "method.pool_size": 0,
    "method.tuning_fraction": 0.2,
    "protocol.calibration_fraction": 0.2,
    "trainer.max_epochs": 100,
    "trainer.precision": "bf16-mixed",
}
NO_TRAINING = {
    "dataset.images_on": "host",
    "trainer.compile": True,
    "trainer.compile_mode": "max-autotune",
    "trainer.activation_checkpointing": True,
    "score.names": ["fid_spatial"],
    "score.extractor": "efficientnet_lite0",
    "score.batch_size": 1,
    "score.peak_sigma_px": 3,
    "score.tta": "dihedral",
    "protocol.name": "crossfit",
    "protocol.folds": 10,
    "protocol.confidence": 0.99,
    "method.scores": ["sse"],
    # Defaults of what is compared itself.
    "backbone": "resnet18",
    "dataset.embedding_images": 7,
    "dataset.max_epochs": 7,
    "dataset.base_channels": 7,
    "dataset.learning_rate": 7.0,
    "logger.project": "other",
    "runs": "elsewhere",
    "run_name": "other",
    "data_dir": "/moved/data",
    "cache_dir": "/moved/cache",
    "dataset.scores": ["sse"],
    "dataset.root": "/moved/data/brain",
    "dataset.folders": ["brain"],
    "dataset.source": "somewhere else",
    "dataset.storage": "disk",
    "dataset.memory_limit_mib": 1,
    "dataset.exclude": "list.txt",
    "trainer.strategy": "ddp",
    "trainer.accelerator": "cpu",
    "trainer.log_every_n_steps": 1,
    "trainer.checkpoint_every_n_epochs": 5,
    "trainer.snapshot_every_n_epochs": 0,
    "trainer.auroc_every_n_epochs": 0,
}


@pytest.mark.parametrize("name", TRAINING)
def test_another_training_is_refused_by_name(
    run: RunDirectory, settings: Settings, name: str
) -> None:
    now = changed(settings, name, TRAINING[name])
    [(found, old, new)] = training_differences(settings.training(), now.training())
    assert (found, new) == (name, TRAINING[name])
    with pytest.raises(UserError) as caught:
        run.claim(now)
    message = str(caught.value)
    assert f"{run.path} contains a run" in message
    assert f"{name}={as_typed(old)} (now {as_typed(new)})" in message
    assert "run_name=NAME" in message and "overwrite=true" in message


def test_a_start_that_trained_nothing_makes_way_for_other_settings(
    run: RunDirectory, settings: Settings
) -> None:
    run.split.touch()
    run.environment.touch()
    other = changed(settings, "trainer.precision", "bf16-mixed")
    assert run.claim(other) == "new"
    assert run.claim(settings) == "unfinished"
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    with pytest.raises(UserError, match=r"trainer.precision=auto \(now bf16-mixed\)"):
        run.claim(other)


@pytest.mark.parametrize("name", NO_TRAINING)
def test_settings_that_do_not_change_the_training(
    run: RunDirectory, settings: Settings, name: str
) -> None:
    now = changed(settings, name, NO_TRAINING[name])
    assert now != settings
    assert run.claim(now) == "unfinished"
    assert training_differences(settings.training(), now.training()) == []


@pytest.mark.parametrize("dataset", ["retina_oct", "brain_mri", "hazelnut", "demo"])
def test_settings_survive_the_file_they_are_kept_in(tmp_path: Path, dataset: str) -> None:
    words = [f"dataset={dataset}", f"runs={tmp_path}", "method.learning_rate=1e-5"]
    settings = read_settings(Settings, compose_settings("train", words))
    run = RunDirectory.of(settings)
    write_text(run.config, yaml.safe_dump(settings.as_dict()))
    assert run.read_config() == settings
    assert run.claim(settings) == "unfinished"


def test_settings_of_an_earlier_version_are_refused(run: RunDirectory, settings: Settings) -> None:
    old = settings.as_dict()
    del old["protocol"]
    run.config.write_text(yaml.safe_dump(old))
    with pytest.raises(UserError, match=r"config\.yaml is damaged \(missing setting protocol"):
        run.claim(settings)


def test_settings_that_were_written_are_not_replaced(run: RunDirectory, settings: Settings) -> None:
    own = settings.replaced(
        {"protocol.name": "crossfit", "protocol.margin": 0.25, "score.tta": "dihedral"}
    )
    run.config.write_text(yaml.safe_dump(own.as_dict()))
    assert run.read_config() == own


def test_a_foreign_folder_is_refused(settings: Settings) -> None:
    run = RunDirectory.of(settings)
    run.path.mkdir(parents=True)
    (run.path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"files but no config\.yaml.*run_name=NAME") as caught:
        run.claim(settings)
    assert str(run.path) in str(caught.value)
    assert (run.path / "thesis.tex").read_text() == "years of work"


def test_a_file_in_the_place_of_a_run_is_refused(settings: Settings) -> None:
    run = RunDirectory.of(settings)
    run.path.parent.mkdir(parents=True)
    run.path.write_text("a file")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"is a file; use another path"):
            run.claim(changed(settings, "overwrite", overwrite))


@pytest.mark.parametrize(
    "left",
    [
        ["split.csv"],
        ["split.csv", "environment.json"],
        [".split.csv.x8k2"],
        ["split.csv", ".environment.json.ab"],
        ["split.csv", "environment.json", ".config.yaml.1"],
    ],
    ids=" ".join,
)
def test_a_start_that_was_killed_is_started_anew(settings: Settings, left: list[str]) -> None:
    run = RunDirectory.of(settings)
    run.path.mkdir(parents=True)
    for name in left:
        (run.path / name).write_text("half a fi")
    assert run.claim(settings) == "new"
    (run.path / "notes.txt").write_text("not a run's")
    with pytest.raises(UserError, match=r"no config\.yaml"):
        run.claim(settings)


def test_no_run_to_read(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"is not a run directory.*cyclegan_ad") as caught:
            RunDirectory(folder).read_config()
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"seed: [1",
        b"just words",
        b"- a\n- list\n",
        b"\xff\xfe\x00seed",
        b"\x00",
        b"[" * 100_000,
        b"seed: !!int ''",
        b"seed: !!timestamp x",
        b"seed: !!bool x",
        b"seed: 2024-99-99",
    ],
)
def test_damaged_settings(run: RunDirectory, settings: Settings, content: bytes) -> None:
    run.config.write_bytes(content)
    for read in (run.read_config, lambda: run.claim(settings)):
        with pytest.raises(UserError, match=r"config\.yaml is damaged.*overwrite=true"):
            read()
    assert run.claim(changed(settings, "overwrite", True)) == "new"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "&a [*a]"),  # a list that holds itself
        ("method", "&a {name: cyclegan, x: *a}"),
        ("seed", "[[1]]"),
        ("seed", "2024-01-01"),
        ("trainer", "5"),
    ],
)
def test_settings_that_are_no_numbers_and_texts(
    run: RunDirectory, settings: Settings, name: str, value: str
) -> None:
    made_with = settings.as_dict()
    del made_with[name]
    run.config.write_text(yaml.safe_dump(made_with) + f"{name}: {value}\n")
    with pytest.raises(UserError, match=r"config\.yaml is damaged"):
        run.read_config()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"epochs": 1',
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"epochs": 1, "steps": 1, "seconds": NaN, "finished": true}',
        b'{"epochs": 1, "steps": 1, "seconds": 1e400, "finished": true}',
        b'{"epochs": true, "steps": 1, "seconds": 1.0, "finished": true}',
        b'{"epochs": 1, "steps": 1, "seconds": 1.0, "finished": 1}',
        b'{"epochs": 1, "steps": 1, "seconds": 1' + b"0" * 400 + b', "finished": true}',
    ],
)
def test_damaged_state_of_the_training(
    run: RunDirectory, settings: Settings, content: bytes
) -> None:
    run.training.write_bytes(content)
    with pytest.raises(UserError, match=r"training\.json is damaged.*overwrite=true"):
        run.claim(settings)


def test_clear_deletes_the_run_and_nothing_else(run: RunDirectory) -> None:
    (run.path / "figures").mkdir()
    (run.path / "figures" / "a.png").write_text("x")
    beside = run.path.with_name("seed4") / "config.yaml"
    beside.parent.mkdir()
    beside.write_text("seed: 4")
    run.clear()
    assert not run.path.exists()
    assert files(run.path.parent) == ["seed4", "seed4/config.yaml"]
    run.clear()  # nothing left to delete


def test_a_deletion_cut_short_leaves_no_half_run(
    run: RunDirectory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.checkpoint.parent.mkdir()
    run.checkpoint.write_text("weights")

    def killed(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "rmtree", killed)
        run.clear()
    assert run.claim(settings) == "new"
    assert not run.path.exists()
    run.path.mkdir()
    run.clear()
    assert files(run.path.parent) == []  # what the first deletion left is gone too


def test_a_second_process_is_refused_while_the_first_works(run: RunDirectory) -> None:
    with (
        run.locked(),
        pytest.raises(UserError, match=r"by another process; wait until it finishes or"),
    ):
        RunDirectory(run.path).locked().__enter__()
    with run.locked():  # free again
        pass


def test_a_job_of_a_sweep_waits_for_its_turn(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.environ", {})
    enter_sweep()
    order: list[str] = []

    def second() -> None:
        with RunDirectory(run.path).locked():
            order.append("second")

    with run.locked():
        other = threading.Thread(target=second, daemon=True)
        other.start()
        said, deadline = "", time.monotonic() + 60
        while "waiting" not in said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            said += capfd.readouterr().out
        order.append("first")
    other.join(timeout=60)
    assert order == ["first", "second"]
    assert said == f"{run.path} is in use by another job; waiting until it finishes\n"
