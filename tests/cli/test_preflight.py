"""What can be told without torch is told before torch is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import compose_settings, draw_folder, overrides, settings, start_run

from cyclegan_ad import optional_packages as packages
from cyclegan_ad.cli.preflight import check_scoring, check_training, claim
from cyclegan_ad.errors import UserError

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
    expected: dict[tuple[str, ...], str] = {
        ("train", "trainer.epochs=3"): "there is no setting trainer.epochs",
        ("train", "dataset=cow"): "dataset=cow is not possible",
        ("train", "resolution=66"): "resolution=66 is not possible",
        ("train", "score=embedding"): "method=cyclegan has no embedding",
        ("train", "dataset=screw", "data_dir=none"): "dataset screw: no folder that holds train/",
        ("train", "dataset=folder"): "dataset.root is missing",
        ("train", "dataset=folder", "dataset.root=none"): "dataset.root=none: no such dataset",
        ("train", "dataset.exclude=none.txt"): "dataset.exclude=none.txt cannot be read",
        ("train", "trainer.devices=4"): "trainer.devices=4 needs several processes; add trainer",
        ("train", "trainer=cpu", "trainer.precision=16-mixed"): "16-mixed needs a GPU; use bf16",
        ("train", "logger.mode=online"): "logger.mode=online, but no W&B account",
        ("train", *overrides(root, runs, "run_name=made", "seed=0", "dataset.batch_size=3")): (
            f"{made} holds a run made with dataset.batch_size=2 (now 3)"
        ),
        ("train", *overrides(root, runs, "run_name=many", "trainer=ddp", "method.pool_size=7")): (
            f"{runs / 'many' / 'folder' / 'seed0'} holds a run made with method.pool_size=50 (now 7"
        ),
        ("evaluate",): "run is missing",
        ("evaluate", "run=none"): "none is not a run directory",
        ("evaluate", f"run={made}", "score.batch_size=0"): "score.batch_size=0 is not possible",
        ("evaluate", f"run={made}", "root=none"): "dataset.root=none: no such dataset",
        ("evaluate", f"run={made}", "protocol=calibrated"): f"{made} kept no images out",
        ("report", "runs=none"): "none is not a folder",
        ("report", "protocol.name=best"): "protocol.name=best is not possible",
        ("dashboard", "columns=sse"): "columns=sse is not possible",
        ("dashboard",): "no W&B account is configured",
    }
    found = run_without_torch([list(command) for command in expected], tmp_path)
    for (command, message), (code, out, err) in zip(expected.items(), found, strict=True):
        assert (code, out) == (1, ""), command
        assert err.startswith("error: ") and err.count("\n") == 1, (command, err)
        assert message in err, (command, err)


def test_a_sweep_tells_its_mistakes_without_torch(tmp_path: Path) -> None:
    words = ["train", "-m", "resolution=66,70", "seed=0,1"]
    [(code, _, err)] = run_without_torch([words], tmp_path)
    assert code == 1
    assert [line[:20] for line in err.splitlines()] == ["error: resolution=66"] * 2 + [
        "error: resolution=70"
    ] * 2


def test_what_a_job_needs_passes(tmp_path: Path) -> None:
    check_training(settings(draw_folder(tmp_path / "data", 3, 3), tmp_path / "runs"))
    check_scoring(settings(tmp_path / "data", tmp_path / "runs"))
    demo = compose_settings("train", [f"cache_dir={tmp_path / 'cache'}", "logger=none"])
    check_training(demo)
    assert not (tmp_path / "cache").exists()  # drawn later, when nothing else can be wrong


def test_a_trained_run_needs_neither_images_nor_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    words = ("logger=wandb", "logger.mode=online")
    job = settings(tmp_path / "gone", tmp_path / "runs", *words)
    with pytest.raises(UserError, match="no W&B account"):
        check_training(job)
    start_run(job, finished=True)
    check_training(job)


def test_auto_is_what_the_run_was_made_with(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs", "trainer=ddp", "trainer.precision=auto")
    start_run(job, finished=False, devices=4, precision="bf16-mixed")
    assert claim(job) == "unfinished"
    other = job | {"trainer": job["trainer"] | {"precision": "32-true"}}
    with pytest.raises(UserError, match=r"trainer.precision=bf16-mixed \(now 32-true\)"):
        claim(other)
    assert claim(other | {"overwrite": True}) == "new"


def test_a_damaged_run_can_be_made_anew(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs")
    start_run(job, finished=False).config.write_text("{")
    with pytest.raises(UserError, match="is damaged; make the run anew with overwrite=true"):
        claim(job)
    assert claim(job | {"overwrite": True}) == "new"


def test_a_fitted_method_takes_one_device_whatever_is_asked(tmp_path: Path) -> None:
    job = settings(tmp_path, tmp_path / "runs", "trainer.devices=4", method="padim")
    start_run(job, finished=True, devices=1)
    assert claim(job) == "trained"


@pytest.mark.parametrize(
    ("words", "method", "message"),
    [
        (
            ("logger=tensorboard",),
            "cyclegan",
            "logger=tensorboard needs tensorboard, not installed: ",
        ),
        (
            ("score=fid", "score.extractor=efficientnet_lite0"),
            "cyclegan",
            "score.extractor=efficientnet_lite0 needs efficientnet_lite_pytorch, ",
        ),
        ((), "ganomaly", "method=ganomaly needs anomalib, not installed: "),
    ],
)
def test_a_package_that_is_missing(
    words: tuple[str, ...],
    method: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = draw_folder(tmp_path / "data", 3, 3)
    job = settings(root, tmp_path / "runs", *words, method=method)
    monkeypatch.setattr(packages, "find_spec", lambda name: object())
    check_training(job)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"^{message}"):
        check_training(job)


def test_weights_that_come_as_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "data", 3, 3)
    words = ("backbone=efficientnet_lite0", "method.pretrained=true")
    job = settings(root, tmp_path / "runs", *words, method="padim")
    monkeypatch.setattr(packages, "find_spec", lambda name: None if "lite0" in name else object())
    with pytest.raises(UserError, match="backbone=efficientnet_lite0: its weights are not instal"):
        check_training(job)
    random = job | {"method": job["method"] | {"pretrained": False}}
    check_training(random)
