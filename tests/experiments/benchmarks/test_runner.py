"""Cases one after the other, in processes of their own, within the time limit."""

from typing import Any

import pytest
from measured import answer

from experiments.benchmarks import runner
from experiments.benchmarks.plan import Case
from experiments.benchmarks.runner import CaseFailed, ask_worker, run_cases

PRODUCT = Case("product", "matrix_product", {"precisions": ["float32"]}, 0.0, 1)


def test_what_takes_too_long_or_fails_is_left_out_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, lines = [0.0], []
    monkeypatch.setattr(runner, "monotonic", lambda: now[0])

    def ask(case: Case, device: str, limit_s: float) -> dict[str, Any]:
        now[0] += 30.0
        if case.kind == "scoring":
            raise CaseFailed("out of memory")
        if case.kind == "input":
            raise TimeoutError(f"stopped after {limit_s:.0f} s")
        return answer(case, device)

    long = Case("long", "demo", {"words": []}, 100.0)
    broken = Case("broken", "scoring", {"score": "fid"}, 0.0)
    slow = Case("slow", "input", {}, 1.0)
    cases = [PRODUCT, broken, slow, long, PRODUCT]
    answers, left_out = run_cases(cases, "cpu", 190.0, ask, lines.append)
    assert answers["product"]["seconds"] == 30.0
    assert left_out == {
        "broken": "failed: out of memory",
        "slow": "left out: stopped after 44 s",
        "long": "left out: about 110 s needed, 100 s left",
    }
    assert lines[0] == "[1/5] product: 30 s; about 2:21 to go"
    assert lines[4] == "[5/5] product: 30 s; about 0:00 to go"


@pytest.mark.slow
def test_processes() -> None:
    found = ask_worker(PRODUCT, "cpu", 300.0)
    assert found["facts"] == {"product_flop": 4 * 2 * 2048**3}
    assert len(found["samples"]["product_float32"]) == 1
    with pytest.raises(CaseFailed, match="KeyError: 'nothing'"):
        ask_worker(Case("x", "nothing", {}, 0.0), "cpu", 300.0)
    with pytest.raises(TimeoutError, match="stopped after 0 s"):
        ask_worker(PRODUCT, "cpu", 0.01)
