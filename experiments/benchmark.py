"""Measure training and scoring on this machine, compared with a reference implementation.

  python -m experiments.benchmark             every case: 15 minutes on a CPU, 8 on a GPU
  python -m experiments.benchmark --quick     the most important ones, in 3 minutes
  python -m experiments.benchmarks.readme     put the recorded results into the documentation

Times a reference implementation and this package alternately; close other programs. Each case runs
in a process of its own. Cases that would exceed these times are left out and listed.

Writes benchmark_<machine>.json (every sample, with versions and processor), .md (the table) and
.png (cost by batch and image size); quick ones end in _quick.

Settings (change with name=value):
  quick=false               the same as --quick
  case=all                  A,B,...: only these, and nothing is written; list: print the names
  out=experiments/results   where the results are written
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from time import monotonic

from cyclegan_ad.display.terminal import standard_error
from cyclegan_ad.errors import UserError
from cyclegan_ad.hardware import cpu_count
from experiments.benchmarks.plan import limit_s, plan
from experiments.benchmarks.runner import Ask, ask_worker, run_cases
from experiments.driver import Settings, print_markdown, run_driver

DEFAULTS = {"quick": "false", "case": "all", "out": "experiments/results"}


def benchmark(settings: Settings, ask: Ask = ask_worker) -> list[UserError]:
    """Measure the cases of this machine, print the table and write the record.

    Args:
        settings: Settings of the module's help.
        ask: Measures a case.

    Returns:
        An error for each case that failed.
    """
    start = monotonic()
    if settings["quick"] not in ("true", "false"):
        raise UserError(f"invalid quick={settings['quick']}: expected true or false")
    quick = settings["quick"] == "true"
    # Here, so that --help answers at once, and processes that import this module stay small.
    import torch

    from cyclegan_ad.runs.begin import describe_environment
    from experiments.benchmarks.machine import describe_machine
    from experiments.benchmarks.record import EXPLANATION, markdown_table, write_record
    from experiments.benchmarks.training import has_bf16

    machine = describe_machine()
    device, bf16 = machine["device"], has_bf16(torch.device(machine["device"]))
    cases = plan(device, bf16=bf16, devices=len(machine["gpus"]) or 1, quick=quick)
    names = [case.name for case in cases]
    if settings["case"] == "list":
        print(*names, sep="\n")
        return []
    wanted = names if settings["case"] == "all" else settings["case"].split(",")
    if unknown := set(wanted).difference(names):
        raise UserError(f"invalid case={min(unknown)}: expected one of those that case=list prints")
    chosen = [case for case in cases if case.name in wanted]
    progress = standard_error()
    allowed_s = limit_s(device, quick=quick)
    progress.print(f"{machine['name']}: {len(chosen)} cases, at most {allowed_s / 60:.0f} minutes")
    tell = partial(progress.print, markup=False, soft_wrap=True)
    answers, left_out = run_cases(chosen, device, allowed_s, ask, tell)
    record = {
        "quick": quick,
        "seconds": round(monotonic() - start, 1),
        "machine": machine,
        "versions": describe_environment(),
        "cases": answers,
        "left_out": left_out,
    }
    print_markdown(f"{markdown_table(record)}\n{EXPLANATION}")
    if chosen == cases:
        path = write_record(Path(settings["out"]).expanduser(), record)
        print(f"Written to {path}, .md and .png")
    failed = [f"{name} {why}" for name, why in left_out.items() if why.startswith("failed")]
    return [UserError(line) for line in failed]


def main() -> None:
    """Run the benchmark with the arguments of the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the running case is stopped
    os.environ["OMP_NUM_THREADS"] = str(cpu_count())  # inherited by all that is measured
    sys.argv[1:] = ["quick=true" if word == "--quick" else word for word in sys.argv[1:]]
    try:
        run_driver(benchmark, DEFAULTS, __doc__)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
