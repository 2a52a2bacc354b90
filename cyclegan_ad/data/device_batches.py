"""Training batches for a GPU: images kept in its memory, or copied while it computes."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cyclegan_ad.data.unpaired_batches import PairedImages, PairSampler
from cyclegan_ad.errors import UserError

# Of the memory that is free after loading the weights; activations and Adam need the rest.
SHARE_OF_FREE_MEMORY = 0.25

_MIB = 2**20
_UPLOADED_AT_ONCE_BYTES = 64 * _MIB
_BATCHES_AHEAD = 2

Batch = dict[str, Tensor]


def make_batches(
    device: torch.device, images: np.ndarray, rows: np.ndarray, sampler: PairSampler, place: str
) -> tuple[Iterable[Batch], str]:
    """Make batches of the images that a sampler draws, in the way that suits the device.

    All ways give the same values. Batches for a GPU are in its memory, in channels-last memory
    format, and are made without synchronisation.

    Args:
        device: Device of the training.
        images: (N, S, S, C) uint8, an array or a memory map.
        rows: Index as the sampler draws it -> row of ``images``.
        sampler: Sampler of the batches; the result has it as ``sampler``, so that Lightning sets
            its epoch.
        place: ``device``, ``host`` or ``auto`` (see :func:`choose_place`). No effect on a CPU.

    Returns:
        Batches of ``<class>``, (N, C, S, S) uint8, and ``<class>_symmetry``, (N,) int64; and a
        message about where the images are kept, empty on a CPU.

    Raises:
        UserError: With ``device``, if the images do not fit.
    """
    if device.type == "cpu":
        loader = DataLoader(PairedImages(images, rows), sampler=sampler, batch_size=None)
        return loader, ""
    needed = len(_drawn(sampler)) * int(np.prod(images.shape[1:]))
    chosen, message = choose_place(place, needed, free_memory(device), str(device))
    if chosen == "device":
        return ResidentBatches(images, rows, sampler, device), message
    return CopiedBatches(images, rows, sampler, device), message


def choose_place(place: str, needed: int, free: int, device: str) -> tuple[str, str]:
    """Choose where the training images are kept.

    Args:
        place: ``device``, ``host`` or ``auto``: the device if the images need at most a quarter of
            its free memory.
        needed: Size of the images in bytes.
        free: Free memory of the device in bytes.
        device: Name of the device, for the message.

    Returns:
        ``device`` or ``host``, and a message for the user.

    Raises:
        UserError: With ``device``, if the images do not fit.

    Example:
        >>> choose_place("auto", 300 * 2**20, 1000 * 2**20, "cuda:0")[0]
        'host'
    """
    size = f"the training images ({needed / _MIB:.0f} MiB)"
    if place == "device" and needed > free:
        raise UserError(
            f"invalid dataset.images_on=device: {size} do not fit into the {free / _MIB:.0f} MiB "
            f"free on {device}; use dataset.images_on=auto or dataset.images_on=host"
        )
    if place == "device" or (place == "auto" and needed <= SHARE_OF_FREE_MEMORY * free):
        return "device", f"{size} are kept on {device}"
    reason = f", as they need more than a quarter of the {free / _MIB:.0f} MiB free there"
    return "host", (
        f"{size} stay in host memory and are copied to {device} batch by batch"
        f"{reason if place == 'auto' else ''}"
    )


def free_memory(device: torch.device) -> int:
    """Return the bytes of a GPU's memory that this process can still use."""
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + unused)


def _drawn(sampler: PairSampler) -> np.ndarray:
    """Return all indices that a sampler can draw, in ascending order."""
    return np.unique(np.concatenate(list(sampler.classes.values())))


class ResidentBatches:
    """Batches of images that are all kept on the training device.

    The indices of an epoch are copied to the device at its start; each batch is then a gather.

    Args:
        images: (N, S, S, C) uint8.
        rows: Index as the sampler draws it -> row of ``images``.
        sampler: Sampler of the batches; only images that it can draw are copied to the device.
        device: Any device.
    """

    def __init__(
        self, images: np.ndarray, rows: np.ndarray, sampler: PairSampler, device: torch.device
    ) -> None:
        self.sampler, self.device = sampler, device
        drawn = _drawn(sampler)
        self._positions = np.full(len(rows), -1)  # index -> position on the device
        self._positions[drawn] = np.arange(len(drawn))
        self._images = torch.empty(
            (len(drawn), *images.shape[1:]), dtype=torch.uint8, device=device
        )
        step = max(1, _UPLOADED_AT_ONCE_BYTES // int(np.prod(images.shape[1:])))
        for start in range(0, len(drawn), step):
            part = images[rows[drawn[start : start + step]]]
            self._images[start : start + step].copy_(torch.from_numpy(part))

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        batches = list(self.sampler)
        sizes = [len(next(iter(batch.values()))) for batch in batches]
        columns = {}
        for name in batches[0]:
            column = np.concatenate([batch[name] for batch in batches])
            if name in self.sampler.classes:
                column = self._positions[column]
            columns[name] = torch.from_numpy(column).to(self.device, non_blocking=True).split(sizes)
        for number in range(len(batches)):
            yield {
                name: self._images[parts[number]].permute(0, 3, 1, 2)
                if name in self.sampler.classes
                else parts[number]
                for name, parts in columns.items()
            }


class CopiedBatches:
    """Batches gathered in pinned memory by a thread, and copied while the GPU computes.

    The next batches are copied in advance.

    Args:
        images: (N, S, S, C) uint8, an array or a memory map.
        rows: Index as the sampler draws it -> row of ``images``.
        sampler: Sampler of the batches.
        device: A GPU.
    """

    def __init__(
        self, images: np.ndarray, rows: np.ndarray, sampler: PairSampler, device: torch.device
    ) -> None:
        self.sampler, self.device = sampler, device
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        copies = CopyStream(self.device)
        coming: deque[Future[tuple[Batch, Any]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="batch") as pool:
            try:
                for drawn in self.sampler:
                    coming.append(pool.submit(self._send, drawn, copies))
                    if len(coming) > _BATCHES_AHEAD:
                        yield copies.receive(*coming.popleft().result())
                while coming:
                    yield copies.receive(*coming.popleft().result())
            finally:
                for waiting in coming:
                    waiting.cancel()

    def _send(self, drawn: dict[str, np.ndarray], copies: "CopyStream") -> tuple[Batch, Any]:
        batch = {}
        for name, column in drawn.items():
            if name in self.sampler.classes:
                rows = self._rows[column]
                batch[name] = copies.pinned((len(rows), *self._images.shape[1:]), torch.uint8)
                # All rows exist; mode="clip" writes to `out` without an intermediate buffer.
                np.take(self._images, rows, axis=0, out=batch[name].numpy(), mode="clip")
            else:
                batch[name] = copies.pinned(column.shape, torch.int64)
                batch[name].copy_(torch.from_numpy(column))
        batch, sent = copies.send(batch)
        classes = self.sampler.classes
        return {k: v.permute(0, 3, 1, 2) if k in classes else v for k, v in batch.items()}, sent


class CopyStream:
    """A CUDA stream for copies from pinned memory that overlap with computation.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Allocate a pinned tensor, from which copies are asynchronous."""
        with torch.cuda.device(self._device):  # the default of a new thread is the first GPU
            return torch.empty(shape, dtype=dtype, pin_memory=True)

    def send(self, batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        """Start to copy a batch; return the copies and an event that marks their completion."""
        with torch.cuda.stream(self._stream):
            copies = {
                name: value.to(self._device, non_blocking=True) for name, value in batch.items()
            }
            return copies, self._stream.record_event()

    def receive(self, batch: Batch, sent: torch.cuda.Event) -> Batch:
        """Make the current stream, not the host, wait for the copies."""
        current = torch.cuda.current_stream(self._device)
        current.wait_event(sent)
        for value in batch.values():
            value.record_stream(current)
        return batch
