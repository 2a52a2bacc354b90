"""The figures of a run from its stored results."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reporting.fake_runs import make_run

from cyclegan_ad.display.overlay import overlay_scale
from cyclegan_ad.evaluation import figures
from cyclegan_ad.evaluation.figures import draw_figures, figure_names
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import examples_fingerprint, read_examples
from cyclegan_ad.runs.results import read_results


def test_each_score_has_a_histogram_and_with_abnormal_images_curves(tmp_path: Path) -> None:
    run = RunDirectory(make_run(tmp_path, columns=["sse", "fid"]))
    stored = read_results(run.path)
    draw_figures(run, stored.rows, stored.metrics, ["sse"])
    assert sorted(figure_names(["sse"], True)) == [
        "rates_sse.png",
        "reconstruction.png",
        "roc_sse.png",
        "scores_sse.png",
    ]
    assert sorted(path.name for path in run.figures.iterdir()) == sorted(
        figure_names(["sse"], True)
    )
    for path in run.figures.iterdir():
        with Image.open(path) as picture:
            assert picture.width >= 2 * 390  # sharp on a phone
    assert figure_names(["sse"], False) == ["reconstruction.png", "scores_sse.png"]


def test_normal_images_alone_have_no_curves(tmp_path: Path) -> None:
    run = RunDirectory(make_run(tmp_path, columns=["sse"]))
    stored = read_results(run.path)
    normal = [row for row in stored.rows if row["label"] == 0]
    metrics = json.loads(json.dumps(stored.metrics))
    metrics["scores"]["sse"]["zfn_threshold"] = None
    metrics |= {"protocol": "quantile", "protocols": {"quantile": {"sse": {"thresholds": [1.0]}}}}
    with np.load(run.path / "examples.npz") as file:
        kept = file["labels"] == 0
        arrays = {name: file[name][kept] for name in file.files}
    np.savez_compressed(run.path / "examples.npz", **arrays)
    metrics["fingerprints"]["examples.npz"] = examples_fingerprint(run.path)
    draw_figures(run, normal, metrics, ["sse"])
    assert {path.name for path in run.figures.iterdir()} == set(figure_names(["sse"], False))


def test_examples_are_judged_at_the_threshold_of_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory(make_run(tmp_path, columns=["sse"]))
    stored = read_results(run.path)
    drawn: list[dict[str, Any]] = []

    def keep(
        images: Any, made: Any, maps: Any, labels: Any, captions: Any, path: Path, **more: Any
    ) -> None:
        drawn.append({"maps": maps, "labels": labels, "captions": captions} | more)

    monkeypatch.setattr(figures, "reconstruction_figure", keep)
    metrics = stored.metrics | {"protocol": "crossfit"}
    figures.draw_examples(run, stored.rows, metrics)
    (found,) = drawn
    saved = read_examples(run.path)
    assert found["captions"] == [
        p for p, c in zip(saved.paths, saved.critical, strict=True) if not c
    ]
    judged = found["judged"]
    scores = {row["path"]: row["sse"] for row in stored.rows}
    assert judged.scores == [scores[path] for path in found["captions"]]
    assert judged.threshold == min(metrics["protocols"]["crossfit"]["sse"]["thresholds"])
    assert found["scale"] == overlay_scale(found["maps"], found["labels"])
    assert found["map_shows"] == "squared difference of image and reconstruction"
