"""Trees of empty files: only names are listed."""

from pathlib import Path

from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.samples import list_samples


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def labels(root: Path, labelling: Labelling | None = None, layout: str = "folder") -> dict:
    """Path -> label of each image."""
    found = list_samples(layout, root, labelling=labelling or Labelling())
    return {sample.path: sample.label for sample in found}
