"""Run the cases one after the other, each in a process of its own, within the time limit."""

import contextlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from cyclegan_ad.display.numbers import duration
from experiments.benchmarks.plan import Case

Answer = dict[str, Any]
Ask = Callable[[Case, str, float], Answer]

# Limit of a case, as a multiple of its expected time, so that the others are measured, too.
_PATIENCE = 4

# Module and function that measure each kind of case.
_MEASURES = {
    "matrix_product": "machine:measure_products",
    "training": "training:measure_training",
    "memory": "training:measure_memory",
    "input": "input_pipeline:measure_input",
    "scoring": "scoring:measure_scoring",
    "detector": "detector:measure_detector",
    "start_up": "commands:measure_start_up",
    "demo": "commands:measure_demo",
    "scaling": "commands:measure_scaling",
}


class CaseFailed(Exception):
    """A case could not be measured; the message is one line."""


def run_cases(
    cases: Sequence[Case], device: str, limit_s: float, ask: Ask, tell: Callable[[str], object]
) -> tuple[dict[str, Answer], dict[str, str]]:
    """Measure cases.

    Args:
        cases: Cases in the order of measurement.
        device: ``cpu`` or ``cuda``.
        limit_s: Seconds for all cases; those that would exceed it are left out.
        ask: Measures a case, see :func:`ask_worker`.
        tell: Called with a line for each case.

    Returns:
        The answers by name, with kind, settings and seconds of the case; and by name the reasons
        of cases left out.
    """
    start = monotonic()
    answers: dict[str, Answer] = {}
    left_out: dict[str, str] = {}
    for number, case in enumerate(cases, start=1):
        begun = monotonic()
        left_s = limit_s - (begun - start)
        if case.expected_s > left_s:
            needed = f"about {case.expected_s:.0f} s needed"
            said = left_out[case.name] = f"left out: {needed}, {max(0.0, left_s):.0f} s left"
        else:
            try:
                answer = ask(case, device, min(left_s, _PATIENCE * case.expected_s))
            except TimeoutError as error:
                said = left_out[case.name] = f"left out: {error}"
            except CaseFailed as error:
                said = left_out[case.name] = f"failed: {error}"
            else:
                seconds = round(monotonic() - begun, 1)
                said = f"{seconds:.0f} s"
                described = {"kind": case.kind, "settings": case.settings, "seconds": seconds}
                answers[case.name] = described | answer
        to_go_s = sum(later.expected_s for later in cases[number:])
        to_go_s = max(0.0, min(to_go_s, limit_s - (monotonic() - start)))
        tell(f"[{number}/{len(cases)}] {case.name}: {said}; about {duration(to_go_s)} to go")
    return answers, left_out


def ask_worker(case: Case, device: str, limit_s: float) -> Answer:
    """Measure one case in a new process, which is stopped after ``limit_s`` seconds.

    Returns:
        ``samples`` (seconds by way) and ``facts``.

    Raises:
        CaseFailed: If it fails.
        TimeoutError: If it takes longer.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.benchmarks.runner", json.dumps(asdict(case)), device],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # the process group that is stopped
    )
    try:
        output = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"stopped after {limit_s:.0f} s") from None
    finally:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if process.returncode:
        raise CaseFailed(f"its process ended with exit code {process.returncode}")
    answer: Answer | str = json.loads(output.splitlines()[-1])
    if isinstance(answer, str):
        raise CaseFailed(answer)
    return answer


def measure(case: Case, device: str) -> Answer | str:
    """Measure a case in this process; return the answer, or the error as one line."""
    try:
        import torch

        from cyclegan_ad.device import prepare_process
        from experiments.benchmarks.timing import Timer

        prepare_process()
        function = pkgutil.resolve_name(f"experiments.benchmarks.{_MEASURES[case.kind]}")
        timer = Timer(torch.device(device), case.budget_s, case.min_rounds)
        samples, facts = function(timer, **case.settings)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return {"samples": samples, "facts": facts}


if __name__ == "__main__":
    print(f"\n{json.dumps(measure(Case(**json.loads(sys.argv[1])), sys.argv[2]))}")
