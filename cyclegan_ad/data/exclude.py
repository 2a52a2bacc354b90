"""Which images a list of names leaves out."""

from collections.abc import Collection
from pathlib import Path

from cyclegan_ad.data.listing import as_shown, file_name
from cyclegan_ad.errors import UserError


def find_excluded(names: Collection[str], paths: Collection[str], root: Path) -> set[str]:
    """Finds the images that a list names, in the spelling of any system.

    A name that no image has is taken for one that Windows wrote (with backslashes), then for one
    that looks the same in another Unicode form.

    Args:
        names: Paths relative to the dataset's root, or file names, each of which stands for every
            image of that name.
        paths: Of all images.
        root: For the message.

    Returns:
        Those of the paths that are named.

    Raises:
        UserError: No image has one of the names.

    Example:
        >>> sorted(find_excluded(["a.png", "no/b.png"], ["no/a.png", "no/b.png", "b.png"], Path()))
        ['no/a.png', 'no/b.png']
    """
    if not names:
        return set()
    exact: dict[str, set[str]] = {}
    shown: dict[str, set[str]] = {}
    for path in paths:
        for name in (path, file_name(path)):
            exact.setdefault(name, set()).add(path)
            shown.setdefault(as_shown(name), set()).add(path)
    found: set[str] = set()
    unknown = set()
    for name in names:
        posix = name.replace("\\", "/")
        named = exact.get(name) or exact.get(posix) or shown.get(as_shown(posix))
        if named is None:
            unknown.add(name)
        else:
            found |= named
    if unknown:
        raise UserError(
            f"dataset.exclude names {sorted(unknown)}, not among the images in '{root}': "
            "correct or remove them"
        )
    return found
