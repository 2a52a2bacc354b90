"""Notes about a dataset: what makes its results less reliable than they seem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cyclegan_ad.data.checks import name_some
from cyclegan_ad.data.layouts.found import describe_ignored
from cyclegan_ad.data.layouts.unread import list_unread_folders
from cyclegan_ad.text import counted

if TYPE_CHECKING:
    from cyclegan_ad.data.datamodule import AnomalyDataModule

_DARK = 64  # of 255
_IMAGES_AT_ONCE = 64


def collect_notes(data: AnomalyDataModule) -> Iterator[str]:
    """Yield one line per problem that makes the results less reliable than they seem.

    Args:
        data: Data module after ``setup``.
    """
    if data.ignored_files:
        yield f"{describe_ignored(data.ignored_files)} ignored"
    folders = list_unread_folders(data.layout, data.root, data.labelling)
    if folders:
        yield f"folders that are not part of layout {data.layout} ignored: {name_some(folders)}"
    masks = [sample.path for sample in data.samples if _looks_like_mask(sample.path)]
    if masks:
        named = counted(len(masks), "image is named like a mask", "images are named like masks")
        yield f"{named} ({name_some(masks)}); check whether they belong to the dataset"
    brightest = _brightest(data)
    if brightest < _DARK:
        yield (
            f"the brightest pixel of all images is {brightest} of 255; brighten them, or narrow "
            "dataset.window=[LOW,HIGH] if they have more than 8 bits"
        )
    yield from _notes_on_groups(data)
    both = _with_both_labels(data)
    if both:
        files = counted(len(both), "file is", "files are")
        yield f"{files} byte-identical to a file of the other class ({name_some(both)})"
    empty = [data.samples[i].path for i in data.masks.empty]
    if empty:
        yield (
            f"the masks of {counted(len(empty), 'abnormal image')} are all black "
            f"({name_some(empty)}); they are treated as missing"
        )
    mostly = [data.samples[i].path for i in data.masks.mostly]
    if mostly:
        yield (
            f"the masks of {counted(len(mostly), 'image')} cover more than half of the image "
            f"({name_some(mostly)}); nonzero pixels must mark the defect"
        )
    leaked = leaked_images(data)
    if leaked:
        judged = "test or calibration" if data.split.calibration else "test"
        yield (
            f"{counted(len(leaked), f'{judged} image is', f'{judged} images are')} byte-identical "
            f"to a training image, so the results are optimistic ({name_some(leaked)})"
        )


def _notes_on_groups(data: AnomalyDataModule) -> Iterator[str]:
    """Say what the split would be if the images of a group were allowed to part."""
    found, tested = (
        [sum(data.samples[i].label == label for i in indices) for label in (0, 1)]
        for indices in (range(len(data.samples)), data.split.test)
    )
    wanted = min(found) // 2
    if not data.normal_only and data.split.test and tested != [wanted, wanted]:
        yield (
            f"the test set has {tested[0]} normal and {tested[1]} abnormal images instead of "
            f"{wanted} of each, as images of one group are kept together"
        )
    unused = Counter(data.samples[i].label for i in data.split.unused)
    if unused[0]:
        yield (
            f"{counted(unused[0], 'normal image')} not used, as abnormal images of "
            "the same group are kept for calibration"
        )
    if unused[1]:
        yield (
            f"{counted(unused[1], 'abnormal image')} not used, as dataset.max_abnormal="
            f"{data.max_abnormal}"
        )
    elif data.max_abnormal is not None:
        used = (*data.split.train, *data.split.tuning, *data.split.calibration)
        others = sum(data.samples[i].label for i in used)
        if others < data.max_abnormal:
            yield (
                f"dataset.max_abnormal={data.max_abnormal} limits nothing: there are "
                f"{counted(others, 'abnormal image')} outside the test set"
            )


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
