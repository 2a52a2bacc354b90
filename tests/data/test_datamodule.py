"""The data of a run: splits, batches as a training sees them, masks, bad files."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from errors import refuses
from PIL import Image
from tiny import draw_folder
from torch import Tensor

from cyclegan_ad.data import datamodule, device_batches
from cyclegan_ad.data.affine import transform
from cyclegan_ad.data.augment import dihedral
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.data.device_batches import CopiedBatches, ResidentBatches
from cyclegan_ad.data.images import decode_image, read_mask
from cyclegan_ad.data.layouts.sample import Labelling
from cyclegan_ad.data.notes import collect_notes, leaked_images
from cyclegan_ad.data.unpaired_batches import PairSampler

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]


def epoch(sampler: PairSampler, number: int) -> list[dict[str, np.ndarray]]:
    sampler.set_epoch(number)
    return list(sampler)


def same(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> bool:
    """Whether two epochs are equal, batch by batch."""
    return len(a) == len(b) and all(
        x.keys() == y.keys() and all(np.array_equal(x[name], y[name]) for name in x)
        for x, y in zip(a, b, strict=True)
    )


def module(root: Path, **changes: Any) -> AnomalyDataModule:
    arguments: dict[str, Any] = {
        "name": "plates",
        "layout": "folder",
        "root": root,
        "channels": 3,
        "window": None,
        "size_px": 16,
        "seed": 0,
        "batch_size": 2,
        "copies_per_epoch": 1,
        "augmentation": "dihedral",
        "classes": ("normal", "abnormal"),
        "calibration_fraction": 0.0,
        "normal_only": False,
        "exclude": [],
        "skip_unreadable": False,
        "storage": "auto",
        "memory_limit_mib": 1024,
        "cache_dir": root.parent / "cache",
        "images_on": "auto",
    }
    return AnomalyDataModule(**(arguments | changes))


def read(root: Path, **changes: Any) -> AnomalyDataModule:
    data = module(root, **changes)
    data.setup()
    return data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """9 normal and 6 abnormal images with masks."""
    return draw_folder(tmp_path / "plates")


def paths(data: AnomalyDataModule, subset: tuple[int, ...], label: int | None = None) -> list[str]:
    return [data.samples[i].path for i in subset if label in (None, data.samples[i].label)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_test_set_is_balanced_and_the_rest_trains(root: Path, seed: int) -> None:
    data = read(root, seed=seed)
    assert len(paths(data, data.split.test, 0)) == len(paths(data, data.split.test, 1)) == 3
    assert len(paths(data, data.split.train, 0)) == 6
    assert len(paths(data, data.split.train, 1)) == 3
    assert sorted(data.split.train + data.split.test) == list(range(15))
    assert paths(data, data.split.test) == sorted(paths(data, data.split.test))


def test_another_seed_splits_otherwise(root: Path) -> None:
    assert len({read(root, seed=seed).split.test for seed in range(3)}) == 3
    assert read(root, seed=0).split == read(root, seed=0, size_px=32, channels=1).split


def test_test_images_are_the_files_as_they_are(root: Path) -> None:
    data = read(root, augmentation="dihedral")
    images = data.images_at(data.split.test)
    assert images.shape == (6, 3, 16, 16) and images.dtype == torch.float32
    for i, image in zip(data.split.test, images, strict=True):
        sample = data.samples[i]
        assert sample.label == int(sample.path.startswith("abnormal"))
        content = (root / sample.path).read_bytes()
        pixels = torch.tensor(decode_image(content, 16, 3)).permute(2, 0, 1)
        torch.testing.assert_close(image, pixels.double().div(127.5).sub(1).float())
        assert torch.equal(image, data.test_image_of_path(sample.path))
    assert images.min() >= -1 and images.max() <= 1
    assert torch.equal(images, data.images_at(data.split.test))


class Recorder(pl.LightningModule):
    """Keeps the batches that a training sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: dict[int, list[dict[str, Tensor]]] = {}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        copy = {name: value.clone() for name, value in batch.items()}
        self.seen.setdefault(self.current_epoch, []).append(copy)
        return self.layer(torch.zeros(1, 1)).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(
    data: AnomalyDataModule, epochs: int, save: Path | None = None, load: Path | None = None
) -> dict[int, list[dict[str, Tensor]]]:
    """Batches by epoch, as Lightning hands them to a training."""
    recorder = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(recorder, datamodule=data, ckpt_path=load, weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    return recorder.seen


def equal(a: list[dict[str, Tensor]], b: list[dict[str, Tensor]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x[side], y[side])
        for x, y in zip(a, b, strict=True)
        for side in ("normal", "abnormal")
    )


def test_training_sees_the_drawn_files_turned_and_scaled(root: Path) -> None:
    (root / "abnormal" / "00.png").write_bytes(b"")  # skipped: rows of the store and samples differ
    data = read(root, copies_per_epoch=2, batch_size=5, skip_unreadable=True)
    seen = trained(data, 2)
    assert [len(batch["normal"]) for batch in seen[1]] == [5, 5, 4]
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, PairSampler)
    for number, batches in seen.items():
        for drawn, batch in zip(epoch(sampler, number), batches, strict=True):
            assert batch.keys() == {"normal", "abnormal"}
            for side, label in (("normal", 0), ("abnormal", 1)):
                assert {data.samples[i].label for i in drawn[side]} == {label}
                assert set(drawn[side]) <= set(data.split.train)
                contents = [(root / data.samples[i].path).read_bytes() for i in drawn[side]]
                files = [decode_image(content, 16, 3) for content in contents]
                stack = torch.from_numpy(np.stack(files)).permute(0, 3, 1, 2)
                turned = dihedral(stack, torch.from_numpy(drawn[f"{side}_symmetry"]))
                assert batch[side].dtype == torch.float32
                torch.testing.assert_close(batch[side], turned.float() / 127.5 - 1)
                assert batch[side].min() >= -1 and batch[side].max() <= 1


def test_affine_transformations_of_a_batch(root: Path) -> None:
    data = read(root, batch_size=4, augmentation="affine")
    seen = trained(data, 1)
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, PairSampler)
    for number, batches in seen.items():
        for drawn, batch in zip(epoch(sampler, number), batches, strict=True):
            for side in ("normal", "abnormal"):
                codes = torch.from_numpy(drawn[f"{side}_symmetry"])
                expected = transform(data.images_at(drawn[side]), codes)
                torch.testing.assert_close(batch[side], expected)
                assert codes.max() >= 8


@pytest.mark.parametrize("augmentation", ["dihedral", "affine", "flip", "none"])
def test_batches_are_drawn_by_the_settings_of_the_data(root: Path, augmentation: str) -> None:
    changes: dict[str, Any] = {"augmentation": augmentation, "batch_size": 4, "seed": 3}
    data = read(root, copies_per_epoch=5, **changes)
    train = np.array(data.split.train)
    labels = np.array([data.samples[i].label for i in train])
    classes = {"normal": train[labels == 0], "abnormal": train[labels == 1]}
    expected = PairSampler(classes, copies=5, **changes)
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, PairSampler)
    assert len(sampler) == 8
    assert same(epoch(sampler, 2), epoch(expected, 2))


@pytest.mark.parametrize(("side", "label"), [("normal", 0), ("abnormal", 1)])
def test_one_class_alone_trains(root: Path, side: str, label: int) -> None:
    data = read(root, classes=[side], batch_size=4)
    [batches] = trained(data, 1).values()
    assert [batch.keys() for batch in batches] == [{side}] * len(batches)
    assert data.trained_labels == [label]
    of_class = data.train_indices(label)
    assert [len(batch[side]) for batch in batches] == ([4, 2] if label == 0 else [3])
    assert {data.samples[i].path for i in of_class} == set(paths(data, data.split.train, label))
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, PairSampler)
    drawn = epoch(sampler, 0)
    assert sorted(i for batch in drawn for i in batch[side]) == of_class
    for columns, batch in zip(drawn, batches, strict=True):
        turned = dihedral(
            data.images_at(columns[side]), torch.from_numpy(columns[f"{side}_symmetry"])
        )
        torch.testing.assert_close(batch[side], turned)


def test_a_resumed_training_sees_the_batches_of_an_uninterrupted_one(
    root: Path, tmp_path: Path
) -> None:
    data = read(root)
    whole = trained(data, 3)
    assert list(whole) == [0, 1, 2]
    assert not equal(whole[1], whole[2])  # Lightning tells the sampler its epoch
    checkpoint = tmp_path / "one.ckpt"
    first = trained(read(root), 1, save=checkpoint)
    rest = trained(read(root), 3, load=checkpoint)
    assert (list(first), list(rest)) == ([0], [1, 2])
    assert all(equal(whole[number], (first | rest)[number]) for number in range(3))


class PlainCopies:
    """In place of the copies to a GPU."""

    def __init__(self, device: torch.device) -> None:
        pass

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def send(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], None]:
        return batch, None

    def receive(self, batch: dict[str, Tensor], sent: None) -> dict[str, Tensor]:
        return batch


@pytest.mark.parametrize("kind", [ResidentBatches, CopiedBatches])
def test_batches_of_a_gpu_train_the_same_also_when_resumed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    expected = trained(read(root), 3)
    monkeypatch.setattr(device_batches, "CopyStream", PlainCopies)
    monkeypatch.setattr(
        datamodule,
        "make_batches",
        lambda device, images, rows, sampler, place: (kind(images, rows, sampler, device), ""),
    )
    checkpoint = tmp_path / "one.ckpt"
    first = trained(read(root), 1, save=checkpoint)
    rest = trained(read(root), 3, load=checkpoint)
    assert (list(first), list(rest)) == ([0], [1, 2])
    assert all(equal(expected[number], (first | rest)[number]) for number in range(3))


def test_the_first_process_says_where_the_images_are(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device_batches, "free_memory", lambda device: 2**20)
    data = read(root, images_on="host")
    words = "plates: the training images (0 MiB) stay in host memory and are copied to meta"
    for rank, said in ((0, f"{words} batch by batch\n"), (1, "")):
        data.trainer = SimpleNamespace(  # type: ignore[assignment]
            world_size=2,
            global_rank=rank,
            strategy=SimpleNamespace(root_device=torch.device("meta")),
        )
        assert isinstance(data.train_dataloader(), CopiedBatches)
        assert capsys.readouterr().out == said
    data.images_on = "auto"
    assert isinstance(data.training_batches(torch.device("meta")), ResidentBatches)
    assert isinstance(data.train_dataloader(), ResidentBatches)


def test_batches_without_a_training(root: Path) -> None:
    data = read(root, batch_size=4)
    [seen] = trained(read(root, batch_size=4), 1).values()
    alone = [data.augment(batch) for batch in data.training_batches(torch.device("cpu"))]
    assert equal(alone, seen)
    exact = next(iter(data.training_batches(torch.device("cpu"))))
    assert data.augment(exact, torch.float64)["normal"].dtype == torch.float64


def test_each_rank_gets_its_share(root: Path) -> None:
    data = read(root, copies_per_epoch=2, batch_size=2)
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=2,
        global_rank=1,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, PairSampler)
    assert (sampler.ranks, sampler.rank, len(sampler)) == (2, 1, 3)
    joint = read(root, copies_per_epoch=2, batch_size=4).train_dataloader().sampler
    expected = [{name: column[1::2] for name, column in b.items()} for b in joint]
    assert same(epoch(sampler, 0), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_disk_and_memory_give_the_same_batches(root: Path, channels: int) -> None:
    (root / "normal" / "00.png").write_bytes(b"damaged")  # rows of the store and samples differ
    changes: dict[str, Any] = {"channels": channels, "skip_unreadable": True}
    memory = read(root, storage="memory", **changes)
    disk = read(root, storage="disk", **changes)
    small = read(root, storage="auto", memory_limit_mib=0, **changes)
    assert not isinstance(memory.images, np.memmap)
    assert isinstance(disk.images, np.memmap) and isinstance(small.images, np.memmap)
    assert memory.split == disk.split
    assert memory.sha256 == disk.sha256
    assert memory.split_rows() == disk.split_rows()
    test = memory.split.test
    assert torch.equal(memory.images_at(test), disk.images_at(test))
    for one, other in zip(memory.train_dataloader(), disk.train_dataloader(), strict=True):
        assert one["normal"].shape[1:] == (channels, 16, 16)
        assert all(torch.equal(one[name], other[name]) for name in one)


def damage(root: Path) -> dict[str, str]:
    """Spoil three files; path -> what is to be said of each."""
    (root / "normal" / "01.png").write_bytes(b"")
    (root / "normal" / "05.png").write_bytes((root / "normal" / "04.png").read_bytes()[:90])
    (root / "abnormal" / "03.png").write_text("not an image")
    return {
        "normal/01.png": "empty file",
        "normal/05.png": "damaged",
        "abnormal/03.png": "not a PNG",
    }


def test_all_unreadable_files_are_named(root: Path) -> None:
    damaged = damage(root)
    named = [f"{path} ({reason}" for path, reason in damaged.items()]
    with refuses(file=root, facts=("3 of 15", *named), remedy="dataset.skip_unreadable=true"):
        read(root)


def test_unreadable_files_are_skipped_and_recorded(root: Path) -> None:
    damaged = damage(root)
    data = read(root, skip_unreadable=True)
    assert data.unreadable.keys() == damaged.keys()
    assert len(data.samples) == 12
    assert not {sample.path for sample in data.samples} & damaged.keys()
    assert len(data.split.test) == 4  # 7 normal and 5 abnormal are left
    for i in (*data.split.test, *data.split.train):
        path = root / data.samples[i].path
        pixels = torch.tensor(decode_image(path.read_bytes(), 16, 3)).permute(2, 0, 1)
        torch.testing.assert_close(data.images_at([i])[0], pixels / 127.5 - 1)
    rows = {row[0]: row[1:] for row in data.split_rows()}
    assert len(rows) == 15 + 2  # the masks of two abnormal test images
    for path in damaged:
        sha256 = hashlib.sha256((root / path).read_bytes()).hexdigest()
        assert rows[path] == (sha256, -1, "unreadable", "")
    assert list(rows) == sorted(rows)


@pytest.mark.parametrize(("normal", "abnormal"), [(1, 5), (5, 1), (0, 4), (4, 0)])
def test_a_class_with_fewer_than_two_images(tmp_path: Path, normal: int, abnormal: int) -> None:
    root = draw_folder(tmp_path / "few", normal=normal, abnormal=abnormal)
    for name in ("normal", "abnormal"):
        (root / name).mkdir(exist_ok=True)
    count = min(normal, abnormal)
    word = "normal" if normal == count else "abnormal"
    with refuses(file=root, facts=("plates", f"{count} {word}"), remedy="dataset.root=PATH"):
        read(root)


def test_a_class_of_which_only_one_image_is_readable(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "few", normal=4, abnormal=2)
    (root / "abnormal" / "01.png").write_bytes(b"")
    with refuses(file=root, facts=("1 abnormal", "1 unreadable")):
        read(root, skip_unreadable=True)
    with refuses(file="abnormal/01.png", facts="1 of 6"):
        read(root)


def test_two_images_a_class_are_enough(tmp_path: Path) -> None:
    data = read(draw_folder(tmp_path / "few", normal=2, abnormal=2), batch_size=16)
    assert (len(data.split.train), len(data.split.test)) == (2, 2)
    [batch] = data.train_dataloader()
    assert batch["normal"].shape == batch["abnormal"].shape == (1, 3, 16, 16)


def test_test_images_that_are_also_trained_on(root: Path) -> None:
    clean = read(root)
    assert leaked_images(clean) == []
    test, train = paths(clean, clean.split.test, 0), paths(clean, clean.split.train, 0)
    (root / test[1]).write_bytes((root / train[2]).read_bytes())
    (root / test[0]).write_bytes((root / test[2]).read_bytes())  # both in the test set: no leak
    (root / train[0]).write_bytes((root / train[1]).read_bytes())
    data = read(root)
    assert data.split == clean.split
    assert leaked_images(data) == [test[1]]


def test_images_of_a_class_that_does_not_train_are_not_leaked(root: Path) -> None:
    data = read(root)
    test, train = paths(data, data.split.test, 1)[0], paths(data, data.split.train, 1)[0]
    (root / test).write_bytes((root / train).read_bytes())
    assert leaked_images(read(root)) == [test]
    assert leaked_images(read(root, classes=["normal"])) == []


def test_calibration_images_neither_train_nor_test(root: Path) -> None:
    without, data = read(root), read(root, calibration_fraction=0.5)
    kept = paths(data, data.split.calibration)
    assert len(kept) == 2 and set(kept) < set(paths(without, without.split.train, 1))
    assert data.split.test == without.split.test
    assert data.train_indices(0) == without.train_indices(0)
    subsets = {row[0]: row[3] for row in data.split_rows()}
    assert [path for path, subset in subsets.items() if subset == "calibration"] == sorted(kept)
    for row in without.split_rows():
        assert subsets[row[0]] == ("calibration" if row[0] in kept else row[3])
    drawn = {i for batch in epoch(data.train_dataloader().sampler, 0) for i in batch["abnormal"]}
    assert drawn == set(data.train_indices(1)) and not drawn & set(data.split.calibration)
    assert all(data.ground_truth(i) is None for i in data.split.calibration)


def test_too_few_abnormal_images_to_calibrate(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "few", normal=4, abnormal=2)
    assert read(root).split.calibration == ()
    with refuses(
        setting="protocol.calibration_fraction",
        value=0.25,
        facts=("plates", "1 abnormal"),
        remedy="protocol=crossfit",
    ):
        read(root, calibration_fraction=0.25)


def test_copies_of_calibration_images_do_not_train(root: Path) -> None:
    clean = read(root, calibration_fraction=0.3)
    [kept], trained_on = paths(clean, clean.split.calibration), paths(clean, clean.split.train, 1)
    tested = paths(clean, clean.split.test, 1)
    (root / kept).write_bytes((root / tested[0]).read_bytes())  # no threshold from a test image
    copied = read(root, calibration_fraction=0.3)
    assert kept not in paths(copied, copied.split.calibration)
    assert leaked_images(copied) == [tested[0]]
    (root / kept).write_bytes((root / trained_on[0]).read_bytes())
    (root / tested[1]).write_bytes((root / trained_on[1]).read_bytes())
    data = read(root, calibration_fraction=0.3)
    assert paths(data, data.split.calibration) == sorted([kept, trained_on[0]])
    assert paths(data, data.split.train, 1) == [trained_on[1]]
    assert leaked_images(data) == [tested[1]]
    (root / trained_on[1]).write_bytes((root / kept).read_bytes())  # but one has to train
    data = read(root, calibration_fraction=0.3)
    assert paths(data, data.split.calibration) == leaked_images(data) == [kept]


def test_images_for_tuning_do_not_train(root: Path) -> None:
    without, data = read(root), read(root, tuning_fraction=0.34)
    tuned = paths(data, data.split.tuning)
    assert [len(paths(data, data.split.tuning, label)) for label in (0, 1)] == [2, 1]
    assert data.split.test == without.split.test
    subsets = {row[0]: row[3] for row in data.split_rows()}
    for row in without.split_rows():
        assert subsets[row[0]] == ("tuning" if row[0] in tuned else row[3])
    drawn = [batch for batch in epoch(data.train_dataloader().sampler, 0)]
    for name, label in (("normal", 0), ("abnormal", 1)):
        assert {i for batch in drawn for i in batch[name]} == set(data.train_indices(label))
    assert not set(data.split.tuning) & {*data.train_indices(0), *data.train_indices(1)}


def test_abnormal_images_beyond_the_limit_are_listed_and_not_used(root: Path) -> None:
    without, data = read(root), read(root, max_abnormal=1)
    assert data.split.test == without.split.test
    assert data.train_indices(0) == without.train_indices(0)
    assert len(data.train_indices(1)) == 1 and len(data.split.unused) == 2
    unused = [row[0] for row in data.split_rows() if row[3] == "unused"]
    assert unused == paths(data, data.split.unused, 1)
    assert "2 abnormal images not used, as dataset.max_abnormal=1" in list(collect_notes(data))
    whole = read(root, max_abnormal=3)
    assert whole.split == without.split
    assert not any("max_abnormal" in note for note in collect_notes(whole))
    assert any(
        "=4 limits nothing: there are 3" in n for n in collect_notes(read(root, max_abnormal=4))
    )


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"normal": 4, "abnormal": 2}, ("add abnormal images", "score=signals")),
        ({"max_abnormal": 1}, ("a larger dataset.max_abnormal", "score=signals")),
    ],
)
def test_too_few_abnormal_images_to_tune(
    tmp_path: Path, changes: dict[str, int], remedy: str | tuple[str, ...]
) -> None:
    counts = {name: changes.pop(name) for name in ("normal", "abnormal") if name in changes}
    root = draw_folder(tmp_path / "few", **counts)
    with refuses(
        setting="method.tuning_fraction",
        value=0.2,
        facts=("plates", "1 abnormal image"),
        remedy=remedy,
    ):
        read(root, tuning_fraction=0.2, **changes)


def test_a_limit_leaves_too_few_images_to_calibrate(root: Path) -> None:
    with refuses(
        setting="protocol.calibration_fraction",
        value=0.25,
        facts="dataset.max_abnormal=1",
        remedy="a larger dataset.max_abnormal",
    ):
        read(root, calibration_fraction=0.25, max_abnormal=1)


def test_masks_of_the_test_set(root: Path) -> None:
    lost = paths(read(root), read(root).split.test, 1)[0]
    (root / lost.replace("abnormal", "masks")).unlink()
    data = read(root)
    known = 0
    for i, sample in enumerate(data.samples):
        truth = data.ground_truth(i)
        if sample.label == 0:
            assert truth is not None and truth.shape == (16, 16) and truth.dtype == bool
            assert not truth.any()
        elif i in data.split.train or sample.path == lost:
            assert truth is None
        else:
            mask = root / sample.path.replace("abnormal", "masks")
            np.testing.assert_array_equal(truth, read_mask(mask, 16))
            assert truth is not None and 0 < truth.mean() < 0.5
            known += 1
    assert known == 2


def damage_masks(root: Path) -> tuple[list[str], list[str]]:
    """Spoil the masks of two test images and a training image; all masks, images of the two."""
    data = read(root)
    images = paths(data, data.split.test, 1)[:2]
    spoilt = sorted((*images, paths(data, data.split.train, 1)[0]))
    for path in spoilt:
        (root / path.replace("abnormal", "masks")).write_bytes(b"")
    return [path.replace("abnormal", "masks") for path in spoilt], images


def test_all_unreadable_masks_are_named_whichever_image_is_tested(root: Path) -> None:
    masks, _ = damage_masks(root)
    data = module(root)
    for _ in range(2):  # a second attempt does not pass for done
        with refuses(file=root, facts=("3 of 6", *masks), remedy="dataset.skip_unreadable=true"):
            data.setup()


def test_unreadable_masks_are_skipped_and_recorded(root: Path) -> None:
    whole = read(root)
    masks, images = damage_masks(root)
    (root / "normal" / "01.png").write_bytes(b"")
    data = read(root, skip_unreadable=True)
    assert data.unreadable == dict.fromkeys(["normal/01.png", *masks], "empty file")
    rows = data.split_rows()
    assert len(rows) == len(whole.split_rows()) + 1 and rows == sorted(rows)
    empty = hashlib.sha256(b"").hexdigest()
    assert [row for row in rows if row[0] in masks] == [
        (mask, empty, -1, "unreadable", "") for mask in masks
    ]
    assert paths(data, data.split.test, 1) == paths(whole, whole.split.test, 1)
    known = [data.samples[i].path for i in data.split.test if data.ground_truth(i) is not None]
    assert set(paths(data, data.split.test)) - set(known) == set(images)


def test_images_are_read_once_and_progress_is_told(root: Path) -> None:
    told: list[Any] = []

    @contextmanager
    def progress(what: str) -> Iterator[Any]:
        told.append(what)
        yield lambda done, total: told.append((done, total))

    data = module(root, progress=progress)
    data.setup("fit")
    data.setup("test")
    assert told == ["reading plates", *[(done, 15) for done in range(1, 16)]]


def test_excluded_images_are_in_neither_subset(root: Path) -> None:
    data = read(root, exclude=["normal/02.png"])
    assert len(data.samples) == 14
    assert "normal/02.png" not in {row[0] for row in data.split_rows()}
    with refuses(file="normal/99.png"):
        read(root, exclude=["normal/99.png"])


def test_grey_and_coloured_files_become_what_was_asked_for(root: Path) -> None:
    Image.new("RGB", (40, 20), (200, 0, 0)).save(root / "normal" / "00.png")
    for channels in (1, 3):
        data = read(root, channels=channels)
        i = [sample.path for sample in data.samples].index("normal/00.png")
        image = data.images_at([i])[0]
        assert image.shape == (channels, 16, 16)
        levels = torch.tensor([60.0]) if channels == 1 else torch.tensor([200.0, 0.0, 0.0])
        expected = (levels / 127.5 - 1).view(-1, 1, 1).expand(channels, 16, 16)
        torch.testing.assert_close(image, expected)


def test_split_rows_name_every_image(root: Path) -> None:
    data = read(root)
    rows = data.split_rows()
    images = [row for row in rows if row[3] != "mask"]
    assert [row[0] for row in images] == [sample.path for sample in data.samples]
    for row, sample, sha256 in zip(images, data.samples, data.sha256, strict=True):
        assert row[1:3] == (sha256, sample.label)
    assert [row[3] for row in rows].count("test") == 6
    masks = {row[0]: row[1:] for row in rows if row[3] == "mask"}
    assert masks == {
        mask: (hashlib.sha256((root / mask).read_bytes()).hexdigest(), -1, "mask", "")
        for i in data.split.test
        for mask in data.samples[i].mask
    }


def test_masks_that_mark_nothing_are_no_ground_truth(root: Path) -> None:
    whole = read(root)
    black, other = paths(whole, whole.split.test, 1)[:2]
    Image.new("L", (32, 32)).save(root / black.replace("abnormal", "masks"))
    data = read(root)
    known = {data.samples[i].path for i in data.split.test if data.ground_truth(i) is not None}
    assert black not in known and other in known
    assert list(collect_notes(data)) == [
        f"the masks of 1 abnormal image are all black ({black}); they are treated as missing"
    ]
    for sample in whole.samples:
        if sample.mask:
            inverted = ~read_mask(root / sample.mask[0], 32)
            Image.fromarray(inverted).save(root / sample.mask[0])
    (note,) = collect_notes(read(root))
    assert note.startswith(
        "the masks of 6 images cover more than half of the image (abnormal/00.png, "
    )


def test_notes_on_images(root: Path) -> None:
    assert list(collect_notes(read(root))) == []
    for i, path in enumerate(sorted(root.glob("*/*.png"))):
        if path.parent.name != "masks":
            dark = np.full((32, 32), 16, np.uint8)
            dark[i % 32, i // 32] = 0
            Image.fromarray(dark).save(path)
    shutil.copy(root / "abnormal" / "00.png", root / "abnormal" / "copy.png")
    (root / "normal" / "photo.cr2").touch()
    (root / "Masks").mkdir()
    (root / "abnormal" / "copy.png").rename(root / "abnormal" / "copy_mask.png")
    others, unread, named, dark, *leaked = collect_notes(read(root))
    assert unread == "folders that are not part of layout folder ignored: Masks"
    assert named.startswith("1 image is named like a mask (abnormal/copy_mask.png)")
    assert others == "1 file without an image suffix (.cr2 1) ignored"
    assert dark.startswith("the brightest pixel of all images is 16 of 255; brighten them")
    subsets = {row[0]: row[3] for row in read(root).split_rows()}
    parted = subsets["abnormal/00.png"] != subsets["abnormal/copy_mask.png"]
    assert ["byte-identical to a training image" in note for note in leaked] == [True] * parted
    assert list(collect_notes(read(root, keep_copies_together=True)))[:4] == [
        *(others, unread, named, dark)
    ]


def test_a_file_of_both_classes_is_noted_for_a_dataset_of_the_paper(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "mri")
    (root / "normal").rename(root / "no")
    (root / "abnormal").rename(root / "yes")
    shutil.copy(root / "no" / "00.png", root / "yes" / "copy.png")
    assert any(
        note == "2 files are byte-identical to a file of the other class (no/00.png, yes/copy.png)"
        for note in collect_notes(read(root, layout="brain_mri"))
    )


def test_12_bit_data_in_16_bit_files_need_a_window(root: Path) -> None:
    plain = read(root)
    for path in [*root.glob("normal/*"), *root.glob("abnormal/*")]:
        with Image.open(path) as image:
            values = np.asarray(image).astype(np.uint16) * 16
        Image.fromarray(values).save(path)
    with refuses(file=root, facts=("15 of 15", "3680 of 65535"), remedy="dataset.window=[0,4095]"):
        read(root)
    data = read(root, window=(0, 255 * 16))  # 255 is white again
    np.testing.assert_array_equal(data.images[data.rows], plain.images[plain.rows])
    assert data.masks.truth.keys() == plain.masks.truth.keys()
    assert read(root, window=(0, 65535)).images.max() <= 16
    Image.new("L", (32, 32)).save(root / "normal" / "00.png")
    with refuses(file=root, facts=("1 of 15", "normal/00.png", "dataset.window does not apply")):
        read(root, window=(0, 4095))
    shutil.copy(root / "masks" / "00.png", root / "abnormal" / "00.png")
    data = read(root, window=(0, 4095), skip_unreadable=True)
    assert data.unreadable.keys() == {"normal/00.png", "abnormal/00.png"}


def test_odd_files_are_unreadable_and_block_nothing(root: Path) -> None:
    (root / "normal" / "loop.png").symlink_to("loop.png")
    (root / "normal" / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(root / "abnormal" / "pipe.png")
    data = read(root, skip_unreadable=True)
    assert data.unreadable == {
        "abnormal/pipe.png": "cannot be read (not a regular file)",
        "normal/loop.png": "cannot be read (Too many levels of symbolic links)",
        "normal/zero.png": "cannot be read (not a regular file)",
    }
    assert {row for row in data.split_rows() if row[3] == "unreadable"} == {
        (path, "", -1, "unreadable", "") for path in data.unreadable
    }


def test_groups_are_kept_together_and_recorded(root: Path) -> None:
    pattern = Labelling(group=r"/(\d)\d*\.|(?<=/)0")  # all images are 0x.png
    with refuses(setting="dataset.group", facts="9 normal images"):
        read(root, labelling=pattern)
    for folder in ("normal", "abnormal"):  # pairs 00 and 01, 02 and 03, ...
        for path in sorted((root / folder).iterdir()):
            number = int(path.stem)
            target = root / "parts" / folder / f"P{number // 2}_{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    data = read(root / "parts", labelling=Labelling(group=r"P\d"), keep_copies_together=True)
    subsets = data.split.subsets()
    of_group = {(data.groups[i], subsets[i]) for i in subsets}
    assert len(of_group) == len(set(data.groups)) == 5
    assert {row[0]: row[4] for row in data.split_rows()} == {
        sample.path: sample.path.partition("/")[2][:2] for sample in data.samples
    }
    counts = [len(paths(data, data.split.test, label)) for label in (0, 1)]
    assert counts == [3, 2]  # 3 of each are wanted, and no patient has a single abnormal image
    assert list(collect_notes(data)) == [
        "the test set has 3 normal and 2 abnormal images instead of 3 of each, as images of one "
        "group are kept together"
    ]


def test_copies_are_kept_together_if_asked_for(root: Path) -> None:
    for i in range(9, 12):
        shutil.copy(root / "normal" / "00.png", root / "normal" / f"{i}.png")
    copies = {f"normal/{name}.png" for name in ("00", "09", "9", "10", "11")}
    parted = set()
    for seed in range(6):
        for together in (True, False):
            data = read(root, seed=seed, keep_copies_together=together)
            subsets = data.split.subsets()
            found = {subsets[i] for i, one in enumerate(data.samples) if one.path in copies}
            assert len(found) == 1 or not together
            parted |= {together} if len(found) > 1 else set()
            assert {row[4] for row in data.split_rows()} == {""}
    assert parted == {False}


def test_a_file_in_both_classes_of_own_images_is_refused(root: Path) -> None:
    shutil.copy(root / "normal" / "03.png", root / "abnormal" / "copy.png")
    with refuses(facts=("normal/03.png", "abnormal/copy.png"), remedy="dataset.exclude"):
        read(root)
    read(root, exclude=["copy.png"])


def normal_images(root: Path, count: int) -> Path:
    draw_folder(root, normal=count, abnormal=1)
    for folder in ("abnormal", "masks"):
        shutil.rmtree(root / folder)
    return root


def test_normal_images_alone_are_trained_on_and_kept_out(tmp_path: Path) -> None:
    root = normal_images(tmp_path / "plates", 10)
    shutil.copy(root / "normal/00.png", root / "normal/copy.png")
    alone = {"normal_only": True, "calibration_fraction": 0.3, "classes": ["normal"]}
    for seed in range(5):
        data = read(root, seed=seed, **alone)
        assert 3 <= len(data.split.test) <= 4
        assert {row[2] for row in data.split_rows()} == {0}
        subsets = {path: subset for path, _, _, subset, _ in data.split_rows()}
        assert subsets["normal/00.png"] == subsets["normal/copy.png"]
        assert leaked_images(data) == []
        assert all(set(batch) == {"normal", "normal_symmetry"} for batch in data.train_dataloader())
    assert list(collect_notes(data)) == []


@pytest.mark.parametrize(
    ("classes", "remedy"),
    [
        (["normal"], ["protocol=quantile"]),
        (["normal", "abnormal"], ["ganomaly", "padim", "patchcore", "protocol=quantile"]),
    ],
)
def test_without_abnormal_images_it_is_said_what_needs_none(
    tmp_path: Path, classes: list[str], remedy: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = normal_images(tmp_path / "plates", 4)
    # No image is decoded for this.
    monkeypatch.setattr(datamodule, "load_images", lambda *_, **__: pytest.fail("decoded"))
    with refuses(file=root, facts=["plates", "0 abnormal images"], remedy=remedy) as found:
        read(root, classes=classes)
    assert ("padim" in str(found.value)) is (len(classes) == 2)


def test_a_quantile_is_refused_where_there_are_abnormal_images(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "plates", normal=4, abnormal=3)
    with refuses(
        setting="protocol",
        value="quantile",
        file=root,
        facts="3 abnormal images",
        remedy=["protocol=crossfit", "dataset.exclude"],
    ):
        read(root, normal_only=True, calibration_fraction=0.3, classes=["normal"])


def test_copies_of_one_normal_image_cannot_set_a_threshold(tmp_path: Path) -> None:
    root = normal_images(tmp_path / "plates", 1)
    shutil.copy(root / "normal/00.png", root / "normal/copy.png")
    with refuses(setting="protocol.calibration_fraction", facts="1 different normal image"):
        read(root, normal_only=True, calibration_fraction=0.3, classes=["normal"])
