"""Batches for a GPU: the same as on a CPU, wherever the images are kept."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from errors import refuses
from torch import Tensor
from torch.utils.data import DataLoader

from cyclegan_ad.data import device_batches
from cyclegan_ad.data.augment import dihedral
from cyclegan_ad.data.device_batches import (
    CopiedBatches,
    CopyStream,
    ResidentBatches,
    choose_place,
    free_memory,
    make_batches,
)
from cyclegan_ad.data.unpaired_batches import PairSampler

CPU = torch.device("cpu")
MIB = 2**20
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def store(channels: int) -> np.ndarray:
    """20 images of 8 px."""
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, channels), dtype=np.uint8)


# Index as the sampler draws it -> row: the file of row 3 could not be read.
ROWS = np.array([i for i in range(20) if i != 3])


def sampler(batch_size: int = 4, ranks: int = 1, rank: int = 0, **classes: Any) -> PairSampler:
    """Draws from 9 normal and 5 abnormal images; the others are in the test set."""
    return PairSampler(
        classes or {"normal": np.arange(0, 18, 2), "abnormal": np.array([1, 5, 7, 13, 17])},
        copies=2,
        augmentation="dihedral",
        batch_size=batch_size,
        seed=3,
        ranks=ranks,
        rank=rank,
    )


class PlainCopies(CopyStream):
    """In place of a GPU's copies: notes what it is asked for, and by which thread."""

    def __init__(self, device: torch.device) -> None:
        self.sent: list[int] = []
        self.threads: set[int] = set()
        self.received: list[int] = []
        STREAMS.append(self)

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.full(shape, 77, dtype=dtype)

    def send(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Any]:
        self.sent.append(len(self.sent))
        self.threads.add(threading.get_ident())
        return {name: value.clone() for name, value in batch.items()}, self.sent[-1]

    def receive(self, batch: dict[str, Tensor], sent: Any) -> dict[str, Tensor]:
        self.received.append(sent)
        return batch


STREAMS: list[PlainCopies] = []


@pytest.fixture(autouse=True)
def plain_copies(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    STREAMS.clear()
    if "gpu" not in request.node.name:
        monkeypatch.setattr(device_batches, "CopyStream", PlainCopies)


def as_ever(images: np.ndarray, drawn: PairSampler) -> Iterable[dict[str, Tensor]]:
    return make_batches(CPU, images, ROWS, drawn, "auto")[0]


def check_equal(
    batches: Iterable[dict[str, Tensor]], expected: Iterable[dict[str, Tensor]], device: str = "cpu"
) -> None:
    count = 0
    for one, other in zip(batches, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            assert one[name].device.type == device and one[name].dtype == value.dtype
            assert torch.equal(one[name].cpu(), value)
            if value.ndim == 4:
                assert one[name].is_contiguous(memory_format=torch.channels_last)
                turned = dihedral(one[name], one[f"{name}_symmetry"])
                assert torch.equal(turned.cpu(), dihedral(value, other[f"{name}_symmetry"]))
        count += 1
    assert count > 0


@pytest.mark.parametrize("kind", [ResidentBatches, CopiedBatches])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mapped", [False, True])
def test_the_same_batches_in_every_epoch(
    kind: type, channels: int, mapped: bool, tmp_path: Path
) -> None:
    images = store(channels)
    if mapped:
        np.save(tmp_path / "images.npy", images)
        images = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches, expected = kind(images, ROWS, sampler(), CPU), as_ever(images, sampler())
    assert len(batches) == 5
    for epoch in (0, 1, 1, 7):
        for some in (batches, expected):
            some.sampler.set_epoch(epoch)
        check_equal(batches, expected)


@pytest.mark.parametrize("kind", [ResidentBatches, CopiedBatches])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_share_of_a_rank(kind: type, rank: int) -> None:
    images, share = store(3), {"ranks": 2, "rank": rank, "batch_size": 2}
    check_equal(kind(images, ROWS, sampler(**share), CPU), as_ever(images, sampler(**share)))


@pytest.mark.parametrize("kind", [ResidentBatches, CopiedBatches])
def test_one_class_alone(kind: type) -> None:
    images, one = store(3), {"normal": np.array([2, 4, 18])}
    check_equal(kind(images, ROWS, sampler(**one), CPU), as_ever(images, sampler(**one)))


def test_only_images_that_train_are_kept_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads: list[int] = []
    from_numpy = torch.from_numpy

    def upload(part: np.ndarray) -> Tensor:
        uploads.append(len(part))
        return from_numpy(part)

    monkeypatch.setattr(device_batches, "_UPLOADED_AT_ONCE_BYTES", 4 * 8 * 8 * 3)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "from_numpy", upload)
        batches = ResidentBatches(store(3), ROWS, sampler(), CPU)
    assert uploads == [4, 4, 4, 2]  # a part of the host's memory at a time
    check_equal(batches, as_ever(store(3), sampler()))


def test_the_next_batches_are_copied_by_a_thread_before_they_are_asked_for() -> None:
    batches = iter(CopiedBatches(store(3), ROWS, sampler(), CPU))
    next(batches)
    [copies] = STREAMS
    deadline = threading.Event()
    while len(copies.sent) < 3 and not deadline.wait(0.01):
        pass
    assert (copies.sent, copies.received) == ([0, 1, 2], [0])  # two ahead, no more
    assert len(list(batches)) == 4
    assert copies.received == [0, 1, 2, 3, 4]
    assert len(copies.threads) == 1 and threading.get_ident() not in copies.threads


def test_a_training_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    batches = iter(CopiedBatches(store(3), ROWS, sampler(batch_size=1), CPU))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(STREAMS[0].sent) <= 4


def test_what_fails_in_the_thread_is_raised_here() -> None:
    with pytest.raises(IndexError):
        list(CopiedBatches(store(3), ROWS[:5], sampler(), CPU))


def test_a_quarter_of_the_free_memory() -> None:
    assert choose_place("auto", 250 * MIB, 1000 * MIB, "cuda:1") == (
        "device",
        "the training images (250 MiB) are kept on cuda:1",
    )
    assert choose_place("auto", 250 * MIB + 1, 1000 * MIB, "cuda:1") == (
        "host",
        "the training images (250 MiB) stay in host memory and are copied to cuda:1 batch by "
        "batch, as they need more than a quarter of the 1000 MiB free there",
    )


def test_a_place_that_was_asked_for() -> None:
    assert choose_place("device", 999 * MIB, 1000 * MIB, "cuda:0")[0] == "device"
    assert choose_place("host", 1, 1000 * MIB, "cuda:0") == (
        "host",
        "the training images (0 MiB) stay in host memory and are copied to cuda:0 batch by batch",
    )
    with refuses(
        setting="dataset.images_on",
        value="device",
        facts=("1001 MiB", "1000 MiB", "cuda:0"),
        remedy=("dataset.images_on=auto", "dataset.images_on=host"),
    ):
        choose_place("device", 1001 * MIB, 1000 * MIB, "cuda:0")


def test_a_cpu_is_not_asked_for_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(device_batches, "free_memory")
    for place in ("auto", "device", "host"):
        batches, message = make_batches(CPU, store(3), ROWS, sampler(), place)
        assert isinstance(batches, DataLoader) and message == ""


@pytest.mark.parametrize(
    ("place", "free", "kind"),
    [
        ("auto", 14 * 192 * 4, ResidentBatches),  # 14 images train
        ("auto", 14 * 192 * 4 - 1, CopiedBatches),
        ("device", 14 * 192, ResidentBatches),
        ("host", 10**9, CopiedBatches),
    ],
)
def test_batches_for_another_device(
    monkeypatch: pytest.MonkeyPatch, place: str, free: int, kind: type
) -> None:
    monkeypatch.setattr(device_batches, "free_memory", lambda device: free)
    drawn = sampler()
    batches, message = make_batches(torch.device("meta"), store(3), ROWS, drawn, place)
    assert type(batches) is kind and batches.sampler is drawn
    assert ("kept on meta" in message) == (kind is ResidentBatches)
    if kind is ResidentBatches:
        batch = next(iter(batches))
        assert {value.device.type for value in batch.values()} == {"meta"}
        assert batch["normal"].shape == (4, 3, 8, 8)


def test_memory_that_torch_holds_and_does_not_use_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda asked: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda asked: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda asked: 30)
    assert free_memory(device) == 140


@needs_gpu
@pytest.mark.parametrize("place", ["device", "host"])
def test_gpu_gets_the_same_batches(place: str) -> None:
    for channels in (1, 3):
        images = store(channels)
        device = torch.device("cuda", 0)
        batches, message = make_batches(device, images, ROWS, sampler(), place)
        assert "cuda:0" in message
        for _ in range(2):
            check_equal(batches, as_ever(images, sampler()), "cuda")
