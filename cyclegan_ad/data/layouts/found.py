"""What lies in a folder that has not the expected layout, for error messages and notes."""

from collections import Counter
from pathlib import Path

from cyclegan_ad.data.listing import list_folders, list_images, parent_of, suffix_of
from cyclegan_ad.errors import UserError
from cyclegan_ad.text import counted

_NAMED = 8  # folders listed in a message
_DEPTH = 2  # of the folders listed; deeper images count for the folder at this depth
_OF_MASKS = frozenset({"mask", "masks", "ground_truth", "groundtruth", "gt"})
_BY_NAME = (
    "name them with dataset.normal=NAME and dataset.abnormal=[NAME,NAME] (folders or globs) or "
    "list the images in dataset.table=FILE.csv"
)


def refuse_folder(problem: str, root: Path, remedy: str = _BY_NAME) -> UserError:
    """Return the error for a folder of the user's own images that cannot be read as it is.

    Args:
        problem: What is missing or ambiguous.
        root: The folder; it is listed for the message.
        remedy: What to type instead.
    """
    return UserError(f"{problem} in '{root}': found {describe_folder(root)}; {remedy}")


def describe_folder(root: Path) -> str:
    """Describe the images and other files below a folder.

    Returns:
        E.g. ``A (12 images), B/deep (1 image), 2 images directly in it; 3 files without an image
        suffix (.heic 3)``.
    """
    images = count_by_folder(root)
    direct = images.pop("", 0)
    parts = [f"{folder} ({counted(n, 'image')})" for folder, n in sorted(images.items())]
    if len(parts) > _NAMED:
        parts = [*parts[:_NAMED], f"{len(parts) - _NAMED} more folders"]
    if direct:
        parts.append(f"{counted(direct, 'image')} directly in it")
    ignored = Counter(map(suffix_of, list_images(root, "", images=False)))
    text = ", ".join(parts) or "no images"
    return f"{text}; {describe_ignored(ignored)}" if ignored else text


def count_by_folder(root: Path) -> Counter[str]:
    """Count the images below each folder of at most two levels; ``""`` is the root itself.

    Folders directly in the root are listed with their 0 images too.
    """
    found: Counter[str] = Counter()
    for path in list_images(root, ""):
        found["/".join(parent_of(path).split("/")[:_DEPTH])] += 1
    filled = {folder.partition("/")[0] for folder in found}
    found.update({folder: 0 for folder in list_folders(root, "") if folder not in filled})
    return found


def holds_masks(folder: str) -> bool:
    """Whether a folder, or one above it, is named like one of masks.

    >>> holds_masks("Ground_Truth/crack"), holds_masks("crack")
    (True, False)
    """
    return any(part.casefold() in _OF_MASKS for part in folder.split("/"))


def describe_ignored(suffixes: Counter[str]) -> str:
    """Describe the files without an image suffix.

    >>> describe_ignored(Counter({".heic": 12, "": 1}))
    '13 files without an image suffix (.heic 12, no suffix 1)'
    """
    kinds = ", ".join(f"{suffix or 'no suffix'} {n}" for suffix, n in suffixes.most_common())
    return f"{counted(suffixes.total(), 'file')} without an image suffix ({kinds})"
