"""Images excluded by a list of names."""

from collections.abc import Collection
from pathlib import Path

from cyclegan_ad.data.listing import file_name, to_nfc
from cyclegan_ad.errors import UserError


def find_excluded(names: Collection[str], paths: Collection[str], root: Path) -> set[str]:
    """Find the images that a list names.

    A name that matches no image is tried with backslashes as path separators (Windows), then in
    Unicode normal form.

    Args:
        names: Paths relative to the dataset's root, or file names; a file name matches every image
            of that name.
        paths: Paths of all images.
        root: Folder of the dataset, for the message.

    Returns:
        The paths that are named.

    Raises:
        UserError: If a name matches no image.

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
            shown.setdefault(to_nfc(name), set()).add(path)
    found: set[str] = set()
    unknown = set()
    for name in names:
        posix = name.replace("\\", "/")
        named = exact.get(name) or exact.get(posix) or shown.get(to_nfc(posix))
        if named is None:
            unknown.add(name)
        else:
            found |= named
    if unknown:
        raise UserError(
            f"invalid dataset.exclude: {sorted(unknown)} not among the images in '{root}'; correct "
            "or remove these lines"
        )
    return found
