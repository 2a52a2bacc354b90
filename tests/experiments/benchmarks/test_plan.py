"""Which cases are measured where, and how long they take."""

import pytest

from experiments.benchmarks.plan import limit_s, plan


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
def test_every_plan_is_whole_and_fits_its_time(device: str, quick: bool, bf16: bool) -> None:
    cases = plan(device, bf16=bf16, devices=1, quick=quick)
    assert len({case.name for case in cases}) == len(cases)
    ways = {way for case in cases for way in case.settings.get("ways", [])}
    assert {"reference", "float32"} <= ways and ("bf16" in ways) == bf16
    kinds = {case.kind for case in cases}
    expected = {"matrix_product", "training", "input", "scoring", "detector", "start_up", "demo"}
    assert kinds == expected | (set() if quick else {"memory"})
    assert sum(case.expected_s for case in cases) < limit_s(device, quick=quick)
    if not quick:
        steps = {
            (case.settings["size_px"], case.settings["batch_size"])
            for case in cases
            if case.kind == "training"
        }
        assert {(64, 1), (64, 4), (64, 16), (256, 1), (256, 4)} <= steps


def test_scaling_is_measured_where_there_are_several_devices() -> None:
    assert plan("cuda", bf16=True, devices=4, quick=False)[-1].settings["devices"] == 4
