"""Images that an exported file is tested with."""

from __future__ import annotations

from pathlib import Path

from cyclegan_ad.data.locate import find_dataset_folder
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_split
from cyclegan_ad.text import counted


def find_test_images(detector: Path, images: Path | None) -> list[Path]:
    """Find the given images, or the test images of a run.

    Args:
        detector: A run directory or the folder of a detector.
        images: Setting ``images``; None for the test images of the run.

    Raises:
        UserError: If ``detector`` is not a run directory and no images are given, or images are
            missing.
    """
    if images is not None:
        return find_images(images)
    run = RunDirectory(detector)
    other = "name the images to compare the file with the detector: images=PATH"
    if not run.config.is_file():
        raise UserError(f"{detector} is a detector without its test images; {other}")
    settings = run.read_config()
    try:
        root = find_dataset_folder(settings.dataset, settings.data_dir, settings.cache_dir)
    except UserError as error:
        raise UserError(
            f"the test images of {detector} are not found ({error}); {other}"
        ) from error
    paths = [root / row.path for row in read_split(run.path) if row.subset == "test"]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f"{counted(len(missing), 'test image')} of {detector} not found, such as {missing[0]}; "
            f"restore them, or {other}"
        )
    return paths
