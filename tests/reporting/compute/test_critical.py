"""The images that decide about a run, and what they do."""

from pathlib import Path

import numpy as np
from reporting.fake_runs import make_run

from cyclegan_ad.display.thresholds import deciding_threshold
from cyclegan_ad.reporting.compute.critical import find_critical
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.read.read_run import Run
from cyclegan_ad.scoring.names import ScoreColumn

SSE = ScoreColumn("sse")


def read(runs: Path) -> Run:
    return collect(runs)[0][0]


def roles_of(run: Run) -> dict[int, tuple[str, ...]]:
    return {one.position: one.roles for one in find_critical(run, SSE)}


def test_thresholds_have_their_images(tmp_path: Path) -> None:
    make_run(tmp_path, columns=["sse"], examples=False)
    run = read(tmp_path)
    scores, abnormal = run.scores[SSE], run.labels == 1
    row, roles = run.metrics["scores"]["sse"], roles_of(run)
    assert deciding_threshold(run.metrics, "sse") == ("ZFN", row["zfn_threshold"])
    zfn = int(np.flatnonzero(abnormal & (scores == scores[abnormal].min()))[0])
    assert "sets the ZFN threshold" in roles[zfn]
    [acc] = np.flatnonzero(scores == row["max_accuracy_threshold"])
    assert "sets the ACC threshold" in roles[int(acc)]
    assert not any("missed" in role for each in roles.values() for role in each)
    above = sorted(scores[~abnormal & (scores >= row["zfn_threshold"])])
    near = [scores[i] for i, each in roles.items() if "false alarm near the ZFN threshold" in each]
    assert above and sorted(near) == above[:3]


def test_misses_are_judged_by_other_images_where_there_is_such_a_threshold(tmp_path: Path) -> None:
    make_run(tmp_path, "cyclegan", 64, "screw", 1, "protocol=calibrated", columns=["sse"],
             examples=False, per_class=30)  # fmt: skip
    run = read(tmp_path)
    decided = run.metrics["protocols"]["calibrated"]["sse"]
    assert deciding_threshold(run.metrics, "sse") == ("calibrated", decided["thresholds"][0])
    missed = np.flatnonzero((run.labels == 1) & (run.scores[SSE] < decided["thresholds"][0]))
    assert len(missed) == decided["misses"] > 0
    roles = roles_of(run)
    named = {i for i, each in roles.items() if "missed at the calibrated threshold" in each}
    assert named == set(missed[run.scores[SSE][missed].argsort()][:3].tolist())


def test_the_hardest_of_each_class_come_first(tmp_path: Path) -> None:
    make_run(tmp_path, columns=["sse"], examples=False)
    run = read(tmp_path)
    positions = [one.position for one in find_critical(run, SSE)]
    scores, labels = run.scores[SSE][positions], run.labels[positions]
    assert labels.tolist() == sorted(labels, reverse=True)
    assert scores[labels == 1].tolist() == sorted(scores[labels == 1])
    assert scores[labels == 0].tolist() == sorted(scores[labels == 0], reverse=True)
