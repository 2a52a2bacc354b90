"""What a user should know of the images of a dataset, and could else not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from cyclegan_ad.data.unread import not_read
from cyclegan_ad.text import counted

if TYPE_CHECKING:
    from cyclegan_ad.data.datamodule import AnomalyDataModule

_NAMED = 3
_DARK = 64  # of 255: 14-bit data in 16-bit files reach it
_IMAGES_AT_ONCE = 64


def notes_on(data: AnomalyDataModule) -> Iterator[str]:
    """Look for what makes results worth less than they seem.

    Args:
        data: The data module, set up.

    Yields:
        A line each, without its end.
    """
    if data.passed_over:
        yield f"not read: {describe_passed_over(data.passed_over)}"
    folders = not_read(data.layout, data.root)
    if folders:
        yield f"not read, as layout {data.layout} has no such folders: {_name(folders)}"
    masks = [sample.path for sample in data.samples if _looks_like_mask(sample.path)]
    if masks:
        called = counted(len(masks), "image is called like a mask", "images are called like masks")
        yield f"{called} ({_name(masks)}); are they images to train and test on?"
    brightest = _brightest(data)
    if brightest < _DARK:
        yield (
            f"the brightest pixel of all images is {brightest} of 255; files of 16 bits that hold "
            "fewer should be scaled to their full range"
        )
    both = _with_both_labels(data)
    if both:
        files = counted(len(both), "file is", "files are")
        yield f"{files} in both classes, byte for byte ({_name(both)})"
    empty = [data.samples[i].path for i in data.masks.empty]
    if empty:
        yield (
            f"the masks of {counted(len(empty), 'abnormal image')} are empty, all black "
            f"({_name(empty)}); they count as if there were none"
        )
    mostly = [data.samples[i].path for i in data.masks.mostly]
    if mostly:
        yield (
            f"the masks of {counted(len(mostly), 'image')} mark more than half of the image "
            f"({_name(mostly)}); a defect is what is not 0"
        )
    leaked = leaked_images(data)
    if leaked:
        judged = "test or calibration" if data.split.calibration else "test"
        yield (
            f"{counted(len(leaked), f'{judged} image is', f'{judged} images are')} byte-identical "
            f"to a training image, so the figures are flattered ({_name(leaked)})"
        )


def describe_passed_over(suffixes: Counter[str]) -> str:
    """Say which files have no suffix of an image.

    >>> describe_passed_over(Counter({".heic": 12, "": 1}))
    '13 files without the suffix of an image (.heic 12, no suffix 1)'
    """
    kinds = ", ".join(f"{suffix or 'no suffix'} {n}" for suffix, n in suffixes.most_common())
    return f"{counted(suffixes.total(), 'file')} without the suffix of an image ({kinds})"


def leaked_images(data: AnomalyDataModule) -> list[str]:
    """Test and calibration images that are byte-identical to a training image, by path."""
    train = {data.sha256[i] for label in data.trained_labels for i in data.train_indices(label)}
    judged = (*data.split.test, *data.split.calibration)
    return [data.samples[i].path for i in judged if data.sha256[i] in train]


def _looks_like_mask(path: str) -> bool:
    folder, _, name = path.lower().rpartition("/")
    return "_mask" in name or folder.rpartition("/")[2] in ("mask", "masks", "ground_truth")


def _brightest(data: AnomalyDataModule) -> int:
    """The largest value of all pixels, or the first that is not dark."""
    brightest = 0
    for start in range(0, len(data.rows), _IMAGES_AT_ONCE):
        rows = data.rows[start : start + _IMAGES_AT_ONCE]
        brightest = max(brightest, int(data.images[rows].max(initial=0)))
        if brightest >= _DARK:
            break
    return brightest


def _with_both_labels(data: AnomalyDataModule) -> list[str]:
    """Images whose content is there with the other label too, by path."""
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
