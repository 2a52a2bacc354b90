"""What a job writes into its run directory before the training, and checks before it goes on."""

import csv
import datetime
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from cyclegan_ad import __version__
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.decoding import Progress, hash_in_order
from cyclegan_ad.data.samples import list_samples
from cyclegan_ad.dataset_folder import dataset_folder, images_left_out
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import PATH_TEXT, write_json, write_rows, write_text
from cyclegan_ad.run_directory import RunDirectory

SPLIT_HEADER = ["path", "sha256", "label", "subset"]
_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


def write_start(run: RunDirectory, settings: dict[str, Any], data: AnomalyDataModule) -> None:
    """Begin a run: delete what was there, write its split, environment and settings.

    ``config.yaml`` comes last: with it the directory counts as a run.
    """
    run.clear()
    write_rows(run.split, SPLIT_HEADER, [list(row) for row in data.split_rows()])
    write_json(run.environment, describe_environment())
    root = settings["dataset"]["root"]
    exclude = settings["dataset"]["exclude"]
    kept = settings | {
        "overwrite": False,
        "data_dir": _absolute(settings["data_dir"]),
        "cache_dir": _absolute(settings["cache_dir"]),
        "dataset": settings["dataset"]
        | {
            "root": None if root is None else _absolute(root),
            "exclude": None if exclude is None else _absolute(exclude),
        },
    }
    write_text(run.config, yaml.safe_dump(kept, sort_keys=False))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def check_split(run: RunDirectory, data: AnomalyDataModule) -> None:
    """Make sure that the images are still those the run was made with.

    Raises:
        UserError: If an image was added, removed or changed, or now belongs to another subset; or
            if the list of them is gone.
    """
    before = set(read_split(run))
    now = {tuple(str(value) for value in row) for row in data.split_rows()}
    _refuse_changed({row[0] for row in before ^ now}, run, data.root)


def check_images(
    run: RunDirectory, settings: dict[str, Any], progress: Progress | None = None
) -> None:
    """Make sure, without decoding, that a run's results are about the images asked for.

    The contents of all images, and of the masks of test images, are hashed and compared with
    ``split.csv``.

    Args:
        run: A trained run.
        settings: All settings of the job; its dataset is compared.
        progress: Called after each file with (files done, files in all).

    Raises:
        UserError: If the dataset's folder is gone, or an image or mask was added, removed or
            changed.
    """
    dataset = settings["dataset"]
    try:
        root = dataset_folder(settings)
        exclude = images_left_out(dataset["exclude"])
        samples = list_samples(dataset["layout"], root, exclude=exclude)
    except UserError as error:
        raise UserError(
            f"cannot check that {run.path} was made with the images asked for: {error}; to see the "
            f"stored results without them: python -m cyclegan_ad.report runs={run.path}"
        ) from error
    before = {path: (sha256, label, subset) for path, sha256, label, subset in read_split(run)}
    tested = [s for s in samples if before.get(s.path, ("", "", ""))[2] == "test"]
    masks = [path for sample in tested for path in sample.mask]
    now = [*(sample.path for sample in samples), *masks]
    changed = before.keys() ^ set(now)
    changed |= {
        sample.path
        for sample in samples
        if sample.path not in changed and before[sample.path][1] not in (str(sample.label), "-1")
    }
    hashes = hash_in_order([root / path for path in now], progress)
    changed |= {
        path
        for path, sha256 in zip(now, hashes, strict=True)
        if path in before and before[path][0] != sha256
    }
    _refuse_changed(changed, run, root)


def read_split(run: RunDirectory) -> list[tuple[str, ...]]:
    """Rows of ``split.csv``: path, sha256, label, subset, as text.

    Raises:
        UserError: If it is gone or cannot be read.
    """
    remedy = "put it back or start anew with overwrite=true"
    try:
        with run.split.open(newline="", **PATH_TEXT) as file:
            rows = [tuple(row) for row in csv.reader(file, strict=True)]
    except FileNotFoundError:
        raise UserError(f"{run.split} is gone; {remedy}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{run.split} cannot be read ({error}); {remedy}") from error
    if rows[:1] != [tuple(SPLIT_HEADER)] or any(len(row) != len(SPLIT_HEADER) for row in rows):
        raise UserError(f"{run.split} is damaged; {remedy}")
    return rows[1:]


def _refuse_changed(changed: set[str], run: RunDirectory, root: Path) -> None:
    if not changed:
        return
    few = ", ".join(sorted(changed)[:3]) + (", ..." if len(changed) > 3 else "")
    raise UserError(
        f"{len(changed)} files of {root} differ from those that {run.split} names "
        f"({few}); restore them, keep both runs with run_name=NAME, or start anew with "
        "overwrite=true"
    )


def describe_environment() -> dict[str, Any]:
    """Versions, machine and commit: what a number needs to be traced to its origin."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cyclegan_ad": __version__,
        "commit": _commit(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
    }


def _commit() -> str | None:
    """Commit of the checkout this package lies in, with "+changes" if it was edited; or None."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    try:
        found = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True
        )
    except OSError:
        return None
    if found.returncode != 0:
        return None
    return found.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
