"""How fast this machine trains and scores: textbook code against ours, in turns.

  python -m experiments.benchmark             every case: on a CPU 15 minutes, on a GPU 8 at most
  python -m experiments.benchmark --quick     the most important ones, in 3 minutes
  python -m experiments.benchmarks.readme     put the recorded results into the README

Each case is measured in a process of its own. What would take longer than these times is left out,
and named. For figures that mean something, let the machine do nothing else meanwhile.

Writes benchmark_<machine>.json (every sample, with versions and processor), .md (the table) and
.png (how cost grows with batch, pixels and images); a quick one's end in _quick.

Settings (change with name=value):
  case=A,B,...              only these cases, and nothing is written; case=list names them
  out=experiments/results   where the results are written
"""

import signal
import sys
import time
from pathlib import Path
from typing import Any

from cyclegan_ad.display.terminal import standard_error
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from experiments.benchmarks.plan import Case, limit_s, plan, products_case
from experiments.benchmarks.plot import growth_figure
from experiments.benchmarks.record import record_path, write_record
from experiments.benchmarks.runner import Ask, CaseFailed, ask_worker, run_cases
from experiments.benchmarks.table import BUSY, EXPLANATION, markdown_table, print_table
from experiments.driver import Settings, open_console, run_driver

DEFAULTS = {"quick": "false", "case": "all", "out": "experiments/results"}

_DESCRIPTION_S = 120.0


def benchmark(settings: Settings, ask: Ask = ask_worker) -> list[UserError]:
    """Measure the cases of this machine, print the table and write the record.

    Args:
        settings: Those of the module's help.
        ask: What measures a case; for tests.

    Returns:
        What could not be measured, but for what there was no time for.

    Raises:
        UserError: If a setting is wrong, or nothing can be measured at all.
    """
    start = time.monotonic()
    if settings["quick"] not in ("true", "false"):
        raise UserError(f"quick={settings['quick']} is not possible; give --quick, or leave it out")
    quick = settings["quick"] == "true"
    progress = standard_error()
    try:
        found = ask({"kind": "machine"}, _DESCRIPTION_S)
    except CaseFailed as error:
        raise UserError(f"nothing can be measured here ({error}); try make setup first") from error
    machine, device = found["machine"], found["machine"]["device"]
    precisions = ["float32", "bf16"] if found["bf16"] else ["float32"]
    cases = [
        products_case(precisions),
        *plan(device, bf16=found["bf16"], devices=found["devices"], quick=quick),
    ]
    if settings["case"] == "list":
        print("\n".join(case.name for case in cases))
        return []
    chosen = choose_cases(cases, settings["case"])
    allowed_s = limit_s(device, quick=quick)
    count = f"{len(chosen)} case{'s' * (len(chosen) != 1)}"
    progress.print(f"{machine['name']}: {count}, {allowed_s / 60:.0f} minutes at most")
    if machine["load"] is not None and machine["load"][0] > BUSY:
        progress.print("note: the machine is busy with other work; the figures will be too low")
    answers, left_out = run_cases(
        chosen,
        device,
        allowed_s - (time.monotonic() - start),
        ask=ask,
        tell=lambda line: progress.print(line, markup=False, soft_wrap=True),
    )
    record: dict[str, Any] = {
        "quick": quick,
        "seconds": round(time.monotonic() - start, 1),
        "machine": machine,
        "versions": found["versions"],
        "cases": answers,
        "left_out": left_out,
    }
    print_table(record, open_console())
    if chosen == cases:
        _write(record, Path(settings["out"]).expanduser())
    return [
        UserError(f"{name} {reason}")
        for name, reason in left_out.items()
        if reason.startswith("failed")
    ]


def choose_cases(cases: list[Case], names: str) -> list[Case]:
    """The cases of the setting ``case``.

    Raises:
        UserError: If there is no such case.
    """
    if names == "all":
        return cases
    wanted = names.split(",")
    for name in wanted:
        if name not in (case.name for case in cases):
            raise UserError(f"there is no case {name} here; case=list names those there are")
    return [case for case in cases if case.name in wanted]


def _write(record: dict[str, Any], folder: Path) -> None:
    path = record_path(folder, record["machine"]["slug"], quick=record["quick"])
    write_record(path, record)
    write_text(path.with_suffix(".md"), f"{markdown_table(record)}\n{EXPLANATION}\n")
    growth_figure(record, path.with_suffix(".png"))
    print(f"Written to {path}, .md and .png")


def main() -> None:
    """Run the benchmark on the words of the command line."""
    # Ended from outside, it ends the case that it waits for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.argv[1:] = ["quick=true" if word == "--quick" else word for word in sys.argv[1:]]
    try:
        run_driver(benchmark, DEFAULTS, __doc__)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
