"""Which folders hold normal and which abnormal images."""

from pathlib import Path

import pytest
from errors import refuses
from trees import touch

from cyclegan_ad.data.layouts.class_folders import ClassFolders, find_class_folders
from cyclegan_ad.data.layouts.sample import BY_THE_USUAL_NAMES, Labelling, class_of


def folders(root: Path, **given: tuple[str, ...]) -> ClassFolders:
    return find_class_folders(root, Labelling(**given))


@pytest.mark.parametrize(
    ("normal", "abnormal"),
    [
        *(
            ("normal", "abnormal"),
            ("OK", "NOK"),
            ("ok", "nok"),
            ("Good", "Bad"),
            ("GOOD", "DEFECT"),
        ),
        *(("no_defect", "defective"), ("NORMAL", "Anomaly"), ("ok", "NG"), ("i.O.", "n.i.O.")),
        *(("Defect-Free", "Faulty"), ("pass", "fail"), ("intact", "KO")),
    ],
)
def test_usual_names_in_any_case(tmp_path: Path, normal: str, abnormal: str) -> None:
    touch(tmp_path, f"{normal}/a.png", f"{abnormal}/crack/b.png", "readme.txt")
    assert folders(tmp_path) == ClassFolders((normal,), (abnormal,))


def test_words_that_stand_for_no_class() -> None:
    assert [class_of(name) for name in ("", "train", "goods", "0", "images", "unnormal")] == [
        None
    ] * 6


def test_one_level_deeper_in_one_folder_or_several(tmp_path: Path) -> None:
    touch(tmp_path / "one", "images/OK/a.png", "images/NOK/b.png", "doc/a.pdf")
    assert folders(tmp_path / "one") == ClassFolders(("images/OK",), ("images/NOK",))
    touch(tmp_path / "two", "line 1/ok/a.png", "line 1/nok/b.png", "line 2/Good/c.png")
    found = folders(tmp_path / "two")
    assert found == ClassFolders(("line 1/ok", "line 2/Good"), ("line 1/nok",))


def test_a_folder_of_a_class_is_not_searched_for_others(tmp_path: Path) -> None:
    touch(tmp_path, "good/normal/a.png", "bad/good/b.png", "bad/ok/c.png")
    assert folders(tmp_path) == ClassFolders(("good",), ("bad",))


def test_normal_and_abnormal_go_before_other_names(tmp_path: Path) -> None:
    touch(tmp_path, "normal/a.png", "abnormal/b.png", "good/c.png", "defects/d.png")
    assert folders(tmp_path) == ClassFolders(("normal",), ("abnormal",))


@pytest.mark.parametrize(
    ("files", "both"),
    [
        (("good/a.png", "OK/b.png", "bad/c.png"), "OK and good"),
        (("good/a.png", "NG/b.png", "defect/c.png"), "NG and defect"),
        (("x/good/a.png", "x/ok/b.png", "x/bad/c.png"), "x/good and x/ok"),
    ],
)
def test_ambiguous_names_are_told_with_what_was_found(
    tmp_path: Path, files: tuple[str, ...], both: str
) -> None:
    touch(tmp_path, *files)
    each = [f"{file.rpartition('/')[0]} (1 image)" for file in files]
    with refuses(
        file=tmp_path, facts=(both, *each), remedy=("dataset.normal=NAME", "dataset.table=FILE.csv")
    ):
        folders(tmp_path)


def test_names_that_are_absent_are_told_with_what_was_found(tmp_path: Path) -> None:
    touch(tmp_path, *(f"A/{i}.png" for i in range(12)), "B/deep/er/x.png", "B/deep/y.png", "z.jpg")
    touch(tmp_path, "A/1.cr2", "A/2.cr2", "notes", "empty/.hidden")
    with refuses(
        file=tmp_path,
        facts=("A (12 images)", "B/deep (2 images)", "empty (0 images)", "1 image directly in it"),
        remedy=("dataset.normal=NAME", "dataset.abnormal=[NAME,NAME]", "dataset.table=FILE.csv"),
    ) as caught:
        folders(tmp_path)
    assert "3 files without an image suffix (.cr2 2, no suffix 1)" in str(caught.value)


def test_only_files_that_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "OK/1.cr2", "NOK/2.cr2")
    assert folders(tmp_path) == ClassFolders(("OK",), ("NOK",))  # and later: too few images
    touch(tmp_path / "raw", "1.cr2", "2.cr2")
    with refuses(file=tmp_path / "raw", facts=("no images", ".cr2 2")):
        folders(tmp_path / "raw")


def test_normal_images_alone(tmp_path: Path) -> None:
    touch(tmp_path, "good/a.png", "good/b/c.png", "masks/a.png", "doc/a.pdf")
    assert folders(tmp_path) == ClassFolders(("good",), ())


def test_normal_images_beside_unknown_ones_are_refused_until_named(tmp_path: Path) -> None:
    touch(tmp_path, "good/a.png", "crack/b.png", "dent/c.png")
    with refuses(
        file=tmp_path, facts=("crack (1 image)", "dent (1 image)"), remedy="dataset.normal"
    ):
        folders(tmp_path)
    assert folders(tmp_path, normal=("good",)) == ClassFolders(("good",), ())
    named = folders(tmp_path, abnormal=("dent", "crack"))
    assert named == ClassFolders(("good",), ("crack", "dent"))


def test_the_layout_of_mvtec_is_recognised(tmp_path: Path) -> None:
    touch(tmp_path, "train/ok/a.png", "test/crack/b.png")
    with refuses(file=tmp_path, remedy="dataset=mvtec"):
        folders(tmp_path)


def test_abnormal_images_alone_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "NOK/a.png")
    with refuses(file=tmp_path, facts="NOK (1 image)", remedy="dataset.normal=NAME"):
        folders(tmp_path)


def test_folders_and_globs_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "line1/fine_a/1.png", "line1/poor/2.png", "line2/fine_b/3.png", "line2/x/4.png")
    touch(tmp_path, "line2/poor/5.png", "line2/poor/6.txt")
    found = folders(tmp_path, normal=("*/fine_?",), abnormal=("**/poor/*.*", "line2/x"))
    assert found == ClassFolders(
        ("line1/fine_a", "line2/fine_b"), ("line1/poor/2.png", "line2/poor/5.png", "line2/x")
    )
    touch(tmp_path / "flat", "img_ok_1.png", "img_bad_1.png", "img_bad_2.txt")
    flat = folders(tmp_path / "flat", normal=("img_ok_*",), abnormal=("img_bad_*",))
    assert flat == ClassFolders(("img_ok_1.png",), ("img_bad_1.png",))


def test_odd_names(tmp_path: Path) -> None:
    touch(tmp_path, "Größe [M]/a.png", "kaputt, (neu) = ~/b.png")
    found = folders(tmp_path, normal=("Größe [M]/",), abnormal=("./kaputt, (neu) = ~",))
    assert found == ClassFolders(("Größe [M]",), ("kaputt, (neu) = ~",))


@pytest.mark.parametrize("name", ["none", "a*", "../elsewhere", "/tmp", "notes.txt"])
def test_a_name_that_matches_nothing(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "elsewhere/a.png", "root/OK/a.png", "root/NOK/b.png", "root/notes.txt")
    with refuses(setting="dataset.abnormal", value=name, facts=("OK (1 image)", "NOK (1 image)")):
        folders(tmp_path / "root", abnormal=(name,))


def test_a_missing_class_is_looked_for_beside_the_named_one(tmp_path: Path) -> None:
    touch(tmp_path, "fine/a.png", "NOK/b.png")
    assert folders(tmp_path, normal=("fine",)) == ClassFolders(("fine",), ("NOK",))
    touch(tmp_path / "deep", "line/fine/bad/a.png", "line/NOK/b.png")
    found = folders(tmp_path / "deep", normal=("line/fine",))
    assert found == ClassFolders(("line/fine",), ("line/NOK",))


def test_nothing_is_assumed_of_a_folder_without_a_word(tmp_path: Path) -> None:
    assert Labelling((), (), None, None) == BY_THE_USUAL_NAMES
    with refuses(file=tmp_path, facts="no images"):
        find_class_folders(tmp_path, BY_THE_USUAL_NAMES)
