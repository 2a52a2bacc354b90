"""The W&B dashboard shows what is logged: its keys are those of a real run."""

import csv
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
from errors import refuses
from tiny import compose_settings, draw_folder, setting, settings

from cyclegan_ad.dashboard import dashboard
from cyclegan_ad.evaluation.apply_crossval import decide_by_crossval
from cyclegan_ad.job import run_job
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import METRICS_FORMAT, read_scores, read_split
from cyclegan_ad.settings.commands import COMMANDS
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.tracking import wandb_workspace
from cyclegan_ad.tracking.loggers import flatten_metrics
from cyclegan_ad.tracking.wandb_workspace import build_workspace, describe, plan_sections
from cyclegan_ad.training.progress import LOSSES

COLUMNS = ["sse"]


def run_dashboard(words: list[str]) -> None:
    """What the command does with these words."""
    raw = compose_settings("dashboard", words)
    dashboard(read_settings(COMMANDS["dashboard"], raw))


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


def keys_of(kind: str, columns: list[str] = COLUMNS) -> set[str]:
    return {
        key
        for section in plan_sections(columns)
        for panel in section.panels
        if panel.kind == kind
        for key in panel.keys
    }


def test_every_key_is_logged_by_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # a session keeps the environment it started in
    job = settings(
        draw_folder(tmp_path / "data"),
        tmp_path / "runs",
        "logger=wandb",
        "trainer.max_epochs=1",
        "trainer.snapshot_every_n_epochs=1",
        "trainer.log_every_n_steps=1",
    )
    metrics = run_job(job)
    run = RunDirectory.of(job)
    # A CycleGAN is not fitted again; here as if it had not seen its training images.
    unseen = [
        {"fold": 0, "path": row.path, "label": 1, "sse": 0.5}
        for row in read_split(run.path)
        if (row.subset, row.label) == ("train", 1)
    ]
    chosen = metrics["protocol_settings"]
    found = decide_by_crossval(read_scores(run.path), unseen, read_split(run.path), **chosen)
    metrics["protocols"]["crossval"] = found
    assert keys_of("bars") <= set(flatten_metrics(metrics))
    [media] = run.path.glob("wandb/offline-run-*/files/media")
    for key in keys_of("pictures"):
        assert list((media / "images").glob(f"{key}*.png")), key
    for key in keys_of("table"):
        assert list((media / "table").glob(f"{key}*.table.json")), key
    [curves] = run.path.glob("logs/version_*/metrics.csv")
    with curves.open(newline="") as file:
        logged = {name for row in csv.DictReader(file) for name, value in row.items() if value}
    of_ganomaly = {"loss/contextual", "loss/latent", "loss/adversarial", "loss/discriminator"}
    assert keys_of("lines") - of_ganomaly <= logged
    assert {key for key in logged if key.startswith("loss/")} <= keys_of("lines")
    for name in wandb_workspace.SETTINGS:
        setting(job, name)


def test_losses_are_those_of_all_methods() -> None:
    assert {key for keys in LOSSES.values() for key in keys} <= keys_of("lines")


def test_the_workspace_holds_the_panels() -> None:
    columns = ["sse", "embedding"]
    sections = plan_sections(columns)
    workspace = build_workspace(sections, columns, entity="us", project="p", name="shown")
    model = workspace._to_model()
    assert (model.entity, model.project, model.display_name) == ("us", "p", "shown")
    spec = workspace._spec["spec"]["section"]
    held = spec["panelBankConfig"]["sections"]
    assert [(s["name"], s["isOpen"]) for s in held] == [(s.title, s.is_open) for s in sections]
    assert [len(s["panels"]) for s in held] == [len(s.panels) for s in sections]
    first = held[0]["panels"][0]["config"]
    assert first["metrics"] == ["sse/zfn_accuracy"]
    assert (first["groupBy"], first["groupAgg"], first["groupArea"]) == ("group", "mean", "stddev")
    whole = json.dumps(held)
    for kind in ("bars", "lines", "pictures", "table"):
        for key in keys_of(kind, columns):
            assert f'"{key}"' in whole, key
    [runs] = spec["runSets"]
    assert [group["name"] for group in runs["grouping"]] == [
        "dataset.value.name",
        "method.value.name",
    ]
    assert {
        "config:dataset.value.name",
        "config:method.value.name",
        "config:seed.value",
        "summary:embedding/zfn_accuracy",
    } <= set(runs["runFeed"]["columnPinned"])


def test_a_dry_run_prints_the_layout_without_account_or_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    words = ["dry_run=true", "entity=us", "columns=[sse]", "runs=nowhere"]
    run_dashboard(words)
    out = capsys.readouterr().out
    assert out.startswith("'Methods against datasets' in us/cyclegan_ad:\n")
    assert out.endswith("\n".join(describe(plan_sections(["sse"]))) + "\n")
    for key in keys_of("bars") | keys_of("lines") | keys_of("pictures") | keys_of("table"):
        assert key in out


def finish_run(place: Path, scores: list[str]) -> None:
    place.mkdir(parents=True)
    content = {"format": METRICS_FORMAT, "scores": {score: {} for score in scores}}
    (place / "metrics.json").write_text(json.dumps(content))


def test_a_dry_run_shows_the_columns_of_the_runs_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish_run(tmp_path / "runs" / "a" / "demo" / "seed0", ["peak_2px", "fid"])
    finish_run(tmp_path / "runs" / "a" / "demo" / "seed1", ["sse"])
    run_dashboard(["dry_run=true"])
    out = capsys.readouterr().out
    assert out.endswith("\n".join(describe(plan_sections(["sse", "fid", "peak_2px"]))) + "\n")


def test_without_runs_there_are_no_columns() -> None:
    with refuses(facts="runs", remedy="columns=[sse,fid]"):
        run_dashboard(["dry_run=true"])


def test_the_columns_are_those_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb_workspaces.workspaces import Workspace

    asked: list[str] = []

    class Api:
        default_entity = "us"

        def runs(self, path: str) -> list[SimpleNamespace]:
            asked.append(path)
            keys = ("embedding/auroc", "mean/sse/auroc", "loss/cycle_normal")
            return [SimpleNamespace(summary=dict.fromkeys(keys, 1))] if path == "us/ours" else []

    saved: list[Workspace] = []
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb, "Api", Api)
    monkeypatch.setattr(Workspace, "save", lambda workspace: saved.append(workspace))
    monkeypatch.setattr(Workspace, "url", "https://there")
    run_dashboard(["project=ours"])
    shown = json.dumps(saved[0]._spec)
    assert asked == ["us/ours"]
    assert "embedding/zfn_accuracy" in shown and "sse/zfn_accuracy" not in shown
    with refuses(facts="us/empty", remedy="columns="):
        run_dashboard(["project=empty"])


def test_without_an_account_it_says_so() -> None:
    with refuses(remedy="wandb login"):
        run_dashboard(["entity=us", "columns=[sse]"])


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with refuses(remedy="pip install 'cyclegan-ad[dashboard]'"):
        run_dashboard(["entity=us", "columns=[sse]"])


@pytest.mark.parametrize("error", [wandb.Error("no such project\nat all"), OSError("no route")])
def test_what_wandb_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    from wandb_workspaces.workspaces import Workspace

    def refuse(self: Workspace) -> None:
        raise error

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(Workspace, "save", refuse)
    with refuses(facts=("W&B", "us/cyclegan_ad", str(error).splitlines()[0])):
        run_dashboard(["entity=us", "columns=[sse]"])


def test_it_is_saved_and_its_address_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wandb_workspaces.workspaces import Workspace

    saved: list[Workspace] = []
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(Workspace, "save", lambda workspace: saved.append(workspace))
    monkeypatch.setattr(Workspace, "url", "https://there")
    run_dashboard(["entity=us", "project=ours", "columns=[peak]"])
    [workspace] = saved
    assert (workspace.entity, workspace.project) == ("us", "ours")
    assert "peak/zfn_accuracy" in json.dumps(workspace._spec)
    assert capsys.readouterr().out == "Dashboard: https://there\n"


@pytest.mark.parametrize(
    ("word", "value", "remedy"),
    [
        ("project=null", "null", ()),
        ("name=''", "", ()),
        ("entity=3", 3, ()),
        ("dry_run=maybe", "maybe", ("true", "false")),
        ("columns=sse", "sse", "list"),
        ("columns=[]", [], ()),
    ],
)
def test_wrong_settings_are_named(word: str, value: object, remedy: str | tuple[str, ...]) -> None:
    with refuses(setting=word.partition("=")[0], value=value, remedy=remedy):
        run_dashboard([word])
