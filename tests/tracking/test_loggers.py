"""What the loggers write, from real Lightning and W&B classes, offline."""

import csv
import os
import sys
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import wandb
from errors import refuses
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from tiny import changed_all, check_settings, compose_settings

from cyclegan_ad import optional_packages
from cyclegan_ad.tracking.loggers import (
    build_loggers,
    finish_loggers,
    flatten_metrics,
    log_decisions,
    log_final,
    log_images,
    resume_wandb,
)
from cyclegan_ad.tracking.wandb_checks import RunLabels
from cyclegan_ad.tracking.wandb_results import image_table

L = TypeVar("L", bound=Logger)

METRICS: dict[str, Any] = {
    "epochs": 3,
    "scores": {
        "sse": {"zfn_threshold": 2.5, "max_accuracy_threshold": 3.0, "auroc": 0.9},
        "fid": {"zfn_threshold": 10.0, "max_accuracy_threshold": 9.0, "auroc": 0.4},
    },
    "localisation": {"aupro": 0.8},
    "protocol": "crossfit",
    "protocols": {
        "crossfit": {
            "sse": {"thresholds": [1.0, 2.0], "misses": 1, "miss_rate": 0.5, "max_accuracy": 0.7},
            "fid": {"thresholds": [8.0, 9.0], "misses": 0, "miss_rate": 0.0, "max_accuracy": 0.6},
        },
        "calibrated": {
            "sse": {"thresholds": [3.0], "misses": 0, "miss_rate": 0.0, "max_accuracy": None},
        },
    },
}
ROWS = [
    {"path": f"{i}.png", "label": int(i > 2), "sse": float(i), "fid": float(20 - 5 * i)}
    for i in range(5)
]


FUSED: dict[str, Any] = METRICS | {
    "scores": {"fused_tta": {"zfn_threshold": 0.5, "max_accuracy_threshold": 0.7, "auroc": 0.97}},
    "protocols": {},
    "localisation": None,
    "fusions": {
        "fused_tta": {
            "terms": ["sse", "probe"],
            "weights": [0.5, 0.25],
            "intercept": -0.125,
            "auroc": {"sse": 0.8, "probe": 0.9, "fused": 0.95},
        }
    },
}
FUSED_ROWS = [
    {"path": f"{i}.png", "label": int(i > 1), "fused_tta": float(i) - 0.125} for i in range(3)
]
CONTRIBUTIONS = [
    {"path": f"{i}.png", "label": int(i > 1), "fused_tta:sse": 0.5 * i, "fused_tta:probe": 0.5 * i}
    for i in (2, 0, 1)  # in another order than the scores
]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    wandb.teardown()  # a session keeps the environment it started in


def build(kind: str, run_dir: Path, **changes: Any) -> list[Logger]:
    group = {"logger.kind": kind}
    if kind == "wandb":
        group |= {"logger.project": "cyclegan_ad", "logger.entity": None, "logger.mode": "auto"}
        group |= {"logger.log_detector": False}
        group |= {f"logger.{name}": changes.pop(name) for name in ("mode",) if name in changes}
    raw = compose_settings("train", [f"logger={kind}"])
    labels = RunLabels("cyclegan-64/demo", "seed1", ("cyclegan", "64"))
    config = {"seed": 1, "dataset": {"name": "demo"}} | changes.pop("config", {})
    assert not changes
    chosen = check_settings(changed_all(raw, group)).logger
    return build_loggers(chosen, run_dir, config=config, labels=labels)


def the(kind: type[L], loggers: list[Logger]) -> L:
    found = [logger for logger in loggers if isinstance(logger, kind)]
    assert len(found) == 1
    return found[0]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 4), "red").save(path)
    return path


def black(path: str) -> np.ndarray:
    """In place of the test image of a path."""
    return np.zeros((1, 8, 8))


def test_jobs_of_one_process_get_runs_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = []
    for seed in (0, 1):
        run_dir = tmp_path / f"seed{seed}"
        loggers = build("wandb", run_dir, config={"seed": seed})
        assert [type(logger) for logger in loggers] == [CSVLogger, WandbLogger]
        wandb_logger = the(WandbLogger, loggers)
        for logger in loggers:
            logger.log_metrics({"loss/cycle_normal": 0.5 + seed}, 7)
        run = wandb_logger.experiment
        assert run.config["seed"] == seed
        assert (run.group, run.name, run.tags) == (
            "cyclegan-64/demo",
            "seed1",
            ("cyclegan", "64"),
        )
        assert run.summary["loss/cycle_normal"] == 0.5 + seed
        assert Path(run.dir).is_relative_to(run_dir / "wandb")
        finish_loggers(loggers)
        ids.append(run.id)
        assert read_csv(run_dir / "logs" / "version_0" / "metrics.csv") == [
            {"loss/cycle_normal": str(0.5 + seed), "step": "7"}
        ]
    assert ids[0] != ids[1]
    captured = capsys.readouterr()
    assert [line[:14] for line in captured.out.splitlines()] == ["W&B: offline ("] * 2
    assert captured.err == ""


def test_a_continued_run_keeps_its_id_and_its_history(tmp_path: Path) -> None:
    ids = []
    for step in (0, 100):
        loggers = build("wandb", tmp_path)
        the(CSVLogger, loggers).log_metrics({"loss": 1.0}, step)
        ids.append(the(WandbLogger, loggers).experiment.id)
        finish_loggers(loggers, exit_code=int(step == 0))
    assert ids[0] == ids[1]
    steps = [
        read_csv(tmp_path / "logs" / f"version_{k}" / "metrics.csv")[0]["step"] for k in (0, 1)
    ]
    assert steps == ["0", "100"]


def test_final_results_reach_wandb(tmp_path: Path) -> None:
    loggers = build("wandb", tmp_path)
    figure = picture(tmp_path / "figures" / "scores_sse.png")
    seen: list[str] = []

    def read_image(path: str) -> np.ndarray:
        seen.append(path)
        return np.zeros((1, 200, 200))

    log_images(loggers, "reconstructions", figure, 100)
    log_final(loggers, METRICS, ROWS, figures={"scores_sse": figure}, read_image=read_image)
    run = the(WandbLogger, loggers).experiment
    assert run.summary["sse/auroc"] == 0.9
    assert run.summary["fid/zfn_threshold"] == 10.0
    assert run.summary["localisation/aupro"] == 0.8
    assert run.summary["sse/crossfit/miss_rate"] == 0.5
    files = Path(run.dir)
    finish_loggers(loggers)
    assert seen == ["4.png", "3.png", "2.png", "1.png", "0.png"]
    assert list((files / "media" / "images").glob("reconstructions*.png"))
    assert list((files / "media" / "images" / "figures").glob("scores_sse*.png"))
    assert list((files / "media" / "table").glob("test_images*.table.json"))
    assert list((files / "media" / "table" / "roc").glob("fid_table*.table.json"))
    assert (tmp_path / "wandb" / "artifacts").is_dir()
    assert "WANDB_DATA_DIR" not in os.environ


def test_later_results_reach_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loggers = build("wandb", tmp_path)
    first = the(WandbLogger, loggers).experiment.id
    finish_loggers(loggers)

    def again(kind: str, folder: Path, **changes: Any) -> Any:
        group = {"project": "cyclegan_ad", "entity": None, "mode": "online", "log_detector": False}
        raw = compose_settings("train", [f"logger={kind}"])
        values = {f"logger.{name}": value for name, value in (group | changes).items()}
        chosen = check_settings(changed_all(raw, values if kind == "wandb" else {})).logger
        labels = RunLabels("cyclegan-64/demo", "seed1", ("cyclegan", "64"))
        return resume_wandb(chosen, folder, config={"seed": 1}, labels=labels)

    # What was online goes on as far as it can: WANDB_MODE=offline here.
    with again("wandb", tmp_path) as found:
        log_final(found, METRICS, ROWS, figures={}, read_image=black)
        run = the(WandbLogger, found).experiment
        assert (run.id, run.summary["sse/auroc"]) == (first, 0.9)
    with again("wandb", tmp_path, mode="offline") as found:
        log_decisions(found, METRICS)
        run = the(WandbLogger, found).experiment
        assert (run.id, run.summary["sse/crossfit/miss_rate"]) == (first, 0.5)
    with again("csv", tmp_path) as found:
        assert found == []
    with again("wandb", tmp_path, mode="disabled") as found:
        assert found == []
    with again("wandb", tmp_path / "never logged") as found:
        assert found == []
    assert not (tmp_path / "never logged").exists() and not (tmp_path / "logs").exists()

    capsys.readouterr()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "none"))
    with again("wandb", tmp_path) as found:
        assert found == []
    assert "the results are in" in capsys.readouterr().out


def test_metrics_have_names_of_their_own() -> None:
    assert flatten_metrics(METRICS) == {
        "sse/zfn_threshold": 2.5,
        "sse/max_accuracy_threshold": 3.0,
        "sse/auroc": 0.9,
        "fid/zfn_threshold": 10.0,
        "fid/max_accuracy_threshold": 9.0,
        "fid/auroc": 0.4,
        "localisation/aupro": 0.8,
        "sse/crossfit/misses": 1,
        "sse/crossfit/miss_rate": 0.5,
        "sse/crossfit/max_accuracy": 0.7,
        "fid/crossfit/misses": 0,
        "fid/crossfit/miss_rate": 0.0,
        "fid/crossfit/max_accuracy": 0.6,
        "sse/calibrated/misses": 0,
        "sse/calibrated/miss_rate": 0.0,  # lists and what is unknown are left out
    }
    without = METRICS | {"localisation": None, "protocols": {}}
    assert flatten_metrics(without).keys() == {
        f"{score}/{name}"
        for score in ("sse", "fid")
        for name in ("zfn_threshold", "max_accuracy_threshold", "auroc")
    }


def test_what_decided_is_in_the_summary() -> None:
    assert flatten_metrics(FUSED) == {
        "fused_tta/zfn_threshold": 0.5,
        "fused_tta/max_accuracy_threshold": 0.7,
        "fused_tta/auroc": 0.97,
        "fused_tta/tuning_auroc": 0.95,
        "fused_tta/constant": -0.125,
        "fused_tta/sse/weight": 0.5,
        "fused_tta/sse/tuning_auroc": 0.8,
        "fused_tta/probe/weight": 0.25,
        "fused_tta/probe/tuning_auroc": 0.9,
    }


def test_what_decided_about_an_image_is_in_the_table() -> None:
    table = image_table(FUSED, FUSED_ROWS, black, CONTRIBUTIONS)
    assert table.columns[-2:] == ["fused_tta: change to normal", "fused_tta: linear probe"]
    for row in table.data:
        assert row[3] == row[-2] + row[-1] - 0.125
    assert [row[1] for row in table.data] == ["2.png", "1.png", "0.png"]


def test_contributions_reach_wandb(tmp_path: Path) -> None:
    loggers = build("wandb", tmp_path)
    log_final(loggers, FUSED, FUSED_ROWS, figures={}, read_image=black, contributions=CONTRIBUTIONS)
    run = the(WandbLogger, loggers).experiment
    assert run.summary["fused_tta/probe/weight"] == 0.25
    files = Path(run.dir)
    finish_loggers(loggers)
    [table] = (files / "media" / "table").glob("test_images*.table.json")
    assert "fused_tta: linear probe" in table.read_text()


def test_of_a_run_of_a_choice_no_test_figure_is_logged(tmp_path: Path) -> None:
    """As the choice among such runs is made by images kept out of training."""
    loggers = build("wandb", tmp_path)
    figure = picture(tmp_path / "figures" / "scores_sse.png")
    log_final(
        loggers,
        FUSED,
        FUSED_ROWS,
        figures={"scores_sse": figure},
        read_image=black,
        contributions=CONTRIBUTIONS,
        kept_out={"fused_tta": 0.95, "sse_tta": 0.625},
    )
    run = the(WandbLogger, loggers).experiment
    files, logged = Path(run.dir), dict(run.summary)
    finish_loggers(loggers)
    assert logged == {
        "fused_tta/tuning_auroc": 0.95,
        "sse_tta/tuning_auroc": 0.625,
        "fused_tta/constant": -0.125,
        "fused_tta/sse/weight": 0.5,
        "fused_tta/sse/tuning_auroc": 0.8,
        "fused_tta/probe/weight": 0.25,
        "fused_tta/probe/tuning_auroc": 0.9,
    }
    assert not (files / "media").exists()


def test_the_table_shows_names_that_are_not_utf_8() -> None:
    rows = [row | {"path": f"\udce8\r{row['path']}"} for row in ROWS]
    assert image_table(METRICS, rows, black).data[0][1] == r"\udce8\r4.png"


def test_the_table_shows_scores_and_the_decision_at_zfn() -> None:
    table = image_table(METRICS, ROWS, black)
    assert table.columns == [
        "image",
        "path",
        "class",
        "sse",
        "fid",
        "sse: decision at ZFN (optimistic)",
        "fid: decision at ZFN (optimistic)",
    ]
    assert table.data[0][1:] == ["4.png", "abnormal", 4.0, 0.0, "abnormal", "normal"]
    # A score on the threshold is abnormal.
    assert table.data[2][1:] == ["2.png", "normal", 2.0, 10.0, "normal", "abnormal"]


def test_without_abnormal_images_the_decision_is_at_the_quantile() -> None:
    undefined = {"zfn_threshold": None, "max_accuracy_threshold": None, "auroc": None}
    quantile = {"thresholds": [1.5], "false_alarm_rate_bound": 0.2}
    metrics = METRICS | {
        "scores": {"sse": undefined},
        "localisation": None,
        "protocols": {"quantile": {"sse": quantile}},
    }
    assert flatten_metrics(metrics) == {"sse/quantile/false_alarm_rate_bound": 0.2}
    table = image_table(metrics, ROWS[:3], black)
    assert table.columns[-1] == "sse: decision at quantile"
    assert [row[-1] for row in table.data] == ["abnormal", "normal", "normal"]


def test_a_large_test_set_is_thinned_evenly() -> None:
    rows = [{"path": str(i), "label": 0, "sse": float(i), "fid": 0.0} for i in range(1000)]
    shown = [row[3] for row in image_table(METRICS, rows, black).data]
    assert len(shown) == 200
    assert (shown[0], shown[-1]) == (999.0, 0.0)
    assert max(np.abs(np.diff(shown))) <= 6


def test_tensorboard_gets_curves_pictures_and_metrics(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    figure = picture(tmp_path / "a.png")
    for step in (1, 2):
        loggers = build("tensorboard", tmp_path)
        the(TensorBoardLogger, loggers).log_metrics({"loss": 0.5 * step}, step)
        finish_loggers(loggers)
    loggers = build("tensorboard", tmp_path)
    log_images(loggers, "picture", figure, 5)
    log_final(loggers, METRICS, ROWS, figures={"scores_sse": figure}, read_image=black)
    finish_loggers(loggers)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in events.Scalars("loss")] == [0.5, 1.0]
    assert events.Scalars("sse/auroc")[0].value == pytest.approx(0.9)
    assert events.Scalars("sse/crossfit/misses")[0].value == 1
    assert set(events.Tags()["images"]) == {"picture", "figures/scores_sse"}


def test_a_missing_tensorboard_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda _: None)
    with refuses(remedy="pip install tensorboard"):
        build("tensorboard", tmp_path)


def test_csv_and_none_leave_wandb_alone(tmp_path: Path) -> None:
    assert build("none", tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
    loggers = build("csv", tmp_path / "csv")
    assert [type(logger) for logger in loggers] == [CSVLogger]
    log_images(loggers, "a", picture(tmp_path / "a.png"), 0)
    log_final(loggers, METRICS, ROWS, figures={}, read_image=black)
    finish_loggers(loggers)
    assert not (tmp_path / "csv" / "wandb").exists()


def test_disabled_wandb_leaves_the_csv_file(tmp_path: Path) -> None:
    loggers = build("wandb", tmp_path, mode="disabled")
    assert [type(logger) for logger in loggers] == [CSVLogger]


def test_other_ranks_start_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan_ad.tracking.loggers.rank_zero_only.rank", 1)
    loggers = build("wandb", tmp_path)
    the(WandbLogger, loggers).log_metrics({"loss": 1.0}, 1)
    log_final(loggers, METRICS, ROWS, figures={}, read_image=black)
    finish_loggers(loggers)
    assert not list(tmp_path.glob("wandb/*"))


def test_wandb_is_only_imported_where_used() -> None:
    import subprocess

    code = "import cyclegan_ad.tracking.wandb_run, sys; sys.exit('wandb' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
