"""A function of images, batch by batch, with results that threads and batch size do not move."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.device import prepare_process

Result = TypeVar("Result")

# Of a batch on a CPU: more is hardly faster, takes memory for each core, and leaves cores idle
# at the end.
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

    The order in which convolutions and products add up depends on the number of threads and on the
    size of a batch. So on a CPU batches are small and as large as the images allow, whatever is
    asked for; each is computed by one thread, and as many at a time as torch has threads: results
    are the same to the last bit on any number of threads.

    Args:
        function: Given the indices of the images of a batch; on a CPU called in other threads.
        chosen: Indices of images.
        device: Where the function computes.
        batch_size: Images a batch on a GPU, where it may change the last digits.
        size_px: Side of the images.

    Yields:
        Each batch and what the function returned, in order.
    """
    on_cpu = device.type == "cpu"
    size = max(1, _CPU_PIXELS // size_px**2) if on_cpu else batch_size
    batches = [list(chosen[start : start + size]) for start in range(0, len(chosen), size)]

    def call(batch: list[int]) -> Result:
        with torch.inference_mode():
            return function(batch)

    results = _side_by_side(call, batches) if on_cpu else map(call, batches)
    yield from zip(batches, results, strict=True)


def _side_by_side(
    function: Callable[[list[int]], Result], batches: Sequence[list[int]]
) -> Iterator[Result]:
    threads = torch.get_num_threads()
    try:
        yield from map_in_order(function, batches, name="images", workers=threads, prepare=_prepare)
    finally:
        torch.set_num_threads(threads)  # part of it holds for the whole process
        torch.clear_autocast_cache()


def _prepare() -> None:
    prepare_process()
    torch.set_num_threads(1)
    # Weights turned to bfloat16 are kept from one batch to the next.
    torch.autocast_increment_nesting()
