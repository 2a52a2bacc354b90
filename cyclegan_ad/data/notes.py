"""Notes about possible problems of the images of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from cyclegan_ad.data.unread import list_unread_folders
from cyclegan_ad.text import counted

if TYPE_CHECKING:
    from cyclegan_ad.data.datamodule import AnomalyDataModule

_NAMED = 3
_DARK = 64  # of 255; reached by 14-bit data in 16-bit files
_IMAGES_AT_ONCE = 64


def collect_notes(data: AnomalyDataModule) -> Iterator[str]:
    """Find problems that make the results less reliable than they seem.

    Args:
        data: Data module after ``setup``.

    Yields:
        One line per problem, without a line break.
    """
    if data.ignored_files:
        yield f"{describe_ignored(data.ignored_files)} ignored"
    folders = list_unread_folders(data.layout, data.root)
    if folders:
        yield f"folders that are not part of layout {data.layout} ignored: {_name(folders)}"
    masks = [sample.path for sample in data.samples if _looks_like_mask(sample.path)]
    if masks:
        named = counted(len(masks), "image is named like a mask", "images are named like masks")
        yield f"{named} ({_name(masks)}); check whether they belong to the dataset"
    brightest = _brightest(data)
    if brightest < _DARK:
        yield (
            f"the brightest pixel of all images is {brightest} of 255; scale 16-bit files with "
            "fewer significant bits to the full range"
        )
    both = _with_both_labels(data)
    if both:
        files = counted(len(both), "file is", "files are")
        yield f"{files} byte-identical to a file of the other class ({_name(both)})"
    empty = [data.samples[i].path for i in data.masks.empty]
    if empty:
        yield (
            f"the masks of {counted(len(empty), 'abnormal image')} are all black "
            f"({_name(empty)}); they are treated as missing"
        )
    mostly = [data.samples[i].path for i in data.masks.mostly]
    if mostly:
        yield (
            f"the masks of {counted(len(mostly), 'image')} cover more than half of the image "
            f"({_name(mostly)}); nonzero pixels must mark the defect"
        )
    leaked = leaked_images(data)
    if leaked:
        judged = "test or calibration" if data.split.calibration else "test"
        yield (
            f"{counted(len(leaked), f'{judged} image is', f'{judged} images are')} byte-identical "
            f"to a training image, so the results are optimistic ({_name(leaked)})"
        )


def describe_ignored(suffixes: Counter[str]) -> str:
    """Describe the files without an image suffix.

    >>> describe_ignored(Counter({".heic": 12, "": 1}))
    '13 files without an image suffix (.heic 12, no suffix 1)'
    """
    kinds = ", ".join(f"{suffix or 'no suffix'} {n}" for suffix, n in suffixes.most_common())
    return f"{counted(suffixes.total(), 'file')} without an image suffix ({kinds})"


def leaked_images(data: AnomalyDataModule) -> list[str]:
    """Return the paths of test and calibration images byte-identical to a training image."""
    train = {data.sha256[i] for label in data.trained_labels for i in data.train_indices(label)}
    judged = (*data.split.test, *data.split.calibration)
    return [data.samples[i].path for i in judged if data.sha256[i] in train]


def _looks_like_mask(path: str) -> bool:
    folder, _, name = path.lower().rpartition("/")
    return "_mask" in name or folder.rpartition("/")[2] in ("mask", "masks", "ground_truth")


def _brightest(data: AnomalyDataModule) -> int:
    """Return the largest value of all pixels, or of those up to the first bright batch."""
    brightest = 0
    for start in range(0, len(data.rows), _IMAGES_AT_ONCE):
        rows = data.rows[start : start + _IMAGES_AT_ONCE]
        brightest = max(brightest, int(data.images[rows].max(initial=0)))
        if brightest >= _DARK:
            break
    return brightest


def _with_both_labels(data: AnomalyDataModule) -> list[str]:
    """Return the paths of images whose content also occurs with the other label."""
    labels: dict[str, set[int]] = {}
    for sample, sha256 in zip(data.samples, data.sha256, strict=True):
        labels.setdefault(sha256, set()).add(sample.label)
    return [
        sample.path
        for sample, sha256 in zip(data.samples, data.sha256, strict=True)
        if len(labels[sha256]) > 1
    ]


def _name(paths: Collection[str]) -> str:
    return ", ".join(list(paths)[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")
