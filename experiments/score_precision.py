"""Effect of bfloat16 on the scores of trained runs: changes, ranks, decisions, AUROC.

  python -m experiments.score_precision run_name=cyclegan-64 dataset=brain_mri,screw seed=0,1,2

Scores the test images of each run with score.precision=float32 and bf16. Writes
score_precision.csv and score_precision.md; the runs are not changed.

Settings (change with name=value):
  runs=runs                     folder of the runs
  run_name=cyclegan-64          which runs
  dataset=A,B,...               which datasets
  seed=0,1,2                    which splits
  score=sse,peak,standardised,fid
  extractor=efficientnet_lite0  network behind fid; or inception
  data_dir=data                 folder of the datasets; also CYCLEGAN_AD_DATA
  accelerator=auto              auto, cpu or gpu
  out=tables                    folder that the table is written to
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from cyclegan_ad.build import build_data, load_method
from cyclegan_ad.device import choose_device, prepare_process
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.score_images import Scored
from cyclegan_ad.evaluation.test_set import evaluate
from cyclegan_ad.files import write_rows, write_text
from cyclegan_ad.metrics.thresholds import auroc, summarise
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.scoring.scores import build_scores
from experiments.driver import Settings, run_driver

DEFAULTS = {
    "runs": "runs",
    "run_name": "cyclegan-64",
    "dataset": "brain_mri,screw",
    "seed": "0,1,2",
    "score": "sse,peak,standardised,fid",
    "extractor": "efficientnet_lite0",
    "data_dir": os.environ.get("CYCLEGAN_AD_DATA", "data"),
    "accelerator": "auto",
    "out": "tables",
}


def compare(exact: ArrayLike, rounded: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Compare the scores of N images in float32 and bfloat16, (N,) each, > 0, labels 0 and 1.

    Returns:
        ``images``, their number; ``largest`` and ``median`` relative change of a score; ``ranks``,
        the number of images whose rank changes, and ``farthest``, the largest change of a rank;
        ``decisions``, the number of changed decisions, each precision with its own ZFN threshold;
        ``auroc_float32`` and ``auroc_bf16``, in [0, 1].

    >>> change = compare([1.0, 2.0, 4.0, 5.0], [1.0, 2.2, 5.1, 5.0], [0, 1, 0, 1])
    >>> change["ranks"], change["farthest"], change["decisions"], round(change["largest"], 3)
    (2, 1, 0, 0.275)
    """
    a, b = np.asarray(exact, np.float64), np.asarray(rounded, np.float64)
    relative = np.abs(b / a - 1)
    moves = np.abs(rankdata(a, method="ordinal") - rankdata(b, method="ordinal"))
    decided = [s >= summarise(s, labels)["zfn_threshold"] for s in (a, b)]
    return {
        "images": len(a),
        "largest": float(relative.max()),
        "median": float(np.median(relative)),
        "ranks": int((moves > 0).sum()),
        "farthest": int(moves.max()),
        "decisions": int((decided[0] != decided[1]).sum()),
        "auroc_float32": auroc(a, labels),
        "auroc_bf16": auroc(b, labels),
    }


def compare_run(run: RunDirectory, settings: Settings) -> dict[str, dict[str, float]]:
    """Score the test images of a run in both precisions.

    Returns:
        Score column in float32 -> change in bfloat16.
    """
    made_with = run.read_config().replaced({"data_dir": settings["data_dir"]})
    device = choose_device(settings["accelerator"])
    data = build_data(made_with)
    data.setup()
    method = load_method(made_with.method.name, run.checkpoint, device)
    found: list[Scored] = []
    for precision in ("float32", "bf16"):
        changes = {"names": settings["score"].split(","), "extractor": settings["extractor"]}
        wanted = made_with.score.replaced(changes | {"precision": precision})
        scores, size = build_scores(wanted.columns).to(device), wanted.batch_size
        found.append(evaluate(method, data, scores, device=device, batch_size=size).test)
    exact, rounded = found
    pairs = zip(exact.scores.items(), rounded.scores.values(), strict=True)
    return {column: compare(a, b, exact.labels) for (column, a), b in pairs}


def score_precision(settings: Settings) -> list[UserError]:
    """Compare, print and write; return an error for each missing run."""
    prepare_process()
    rows: list[list[Any]] = []
    names: list[str] = []
    missing: list[UserError] = []
    for dataset in settings["dataset"].split(","):
        for seed in settings["seed"].split(","):
            path = Path(settings["runs"]).expanduser() / settings["run_name"] / dataset
            run = RunDirectory(path / f"seed{seed}")
            try:
                changes = compare_run(run, settings)
            except UserError as error:
                missing.append(error)
                continue
            for column, change in changes.items():
                rows.append([dataset, int(seed), column, *change.values()])
                names = list(change)
                print(_line(rows[-1]))
    if rows:
        header = ["dataset", "seed", "score", *names]
        out = Path(settings["out"]).expanduser()
        write_rows(out / "score_precision.csv", header, rows)
        rule = ["---"] * 3 + ["---:"] * (len(header) - 3)
        write_text(out / "score_precision.md", "\n".join(map(_line, [header, rule, *rows])) + "\n")
        print(f"Written to {out / 'score_precision.csv'} and .md")
    return missing


def _line(cells: list[Any]) -> str:
    texts = [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    run_driver(score_precision, DEFAULTS, __doc__)
