"""Cases one after the other, in processes of their own, within the time there is."""

import os
import time
from typing import Any

import pytest
from measured import answer

from experiments.benchmarks.plan import Case, products_case, training
from experiments.benchmarks.runner import CaseFailed, ask_worker, run_cases

EASY = Case("easy", "demo", "easy", {"words": []}, 0.0, 1, 1.0)


def request(kind: str, **settings: Any) -> dict[str, Any]:
    return {"kind": kind, "settings": settings, "device": "cpu", "budget_s": 0.0, "at_least": 1}


def test_what_takes_too_long_or_fails_is_left_out_and_the_others_go_on() -> None:
    now, lines = [0.0], []

    def ask(asked: dict[str, Any], limit_s: float) -> dict[str, Any]:
        now[0] += 30.0
        if asked["kind"] == "scoring":
            raise CaseFailed("out of memory")
        return answer(asked)

    large = training("cpu", 256, 16, ["textbook"], 1.0)
    broken = Case("broken", "scoring", "broken", {"score": "fid"}, 0.0)
    answers, left_out = run_cases(
        [products_case(["float32", "bf16"]), large, broken, EASY],
        "cpu",
        200.0,
        ask=ask,
        tell=lines.append,
        clock=lambda: now[0],
    )
    assert list(answers) == ["matrix_product", "easy"]
    assert answers["easy"]["seconds"] == 30.0 and answers["easy"]["title"] == "easy"
    assert left_out["broken"] == "failed: out of memory"
    # 4 x 16 pairs of 1.88 TFLOP at 75 % of the 190 GFLOP/s that the first case found.
    assert left_out["training_256px_batch16"] == (
        "left out: about 850 s are needed, 170 s were left"
    )
    assert len(lines) == 4
    assert lines[0].startswith("[ 1/4] matrix product") and lines[0].endswith("to go")


def test_a_worker_answers_from_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = ask_worker(request("matrix_product", precisions=["float32"]), 300.0)
    assert found["facts"] == {"product_flop": 4 * 2 * 2048**3}
    assert len(found["samples"]["product_float32"]) == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_worker_that_fails_says_why_in_one_line() -> None:
    with pytest.raises(CaseFailed, match=r"^ValueError: there is no case of the kind nothing$"):
        ask_worker(request("nothing"), 300.0)


def test_a_worker_that_hangs_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(CaseFailed, match="ended after 0 s"):
        ask_worker(request("matrix_product", precisions=["float32"]), 0.01)
    assert time.monotonic() - start < 60.0
