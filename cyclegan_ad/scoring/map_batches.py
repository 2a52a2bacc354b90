"""Batched map over images with results independent of threads and batch size on a CPU."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.device import prepare_process

Item = TypeVar("Item")
Result = TypeVar("Result")

# Per batch on a CPU: larger batches are hardly faster, need more memory per core, and leave cores
# idle at the end.
_CPU_PIXELS = 4 * 64 * 64


def map_batches(
    function: Callable[[list[int]], Result],
    chosen: Sequence[int],
    device: torch.device,
    *,
    batch_size: int,
    size_px: int,
) -> Iterator[tuple[list[int], Result]]:
    """Call a function with the images of each batch, in inference mode.

    The order of summation in convolutions and products depends on the number of threads and on the
    batch size. On a CPU, therefore, the size of the images determines the batch size, each batch is
    computed by one thread, and as many batches run in parallel as torch has threads: results are
    bitwise equal for any number of threads.

    Args:
        function: Function of the indices of a batch; called in other threads on a CPU.
        chosen: Indices of images.
        device: Device of the computation.
        batch_size: Images per batch on a GPU, where it may affect the last digits.
        size_px: Height and width of the images in pixels.

    Yields:
        Each batch and the result of the function, in order.
    """
    on_cpu = device.type == "cpu"
    size = cpu_batch_size(size_px) if on_cpu else batch_size
    batches = [list(chosen[start : start + size]) for start in range(0, len(chosen), size)]

    def call(batch: list[int]) -> Result:
        with torch.inference_mode():
            return function(batch)

    results = map_on_cpu(call, batches) if on_cpu else map(call, batches)
    yield from zip(batches, results, strict=True)


def cpu_batch_size(size_px: int) -> int:
    """Return the number of images per batch on a CPU."""
    return max(1, _CPU_PIXELS // size_px**2)


def map_on_cpu(function: Callable[[Item], Result], batches: Sequence[Item]) -> Iterator[Result]:
    """Call a function for each batch, in order, on as many threads as torch has."""
    threads = torch.get_num_threads()
    try:
        yield from map_in_order(function, batches, name="images", workers=threads, prepare=_prepare)
    finally:
        torch.set_num_threads(threads)  # partly a setting of the whole process
        torch.clear_autocast_cache()


def _prepare() -> None:
    prepare_process()
    torch.set_num_threads(1)
    # Keep weights cast to bfloat16 from one batch to the next.
    torch.autocast_increment_nesting()
