import errno
import os
from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad.data.samples import Sample, find_root, has_layout, list_samples

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="needs the real images of ../shared/data"
)


def touch(root: Path, *files: str) -> Path:
    """Only names are listed, so empty files do."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_mvtec_takes_good_images_of_both_folders_and_masks_where_they_exist(tmp_path):
    touch(
        tmp_path,
        "train/good/000.png",
        "test/good/000.png",
        "test/crack/000.png",
        "test/crack/001.png",
        "test/hole/000.png",
        "test/dent/000.png",
        "ground_truth/crack/000_mask.png",
        "ground_truth/hole/000.png",
        "ground_truth/good/000_mask.png",
        "readme.txt",
        "license.png",
    )
    assert list_samples("mvtec", tmp_path) == [
        Sample("test/crack/000.png", 1, "crack", ("ground_truth/crack/000_mask.png",)),
        Sample("test/crack/001.png", 1, "crack"),
        Sample("test/dent/000.png", 1, "dent"),
        Sample("test/good/000.png", 0, "good"),
        Sample("test/hole/000.png", 1, "hole", ("ground_truth/hole/000.png",)),
        Sample("train/good/000.png", 0, "good"),
    ]


def test_brain_mri_takes_every_suffix_and_counts_the_repeated_folders_once(tmp_path):
    touch(
        tmp_path,
        "no/1 no.jpeg",
        "no/2.PNG",
        "yes/Y1.JPG",
        "yes/.hidden.jpg",
        "yes/Thumbs.db",
        "brain_tumor_dataset/no/1 no.jpeg",
        "brain_tumor_dataset/yes/Y1.JPG",
    )
    assert list_samples("brain_mri", tmp_path) == [
        Sample("no/1 no.jpeg", 0, "no"),
        Sample("no/2.PNG", 0, "no"),
        Sample("yes/Y1.JPG", 1, "yes"),
    ]


def test_breast_ultrasound_masks_are_not_images(tmp_path):
    touch(
        tmp_path,
        "normal/normal (1).png",
        "normal/normal (1)_mask.png",
        "benign/benign (1).png",
        "benign/benign (1)_mask.png",
        "benign/benign (1)_mask_1.png",
        "benign/benign (10).png",
        "malignant/malignant (3).png",
        "malignant/malignant (3)_mask.png",
    )
    assert list_samples("breast_ultrasound", tmp_path) == [
        Sample(
            "benign/benign (1).png",
            1,
            "benign",
            ("benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"),
        ),
        Sample("benign/benign (10).png", 1, "benign"),
        Sample(
            "malignant/malignant (3).png", 1, "malignant", ("malignant/malignant (3)_mask.png",)
        ),
        Sample("normal/normal (1).png", 0, "normal"),
    ]


def test_retina_oct_takes_all_folders_of_the_archive(tmp_path):
    touch(
        tmp_path,
        "OCT2017 /train/NORMAL/NORMAL-1-1.jpeg",
        "OCT2017 /train/CNV/CNV-1-1.jpeg",
        "OCT2017 /train/DME/DME-1-1.jpeg",
        "OCT2017 /val/DRUSEN/DRUSEN-1-1.jpeg",
        "OCT2017 /test/NORMAL/NORMAL-2-1.jpeg",
        "OCT2017 /test/CNV/CNV-2-1.jpeg",
        "chest_xray/train/NORMAL/IM-0001.jpeg",
        "chest_xray/train/PNEUMONIA/person1.jpeg",
    )
    assert list_samples("retina_oct", tmp_path) == [
        Sample("OCT2017 /test/CNV/CNV-2-1.jpeg", 1, "CNV"),
        Sample("OCT2017 /test/NORMAL/NORMAL-2-1.jpeg", 0, "NORMAL"),
        Sample("OCT2017 /train/CNV/CNV-1-1.jpeg", 1, "CNV"),
        Sample("OCT2017 /train/DME/DME-1-1.jpeg", 1, "DME"),
        Sample("OCT2017 /train/NORMAL/NORMAL-1-1.jpeg", 0, "NORMAL"),
        Sample("OCT2017 /val/DRUSEN/DRUSEN-1-1.jpeg", 1, "DRUSEN"),
    ]


def test_retina_oct_counts_a_second_copy_of_the_archive_once(tmp_path):
    for prefix in ("OCT2017 ", "oct2017/OCT2017 "):
        touch(tmp_path, f"{prefix}/train/NORMAL/1.jpeg", f"{prefix}/train/CNV/1.jpeg")
        touch(tmp_path, f"{prefix}/test/CNV/1.jpeg")
    touch(tmp_path, "oct2017/OCT2017 /train/CNV/2.jpeg")
    # Two different images that happen to share a name both count, also if they have one size.
    touch(tmp_path, "OCT2017 /train/CNV/3.jpeg", "clinic/train/CNV/3.jpeg")
    (tmp_path / "clinic/train/CNV/3.jpeg").write_bytes(b"other")
    touch(tmp_path, "OCT2017 /train/CNV/4.jpeg", "clinic/train/CNV/4.jpeg")
    for place, content in (("OCT2017 ", b"one"), ("clinic", b"two")):
        (tmp_path / place / "train/CNV/4.jpeg").write_bytes(content)
    assert [sample.path for sample in list_samples("retina_oct", tmp_path)] == [
        "OCT2017 /test/CNV/1.jpeg",
        "OCT2017 /train/CNV/1.jpeg",
        "OCT2017 /train/CNV/3.jpeg",
        "OCT2017 /train/CNV/4.jpeg",
        "OCT2017 /train/NORMAL/1.jpeg",
        "clinic/train/CNV/3.jpeg",
        "clinic/train/CNV/4.jpeg",
        "oct2017/OCT2017 /train/CNV/2.jpeg",
    ]


def test_folder_lists_recursively_with_masks(tmp_path):
    touch(
        tmp_path,
        "normal/a.png",
        "normal/line1/b.TIF",
        "abnormal/a.jpg",
        "abnormal/crack/b.webp",
        "abnormal/c.bmp",
        "masks/a.png",
        "masks/crack/b.png",
        "masks/c.TIFF",
        "masks/c.bmp",
        "abnormal/.git/d.png",
        "abnormal/notes.txt",
    )
    assert list_samples("folder", tmp_path) == [
        Sample("abnormal/a.jpg", 1, "abnormal", ("masks/a.png",)),
        Sample("abnormal/c.bmp", 1, "abnormal", ("masks/c.TIFF", "masks/c.bmp")),
        Sample("abnormal/crack/b.webp", 1, "crack", ("masks/crack/b.png",)),
        Sample("normal/a.png", 0, "normal"),
        Sample("normal/line1/b.TIF", 0, "line1"),
    ]


@pytest.mark.parametrize("stray", ["d.png", "normal/a.png", "abnormal/b.png", "crack/n.png"])
def test_folder_masks_belong_to_abnormal_images(tmp_path, stray):
    touch(tmp_path, "normal/a.png", "normal/crack/n.png", "abnormal/b.png", "masks/b.png")
    touch(tmp_path, f"masks/{stray}")
    needed = f"abnormal/{stray.removesuffix('.png')}.*"
    with refuses(file=f"masks/{stray}", facts=(str(tmp_path), needed)):
        list_samples("folder", tmp_path)


def test_a_normal_image_has_no_mask_whatever_its_name(tmp_path):
    touch(tmp_path, "normal/a.png", "abnormal/a.png", "abnormal/normal/a.png")
    touch(tmp_path, "masks/a.png", "masks/normal/a.png")
    masks = {sample.path: sample.mask for sample in list_samples("folder", tmp_path)}
    assert masks == {
        "abnormal/a.png": ("masks/a.png",),
        "abnormal/normal/a.png": ("masks/normal/a.png",),
        "normal/a.png": (),
    }


def test_mvtec_masks_without_an_image_are_refused(tmp_path):
    touch(tmp_path, "train/good/0.png", *(f"test/crack/00{i}.png" for i in range(4)))
    touch(tmp_path, *(f"ground_truth/crack/00{i}_truth.png" for i in range(4)))
    touch(tmp_path, "ground_truth/unknown/000_mask.png", "ground_truth/good/9_mask.png")
    with refuses(
        file="ground_truth/crack/000_truth.png",
        facts=("002_truth.png, ...", "4", "test/crack/000_truth.*"),
    ) as caught:
        list_samples("mvtec", tmp_path)
    assert "003_truth" not in str(caught.value) and "unknown/" not in str(caught.value)


def test_order_is_by_code_points_of_the_whole_path(tmp_path):
    touch(tmp_path, "normal/b.png", "normal/B.png", "normal/a/z.png", "normal/a-1.png")
    touch(tmp_path, "abnormal/10.png", "abnormal/9.png", "abnormal/é.png")
    assert [sample.path for sample in list_samples("folder", tmp_path)] == [
        "abnormal/10.png",
        "abnormal/9.png",
        "abnormal/é.png",
        "normal/B.png",
        "normal/a-1.png",
        "normal/a/z.png",
        "normal/b.png",
    ]


def test_linked_folders_count_once_and_broken_links_are_kept(tmp_path):
    touch(tmp_path, "elsewhere/x.png", "normal/a.png", "abnormal/b.png")
    os.symlink(tmp_path / "normal", tmp_path / "normal" / "loop")
    os.symlink(tmp_path / "elsewhere", tmp_path / "abnormal" / "linked")
    os.symlink(tmp_path / "gone.png", tmp_path / "abnormal" / "broken.png")
    assert [sample.path for sample in list_samples("folder", tmp_path)] == [
        "abnormal/b.png",
        "abnormal/broken.png",
        "abnormal/linked/x.png",
        "normal/a.png",
    ]


def test_exclude_by_path_or_name(tmp_path):
    touch(tmp_path, "no/a.png", "no/b.png", "yes/a.png", "yes/c.png")
    by_path = list_samples("brain_mri", tmp_path, exclude=["no/a.png"])
    assert [sample.path for sample in by_path] == ["no/b.png", "yes/a.png", "yes/c.png"]
    by_name = list_samples("brain_mri", tmp_path, exclude=["a.png"])
    assert [sample.path for sample in by_name] == ["no/b.png", "yes/c.png"]


def test_exclude_in_the_spelling_of_another_system(tmp_path):
    touch(
        tmp_path, "normal/sub/caf\u00e9.png", "normal/e\u0301.png", "normal/a.png", "abnormal/b.png"
    )
    listed = list_samples("folder", tmp_path, exclude=["normal\\sub\\cafe\u0301.png", "\u00e9.png"])
    assert [sample.path for sample in listed] == ["abnormal/b.png", "normal/a.png"]


def test_exclude_by_the_exact_name_before_one_that_looks_the_same(tmp_path):
    both = ["normal/\u00e9.png", "normal/e\u0301.png"]
    touch(tmp_path, *both, "normal/x.png", "normal/back\\slash.png", "abnormal/b.png")
    for name, other in (both, both[::-1]):
        left = {sample.path for sample in list_samples("folder", tmp_path, exclude=[name])}
        assert other in left and name not in left
    left = list_samples("folder", tmp_path, exclude=["back\\slash.png"])
    assert len(left) == 4


def test_mvtec_folders_match_in_either_unicode_form(tmp_path):
    composed, decomposed = "\u00e9", "e\u0301"
    touch(tmp_path, "train/good/0.png", f"test/{composed}/0.png")
    touch(tmp_path, f"ground_truth/{decomposed}/0_mask.png")
    masks = {sample.path: sample.mask for sample in list_samples("mvtec", tmp_path)}
    assert masks == {
        f"test/{composed}/0.png": (f"ground_truth/{decomposed}/0_mask.png",),
        "train/good/0.png": (),
    }


def test_what_systems_put_beside_images_does_not_count(tmp_path):
    files = ["normal/a.jfif", "normal/b.JPE", "normal/c.jif", "abnormal/d.apng", "normal/e.DIB"]
    beside = ["@eaDir/a.jfif/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/x.png", "lost+found/x.png"]
    beside += [
        "System Volume Information/x.png",
        "__MACOSX/x.png",
        "#recycle/x.png",
        ".Trash/x.png",
    ]
    touch(tmp_path, *files, *(f"normal/{path}" for path in beside))
    assert sorted(sample.path for sample in list_samples("folder", tmp_path)) == sorted(files)


def test_breast_ultrasound_masks_in_other_spellings(tmp_path):
    touch(tmp_path, "normal/n.png", "malignant/m.png")
    touch(tmp_path, "benign/e\u0301.png", "benign/\u00e9_MASK.png", "benign/e\u0301_mask_1.png")
    (found,) = (s for s in list_samples("breast_ultrasound", tmp_path) if s.kind == "benign")
    assert set(found.mask) == {"benign/\u00e9_MASK.png", "benign/e\u0301_mask_1.png"}


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    touch(tmp_path, "normal/a.png", "abnormal/b.png")
    (tmp_path / "normal" / "loop.png").symlink_to("loop.png")
    (tmp_path / "normal" / "folder").symlink_to("folder")
    paths = [sample.path for sample in list_samples("folder", tmp_path)]
    assert paths == ["abnormal/b.png", "normal/a.png", "normal/loop.png"]


def test_exclude_of_an_unknown_name_is_an_error(tmp_path):
    touch(tmp_path, "no/a.png", "yes/b.png")
    with refuses(setting="dataset.exclude", facts="'z.png'"):
        list_samples("brain_mri", tmp_path, exclude=["a.png", "z.png"])


@pytest.mark.parametrize("layout", ["mvtec", "brain_mri", "folder", "retina_oct"])
def test_a_folder_that_may_not_be_read_does_not_lack_the_layout(tmp_path, monkeypatch, layout):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with refuses(facts="Permission denied"):
        has_layout(layout, tmp_path)


@pytest.mark.parametrize("layout", ["mvtec", "brain_mri", "breast_ultrasound", "retina_oct"])
def test_listing_a_folder_without_the_layout_is_an_error(tmp_path, layout):
    touch(tmp_path, "train/something/a.png")
    with refuses(file=tmp_path, remedy="dataset.root=PATH"):
        list_samples(layout, tmp_path)


def test_find_root_prefers_the_first_folder(tmp_path):
    for folder in ("a", "b/c"):
        touch(tmp_path / folder, "no/0.png", "yes/0.png")
    for folders, first in ((["absent", "b/c", "a"], "b/c"), (["b", "a", "b/c"], "a")):
        found = find_root(tmp_path, folders, "brain_mri", dataset="brain_mri", source="")
        assert found == tmp_path / first


def test_find_root_says_where_it_looked_and_how_to_get_the_dataset(tmp_path):
    data = tmp_path / "data"
    looked = [f"'{data / folder}'" for folder in ("brain_mri", "archive/inner")]
    with refuses(
        file=data, facts=("brain_mri", "no/", "yes/", *looked), remedy="get it from the archive"
    ):
        find_root(
            data,
            ["brain_mri", "archive/inner"],
            "brain_mri",
            dataset="brain_mri",
            source="get it from the archive",
        )


@needs_shared_data
def test_real_brain_mri():
    root = find_root(SHARED_DATA, ["brain_mri"], "brain_mri", dataset="brain_mri", source="")
    labels = [sample.label for sample in list_samples("brain_mri", root)]
    assert (labels.count(0), labels.count(1)) == (98, 155)


@needs_shared_data
def test_real_screw():
    root = find_root(SHARED_DATA, ["mvtec_ad/screw"], "mvtec", dataset="screw", source="")
    samples = list_samples("mvtec", root)
    labels = [sample.label for sample in samples]
    assert (labels.count(0), labels.count(1)) == (361, 119)
    masked = [sample for sample in samples if sample.mask]
    assert 0 < len(masked) < 119  # not all were found again
    assert all((root / sample.mask[0]).is_file() for sample in masked)
    assert has_layout("mvtec", root)


def test_a_folder_of_normal_images_only_is_listed(tmp_path):
    touch(tmp_path, "normal/a.png", "normal/deeper/b.png")
    assert has_layout("folder", tmp_path)
    assert [(sample.path, sample.label) for sample in list_samples("folder", tmp_path)] == [
        ("normal/a.png", 0),
        ("normal/deeper/b.png", 0),
    ]
    (tmp_path / "normal").rename(tmp_path / "abnormal")
    with refuses(file=tmp_path, facts="abnormal", remedy="dataset.normal=NAME"):
        list_samples("folder", tmp_path)
