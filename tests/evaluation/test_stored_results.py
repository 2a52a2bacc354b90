"""What the files of a run tell is believed as far as it follows from the scores."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from reporting.fake_runs import change_metrics, decide_again, make_run

from cyclegan_ad.evaluation.stored_results import StoredResults, read_stored
from cyclegan_ad.runs.directory import RunDirectory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two scores and 2 images to calibrate with. Do not change it."""
    root = tmp_path_factory.mktemp("runs")
    return make_run(root, "cyclegan", 64, "screw", 0, "protocol=calibrated", examples=False)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def read(path: Path) -> StoredResults:
    run = RunDirectory(path)
    return read_stored(run, run.read_config())


def metrics_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "metrics.json").read_text())
    return found


def test_all_that_follows_is_believed(path: Path) -> None:
    stored = read(path)
    assert stored.metrics == metrics_of(path)
    assert (len(stored.rows), len(stored.kept)) == (24, 2)
    assert (stored.unsupported, stored.doubted, stored.unused) == ({}, frozenset(), ())
    assert sorted({row.subset for row in stored.split}) == ["calibration", "test", "train"]


@pytest.mark.parametrize("settings", [{"margin": 0.05}, {"folds": 2}, {"confidence": 0.5}])
def test_decisions_by_other_settings_are_believed(path: Path, settings: dict[str, Any]) -> None:
    decide_again(path, **settings)
    stored = read(path)
    assert stored.unsupported == {}
    assert stored.metrics == metrics_of(path)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def forge(protocol: str, **changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        metrics = metrics_of(path)
        metrics["protocols"][protocol]["sse"] |= changes
        change_metrics(path, **metrics)

    return change


def rescore(file: str, factor: float) -> Callable[[Path], None]:
    """Change the first image's sse."""

    def change(path: Path) -> None:
        header, first, *others = (path / file).read_text().splitlines()
        name, label, sse, fid = first.split(",")
        first = f"{name},{label},{float(sse) * factor!r},{fid}"
        (path / file).write_text("\n".join([header, first, *others]) + "\n")

    return change


def other_image(path: Path) -> None:
    text = (path / "calibration.csv").read_text()
    trained = next(
        line.split(",")[0]
        for line in (path / "split.csv").read_text().splitlines()
        if line.startswith("bad/") and line.endswith("train")
    )
    kept = text.splitlines()[1].split(",")[0]
    (path / "calibration.csv").write_text(text.replace(kept, trained))


def from_training_to_calibration(path: Path) -> None:
    lines = (path / "split.csv").read_text().splitlines()
    i = next(i for i, line in enumerate(lines) if line.startswith("bad/") and "train" in line)
    lines[i] = lines[i].replace("train", "calibration")
    (path / "split.csv").write_text("\n".join(lines) + "\n")


BOTH = {"calibrated, score sse", "calibrated, score fid"}


@pytest.mark.parametrize(
    ("change", "what", "why"),
    [
        (forge("calibrated", misses=0), {"calibrated, score sse"}, "misses"),
        (forge("calibrated", misses=0, miss_rate=0.0), {"calibrated, score sse"}, "misses"),
        (forge("calibrated", miss_rate_bound=0.01), {"calibrated, score sse"}, "0.01"),
        (forge("calibrated", calibration_abnormal=299), {"calibrated, score sse"}, "299"),
        (forge("calibrated", thresholds=[1.0]), {"calibrated, score sse"}, "[1.0]"),
        (forge("calibrated", confidence=0.99), {"calibrated, score sse"}, "0.99"),
        (forge("crossfit", false_alarms=True), {"crossfit, score sse"}, "false_alarms"),
        (forge("crossfit", seen=1), {"crossfit, score sse"}, "seen"),
        (lambda path: (path / "calibration.csv").unlink(), BOTH, "calibration.csv"),
        (rescore("calibration.csv", 0.5), {"calibrated, score sse"}, "calibration.csv"),
        (rescore("scores.csv", 1.0000001), {"score sse"}, "scores.csv"),
        (other_image, BOTH, "calibration images"),
        (
            lambda path: (path / "calibration.csv").write_text("path,label\n") and None,
            BOTH,
            "calibration.csv",
        ),
    ],
)
def test_decisions_that_nothing_supports_are_named(
    path: Path, change: Callable[[Path], None], what: set[str], why: str
) -> None:
    # Make sure that there is a miss to be hidden.
    rescore("calibration.csv", 10)(path)
    decide_again(path)
    assert metrics_of(path)["protocols"]["calibrated"]["sse"]["misses"] > 0
    change(path)
    stored = read(path)
    assert stored.unsupported.keys() == what
    assert all(why in reason and reason.isprintable() for reason in stored.unsupported.values())
    assert stored.doubted == {name.partition("score ")[2] for name in what}
    left = {f"score {column}" for column in stored.metrics["scores"]}
    for protocol, columns in stored.metrics["protocols"].items():
        left |= {f"{protocol}, score {column}" for column in columns}
    assert not left & what
    assert {"score fid", "crossfit, score fid"} <= left


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (
            lambda path: change_metrics(
                path, scores={name: {"auroc": 1.0} for name in ("sse", "fid")}
            ),
            ("sse", "zfn_threshold", "metrics.json"),
        ),
        (lambda path: change_metrics(path, epochs=100), ("config.yaml", "epochs", "100")),
        (lambda path: change_metrics(path, run="cyclegan-64"), "'cyclegan-64'"),
        (lambda path: change_metrics(path, resolution=64.0), ("resolution", "64.0")),
        (lambda path: change_metrics(path, seed=False), ("seed", "False")),
        (lambda path: change_metrics(path, training_seconds=1.0), "training.json"),
        (lambda path: change_metrics(path, test_abnormal=13), ("12", "13")),
        (lambda path: change_metrics(path, test_abnormal=10**400), ("test_abnormal", "1000")),
        (lambda path: change_metrics(path, protocol="best"), ("protocol", "'best'")),
        (lambda path: change_metrics(path, protocol_settings=None), ("protocol_settings", "None")),
        (
            lambda path: change_metrics(
                path, protocol_settings={"folds": 5, "margin": 10**400, "confidence": 0.95}
            ),
            "protocol_settings",
        ),
        (
            lambda path: change_metrics(
                path, localisation={"pixel_auroc": 1.5, "aupro": 0.5, "masked_images": 3}
            ),
            "localisation",
        ),
        (
            lambda path: (
                (path / "training.json").write_text(
                    '{"epochs": 3, "steps": 9, "seconds": 61.5, "finished": true}'
                )
                and None
            ),
            ("200", "3"),
        ),
        (
            lambda path: replace(path / "config.yaml", "lambda_cyc: 10", "lambda_cyc: 1"),
            "config.yaml",
        ),
        (from_training_to_calibration, "split.csv"),
    ],
)
def test_files_that_are_not_of_one_run_are_refused(
    path: Path, change: Callable[[Path], None], facts: str | tuple[str, ...]
) -> None:
    change(path)
    with refuses(facts=facts) as caught:
        read(path)
    assert str(caught.value).isprintable()


def test_a_score_that_no_metrics_know_is_named(path: Path) -> None:
    metrics = metrics_of(path)
    del metrics["scores"]["fid"]
    for columns in metrics["protocols"].values():
        del columns["fid"]
    change_metrics(path, **metrics)
    stored = read(path)
    assert (stored.unused, stored.unsupported) == (("fid",), {})


def test_torch_is_not_needed(path: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from cyclegan_ad.runs.directory import RunDirectory;"
        "from cyclegan_ad.evaluation.stored_results import read_stored;"
        "run = RunDirectory(Path(sys.argv[1]));"
        "read_stored(run, run.read_config());"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
