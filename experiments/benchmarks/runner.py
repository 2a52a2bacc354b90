"""Runs the cases one after the other, each in a process of its own, within the time there is."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cyclegan_ad.display.terminal import duration
from experiments.benchmarks.commands import ROOT
from experiments.benchmarks.matrix_product import PREFIX
from experiments.benchmarks.plan import UNKNOWN_RATES, Case
from experiments.benchmarks.timing import spread

Answer = dict[str, Any]
Ask = Callable[[dict[str, Any], float], Answer]

# A case that hangs is ended so long after the time of the whole benchmark.
_PATIENCE_S = 15.0


class CaseFailed(Exception):
    """A case could not be measured; the message is one line."""


def run_cases(
    cases: Sequence[Case],
    device: str,
    limit_s: float,
    *,
    ask: Ask,
    tell: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Answer], dict[str, str]]:
    """Measure the cases.

    Args:
        cases: In their order.
        device: ``cpu`` or ``cuda``.
        limit_s: What all of them may take; those that would take longer are left out.
        ask: Measures the case of a request, such as :func:`ask_worker`.
        tell: Gets a line for each case.
        clock: Seconds, rising; for tests.

    Returns:
        Answer of each case by name, with its title, settings and seconds; and why others have none.
    """
    start = clock()
    rates: dict[str, float] = {}
    answers: dict[str, Answer] = {}
    left_out: dict[str, str] = {}
    width = max(len(case.title) for case in cases)
    for number, case in enumerate(cases, start=1):
        begun, prefix = clock(), f"[{number:2d}/{len(cases)}] {case.title:<{width}}"
        needed_s, rest_s = case.needed_s(rates), limit_s - (begun - start)
        if needed_s > rest_s:
            left_out[case.name] = (
                f"left out: about {needed_s:.0f} s are needed, {max(0.0, rest_s):.0f} s were left"
            )
            tell(f"{prefix}  {left_out[case.name]}")
            continue
        try:
            answer = ask(_request(case, device), rest_s + _PATIENCE_S)
        except CaseFailed as error:
            left_out[case.name] = f"failed: {error}"
            tell(f"{prefix}  {left_out[case.name]}")
            continue
        seconds = clock() - begun
        answers[case.name] = {
            "kind": case.kind,
            "title": case.title,
            "settings": case.settings,
            "seconds": round(seconds, 1),
            **answer,
        }
        rates |= _rates(answer)
        expected_s = sum(later.expected_s(rates) for later in cases[number:])
        to_come_s = min(expected_s, max(0.0, limit_s - (clock() - start)))
        tell(f"{prefix}  {seconds:4.0f} s   about {duration(to_come_s)} to go")
    return answers, left_out


def ask_worker(request: dict[str, Any], limit_s: float) -> Answer:
    """Measure one case in a process of its own.

    Args:
        request: See :mod:`experiments.benchmarks.worker`.
        limit_s: The process is ended after so long.

    Returns:
        Its answer.

    Raises:
        CaseFailed: If it ends with an error, or takes longer.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        worker = subprocess.Popen(
            [sys.executable, "-m", "experiments.benchmarks.worker", str(asked), str(answered)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that what it started can be ended with it
        )
        try:
            _, errors = worker.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise CaseFailed(f"ended after {limit_s:.0f} s") from None
        finally:
            _end(worker)
        if worker.returncode != 0:
            raise CaseFailed((errors.strip().splitlines() or ["it said nothing"])[-1])
        answer: Answer = json.loads(answered.read_text(encoding="utf-8"))
        return answer


def _end(worker: "subprocess.Popen[str]") -> None:
    """End a worker that is still there, and what it started."""
    if worker.poll() is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(worker.pid, signal.SIGKILL)
    else:
        worker.kill()
    worker.wait()


def _request(case: Case, device: str) -> dict[str, Any]:
    return {
        "kind": case.kind,
        "settings": case.settings,
        "device": device,
        "budget_s": case.budget_s,
        "at_least": case.at_least,
    }


def _rates(answer: Answer) -> dict[str, float]:
    """FLOP a second of the matrix products among the samples."""
    facts = answer["facts"]
    return {
        precision: facts["product_flop"] / spread(answer["samples"][PREFIX + precision]).median
        for precision in UNKNOWN_RATES
        if PREFIX + precision in answer["samples"]
    }
