"""Ordered parallel map over files, on all cores."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cyclegan_ad.hardware import cpu_count

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

_IN_FLIGHT_PER_CORE = 4


def map_in_order(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    name: str,
    workers: int | None = None,
    prepare: Callable[[], object] | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Call a function for each item, on as many threads as there are cores.

    Threads suffice for decoding: Pillow and hashlib release the GIL, and processes would have to
    send every image back. Only a few items per core are in flight.

    Args:
        function: Function, called in the threads.
        items: Its arguments.
        name: Prefix of the names of the threads.
        workers: Number of threads; None for one per core.
        prepare: Called once in each thread before the first item.
        progress: Called in this thread after each item with (items done, total).

    Yields:
        The results in the order of the items. Exceptions of the function are raised here.

    Example:
        >>> list(map_in_order(abs, [-3, 2, -1], name="absolute"))
        [3, 2, 1]
    """
    workers = cpu_count() if workers is None else workers
    window: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, name, initializer=prepare) as pool:
        try:
            for done in range(len(items)):
                ahead = items[done + len(window) : done + _IN_FLIGHT_PER_CORE * workers]
                window.extend(pool.submit(function, item) for item in ahead)
                result = window.popleft().result()
                if progress is not None:
                    progress(done + 1, len(items))
                yield result
        finally:
            for waiting in window:  # after Ctrl-C, start no further items
                waiting.cancel()
