"""What is a method of the paper, and what stands beside its table."""

from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.compute.aggregate import build_study
from cyclegan_ad.reporting.compute.table2_parts import part_study
from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect


@pytest.mark.parametrize(
    ("method", "of_paper"),
    [
        (Method("cyclegan-256", "cyclegan", 256), True),
        (Method("cyclegan-64", "cyclegan", 64), True),
        (Method("cyclegan-128", "cyclegan", 128), False),
        (Method("lambda_5", "cyclegan", 64), False),
        (Method("cyclegan-64-calibrated", "cyclegan", 64), False),
        (Method("padim-256", "padim", 256), True),
        (Method("padim-64", "padim", 64), False),
        (Method("padim-256", "padim", 256, "EfficientNet-Lite0"), False),
        (Method("linear_probe-256", "linear_probe", 256), False),
        (Method("cyclegan_plus-256", "cyclegan_plus", 256), False),
    ],
)
def test_names_sizes_and_networks_of_the_paper(method: Method, of_paper: bool) -> None:
    assert method.of_paper is of_paper


def test_each_cell_is_in_one_part(tmp_path: Path) -> None:
    usual = {"columns": ["sse"], "examples": False}
    make_run(tmp_path, "cyclegan", 64, "screw", **usual)
    make_run(tmp_path, "cyclegan", 64, "screw", run="mine", **usual)
    make_run(tmp_path, "cyclegan", 64, "own", 0, "dataset=folder", "dataset.name=own", **usual)
    make_run(tmp_path, "cyclegan", 64, "tile", run="mine", **usual)
    probe = {"columns": ["probe", "probe_peak"], "examples": False}
    make_run(tmp_path, "linear_probe", 64, "screw", **probe)
    make_run(tmp_path, "linear_probe", 64, "own", 0, "dataset=folder", "dataset.name=own", **probe)
    runs = choose_consistent(collect(tmp_path)[0])[0]
    study = build_study(runs, "paper", choose_comparable(runs))
    parts = part_study(study)
    found = {
        name: [
            (dataset, method.run, column.column)
            for dataset, method, column in getattr(parts, name).entries
        ]
        for name in ("paper", "other", "own")
    }
    assert found == {
        "paper": [("screw", "cyclegan-64", "sse")],
        "other": [
            # Of a method that the paper does not have, the score it was asked for first.
            ("screw", "linear_probe-64", "probe"),
            ("screw", "mine", "sse"),
            ("tile", "mine", "sse"),
        ],
        "own": [("own", "cyclegan-64", "sse"), ("own", "linear_probe-64", "probe")],
    }
    assert parts.other.datasets == ["screw", "tile"]
    assert [method.run for method in parts.other.methods] == ["linear_probe-64", "mine"]
    assert [run.shown for run in parts.own.runs] == [
        "cyclegan-64/own/seed0",
        "linear_probe-64/own/seed0",
    ]
