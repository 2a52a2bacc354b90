"""The folders of normal and abnormal images: by their usual names, or as the user names them."""

import glob
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclegan_ad.data.layouts.found import count_by_folder, holds_masks, refuse_folder
from cyclegan_ad.data.layouts.mvtec import is_usual, normal_folders
from cyclegan_ad.data.layouts.sample import ABNORMAL, CLASSES, NORMAL, Labelling, class_of
from cyclegan_ad.data.listing import SUFFIXES, file_name, list_folders, suffix_of

# Where both exist, other usual names beside them are not asked for.
_EXACT = ("normal", "abnormal")


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """Folders, or single images, of each class: POSIX paths relative to the root, sorted."""

    normal: tuple[str, ...]
    abnormal: tuple[str, ...]


def find_class_folders(root: Path, labelling: Labelling) -> ClassFolders:
    """Find the folders of normal and abnormal images.

    A class that ``labelling`` does not name is looked for by its usual names, in any case, directly
    in the root or, if there is none, one level deeper. There may be no folder of abnormal images if
    nothing else is there, or if ``labelling`` names the normal ones.

    Args:
        root: Folder of the dataset.
        labelling: Names given by the user.

    Raises:
        UserError: A name matches nothing, or the usual names are absent or ambiguous; the message
            lists what was found.
    """
    given = {
        NORMAL: _match(root, "dataset.normal", labelling.normal),
        ABNORMAL: _match(root, "dataset.abnormal", labelling.abnormal),
    }
    wanted = [label for label, named in given.items() if not named]
    taken = {path for named in given.values() for path in named}
    found = given | _find_usual(root, wanted, taken)
    if not found[NORMAL]:
        raise refuse_folder("no folder with a usual name of normal images (good, OK ...)", root)
    if not found[ABNORMAL] and not labelling.normal:
        others = [
            folder
            for folder, images in count_by_folder(root).items()
            if images and not holds_masks(folder) and not _within(folder, found[NORMAL])
        ]
        if others:
            what = "no folder with a usual name of abnormal images (bad, NOK ...)"
            if normal_folders(root, is_usual):
                remedy = "use dataset=mvtec dataset.root=PATH for this layout"
                raise refuse_folder(what, root, remedy)
            raise refuse_folder(what, root)
    return ClassFolders(tuple(found[NORMAL]), tuple(found[ABNORMAL]))


def _find_usual(
    root: Path, wanted: Collection[int], taken: Collection[str]
) -> dict[int, list[str]]:
    """Find folders by usual names: label -> folders, of the first level that has one."""
    found: dict[int, list[str]] = {label: [] for label in wanted}
    for parents in ([""], list_folders(root, "")):
        for parent in parents:
            folders = [
                folder
                for folder in list_folders(root, parent)
                if not _within(folder, taken) and not any(_within(one, [folder]) for one in taken)
            ]
            exact = [folder for folder in folders if file_name(folder) in _EXACT]
            for label in wanted:
                usual = exact if len(exact) == len(_EXACT) else folders
                named = [folder for folder in usual if class_of(file_name(folder)) == label]
                if len(named) > 1:
                    raise refuse_folder(
                        f"{' and '.join(named)} may both hold {CLASSES[label]} images", root
                    )
                found[label] += named
        if any(found.values()):
            break
    return found


def _match(root: Path, setting: str, names: tuple[str, ...]) -> list[str]:
    """Return the folders and images below the root that a setting names, sorted.

    Raises:
        UserError: If a name matches none.
    """
    found: set[str] = set()
    for name in names:
        plain = os.path.normpath(name).replace(os.sep, "/")
        matched = list(_match_one(root, "" if plain == "." else plain))
        if not matched:
            raise refuse_folder(
                f"invalid {setting}={name}: no such folder and no image matches", root
            )
        found.update(matched)
    return sorted(found)


def _match_one(root: Path, pattern: str) -> Iterator[str]:
    if os.path.isabs(pattern) or pattern.split("/")[0] == "..":
        return
    if os.path.isdir(root / pattern):  # a name may have the characters of a pattern
        yield pattern
        return
    for path in glob.iglob(pattern, root_dir=root, recursive=True):
        posix = path.replace(os.sep, "/").rstrip("/")
        if suffix_of(posix) in SUFFIXES or os.path.isdir(root / posix):
            yield posix


def _within(path: str, folders: Collection[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
