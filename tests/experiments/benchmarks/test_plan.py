"""What is measured where, and how long it takes."""

import pytest

from experiments.benchmarks.plan import Case, limit_s, plan, products_case, training

MEASURED = {"cpu": {"float32": 190e9, "bf16": 420e9}, "cuda": {"float32": 50e12, "bf16": 700e12}}


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
def test_every_plan_has_names_of_its_own(device: str, quick: bool, bf16: bool) -> None:
    cases = plan(device, bf16=bf16, devices=1, quick=quick)
    assert len(set(names(cases))) == len(cases)
    ways = {way for case in cases for way in case.settings.get("ways", [])}
    assert ("bf16" in ways) == bf16
    assert {"textbook", "float32"} <= ways
    kinds = {case.kind for case in cases}
    assert {"training", "input", "scoring", "start_up", "demo"} <= kinds
    assert ("memory" in kinds) == (not quick)


def test_the_cases_of_the_issue() -> None:
    cpu = names(plan("cpu", bf16=True, devices=1, quick=False))
    steps = ["64px_batch1", "64px_batch4", "64px_batch16", "256px_batch1", "256px_batch4"]
    assert {f"training_{step}" for step in steps} <= set(cpu)
    assert "training_64px_batch4_compiled" in cpu
    cuda = plan("cuda", bf16=True, devices=1, quick=False)
    measured = {
        (case.settings["size_px"], case.settings["batch_size"])
        for case in cuda
        if case.kind == "training"
    }
    assert {(size, batch) for size in (64, 256) for batch in (1, 4, 16)} <= measured


@pytest.mark.parametrize(("device", "minutes"), [("cpu", 15), ("cuda", 8)])
def test_time(device: str, minutes: float) -> None:
    for quick, allowed in ((False, minutes), (True, 3.0)):
        cases = plan(device, bf16=True, devices=1, quick=quick)
        expected = sum(case.expected_s(MEASURED[device]) for case in cases)
        assert expected < limit_s(device, quick=quick) < 60 * allowed


def test_scaling_is_measured_where_there_are_several_devices() -> None:
    assert "scaling" not in names(plan("cuda", bf16=True, devices=1, quick=False))
    assert plan("cuda", bf16=True, devices=4, quick=False)[-1].settings["devices"] == 4


def test_what_a_case_takes_follows_from_its_arithmetic() -> None:
    case = training("cpu", 64, 4, ["textbook", "bf16"], 10.0)
    slow = {"float32": 10e9, "bf16": 10e9}
    pairs = 4 * 84.09e9  # of each way, in three rounds and a warm-up
    assert case.needed_s(slow) == pytest.approx(case.fixed_s + 4 * 2 * pairs / 7.5e9, rel=1e-3)
    assert case.expected_s({"float32": 1e15, "bf16": 1e15}) == pytest.approx(case.fixed_s + 10.0)
    assert case.needed_s({}) > case.fixed_s  # nothing is measured yet
    assert products_case(["float32"]).settings == {"precisions": ["float32"]}
