"""Files written at the start of a run, and checks before a run is resumed or reused."""

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
from cyclegan_ad.data.decoded_files import hash_in_order
from cyclegan_ad.data.groups import group_images
from cyclegan_ad.data.locate import find_dataset_folder, labelling_of, read_exclude_list
from cyclegan_ad.data.parallel import Progress
from cyclegan_ad.data.samples import list_samples
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_json, write_text
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import SplitRow, read_split, write_split
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import counted

_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


def write_start(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> None:
    """Start a run: clear its directory, write its split, environment and settings.

    ``config.yaml`` is written last, as it makes the directory a run.
    """
    run.clear()
    write_split(run.path, (SplitRow(*row) for row in data.split_rows()))
    write_json(run.environment, describe_environment())
    places = ("data_dir", "cache_dir", "dataset.root", "dataset.table", "dataset.exclude")
    given = settings.flat()
    absolute = {name: str(Path(given[name]).resolve()) for name in places if given[name]}
    kept = settings.replaced({"overwrite": False} | absolute)
    write_text(run.config, yaml.safe_dump(kept.as_dict(), sort_keys=False))


def check_split(run: RunDirectory, data: AnomalyDataModule) -> None:
    """Check that the images and their subsets are still those of the run.

    Raises:
        UserError: If an image was added, removed, changed or moved to another subset, or if
            ``split.csv`` is missing.
    """
    before, now = set(read_split(run.path)), set(data.split_rows())
    _refuse_changed({row[0] for row in before ^ now}, run, data.root)


def check_images(run: RunDirectory, settings: Settings, progress: Progress | None = None) -> None:
    """Check, without decoding, that the results of a run are those of the given images.

    The hashes of all images, and of the masks of test images, are compared with ``split.csv``.

    Raises:
        UserError: If the dataset folder is missing, or an image or mask was added, removed or
            changed.
    """
    dataset = settings.dataset
    try:
        root = find_dataset_folder(dataset, settings.data_dir, settings.cache_dir)
        samples = list_samples(
            dataset.layout,
            root,
            exclude=read_exclude_list(dataset.exclude),
            labelling=labelling_of(dataset),
        )
    except UserError as error:
        raise UserError(
            f"cannot check the images of {run.path}: {error}; to see the stored results without "
            f"the images, run python -m cyclegan_ad.report runs={run.path}"
        ) from error
    before = {row.path: row for row in read_split(run.path)}
    now = {sample.path: sample.label for sample in samples}
    for sample in samples:
        tested = sample.path in before and before[sample.path].subset == "test"
        # Unreadable masks are listed for all images.
        now |= {mask: -1 for mask in sample.mask if tested or mask in before}
    changed = before.keys() ^ now.keys()
    hashes = hash_in_order([root / path for path in now], progress)
    for (path, label), sha256 in zip(now.items(), hashes, strict=True):
        row = before.get(path)
        if row is not None and (row.sha256 != sha256 or row.label not in (label, -1)):
            changed.add(path)
    unchanged = [one for one in samples if one.path not in changed and before[one.path].label >= 0]
    groups = group_images(unchanged, [before[sample.path].sha256 for sample in unchanged])
    for sample, group in zip(unchanged, groups, strict=True):
        if before[sample.path].group != ("" if sample.group is None else group):
            changed.add(sample.path)
    _refuse_changed(changed, run, root)


def _refuse_changed(changed: set[str], run: RunDirectory, root: Path) -> None:
    if not changed:
        return
    few = ", ".join(sorted(changed)[:3]) + (", ..." if len(changed) > 3 else "")
    images = run.read_config().dataset
    before = images.root or (None if images.table is None else images.table.parent)
    another = before is not None and before.resolve() != root.resolve()
    of_another = f", a run of the images in {before}" if another else ""
    name = "dataset.name=NAME or run_name=NAME" if another else "run_name=NAME"
    raise UserError(
        f"{counted(len(changed), f'file of {root} differs', f'files of {root} differ')} from "
        f"{run.split} ({few}){of_another}; restore them, keep both runs with {name}, or train "
        "again with overwrite=true"
    )


def describe_environment() -> dict[str, Any]:
    """Collect versions, machine and commit, to trace results to their origin."""
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
    """Return the commit of the checkout, with "+changes" if it was edited; None without one."""
    whole_hash = ("--always", "--abbrev=40", "--exclude=*", "--dirty=+changes")
    git = ["git", "-C", str(Path(__file__).resolve().parent), "describe", *whole_hash]
    try:
        found = subprocess.run(git, capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() or None
