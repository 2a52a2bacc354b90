"""Work on all cores: order, errors, and how much is in flight."""

import os
import threading
import time

import pytest

from cyclegan_ad.data.parallel import map_in_order


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)


def test_results_are_in_order_whoever_is_ready_first() -> None:
    def late(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * 10

    assert list(map_in_order(late, range(20), name="late")) == [10 * i for i in range(20)]
    assert list(map_in_order(late, [], name="late")) == []


def test_every_core_works_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    names: set[str] = set()

    def meet(number: int) -> None:
        names.add(threading.current_thread().name)
        both.wait()

    list(map_in_order(meet, range(6), name="meet"))
    assert names == {"meet_0", "meet_1"}


def test_an_error_is_raised_at_its_place_and_nothing_new_is_begun() -> None:
    begun: list[int] = []

    def fail(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise LookupError("two")
        return number

    results = map_in_order(fail, range(100), name="fail")
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="two"):
        next(results)
    assert len(begun) <= 10


def test_who_stops_asking_waits_for_little() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def slow(number: int) -> int:
        begun.append(number)
        if number:
            gate.wait(20)
        return number

    results = map_in_order(slow, range(100), name="slow")
    assert next(results) == 0
    threading.Timer(0.05, gate.set).start()
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 5  # the seven in flight are not all begun
