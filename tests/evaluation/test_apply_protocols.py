"""Images of one group are never on both sides of a threshold."""

from typing import Any

import pytest
from errors import refuses
from tiny import compose_settings

from cyclegan_ad.evaluation import apply_protocols as module
from cyclegan_ad.evaluation.apply_protocols import apply_protocols
from cyclegan_ad.runs.results import SplitRow
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

PROTOCOL = read_settings(
    Settings, compose_settings("train", ["dataset=demo", "protocol=crossfit"])
).protocol


def images_of(groups: dict[str, str]) -> tuple[list[dict[str, Any]], list[SplitRow]]:
    """Test images of both classes: path -> group; abnormal ones begin with x."""
    labels = {path: int(path.startswith("x")) for path in groups}
    rows = [{"path": path, "label": labels[path], "sse": float(i)} for i, path in enumerate(groups)]
    split = [SplitRow(path, f"of {path}", labels[path], "test", g) for path, g in groups.items()]
    return rows, split


def test_folds_of_crossfit_keep_groups_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, split = images_of({f"{'nx'[i % 2]}{i}": f"P{i // 4}" for i in range(24)})
    given: list[list[str]] = []
    original = module.crossfit

    def kept(scores: Any, labels: Any, groups: list[str], **settings: Any) -> dict[str, Any]:
        given.append(groups)
        return original(scores, labels, groups, **settings)

    monkeypatch.setattr(module, "crossfit", kept)
    found = apply_protocols(rows, (), split, PROTOCOL, seed=0, where="run")
    assert given == [[row.group for row in split]]
    decided = found["protocols"]["crossfit"]["sse"]
    assert decided["calibration_abnormal"] == 4  # of 6 patients in 5 folds, one has two
    plain = [row._replace(group="") for row in split]
    apply_protocols(rows, (), plain, PROTOCOL, seed=0, where="run")
    assert given[1] == [row.sha256 for row in split]


def test_one_patient_is_not_enough_for_crossfit() -> None:
    rows, split = images_of({"n1": "P1", "n2": "P2", "x1": "P3", "x2": "P3"})
    with refuses(setting="protocol", value="crossfit", facts="run", remedy="protocol=paper"):
        apply_protocols(rows, (), split, PROTOCOL, seed=0, where="run")


def test_each_group_counts_once_for_the_bound_of_calibrated() -> None:
    rows, split = images_of({"n1": "P1", "n2": "P2", "x1": "P3", "x2": "P4"})
    kept = [{"path": f"k{i}", "label": 1, "sse": 9.0 + i} for i in range(4)]
    split += [SplitRow(f"k{i}", f"of k{i}", 1, "calibration", f"K{i // 2}") for i in range(4)]
    paper = PROTOCOL.model_copy(update={"name": "paper"})
    found = apply_protocols(rows, kept, split, paper, seed=0, where="run")
    assert found["protocols"]["calibrated"]["sse"]["calibration_abnormal"] == 2
