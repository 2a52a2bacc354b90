"""The two domains in parallel compute what they compute one after the other."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small_cyclegan import PLUS, random_batches, small_cyclegan

from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.methods.parallel_step import run_both


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def three_steps(method: CycleGAN, *, mixed: bool = False) -> list[dict[str, float]]:
    optimizers, _ = method.configure_optimizers()
    dtype = next(method.parameters()).dtype
    losses = []
    for batch in random_batches(3, size=2):
        normal, abnormal = batch["normal"].to(dtype), batch["abnormal"].to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            step = method.optimise(normal, abnormal, *optimizers)
        losses.append({name: value.item() for name, value in step.items()})
    return losses


@pytest.mark.parametrize("more", [{}, PLUS], ids=["paper", "plus"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_three_steps_are_the_same(checkpointing: bool, more: dict[str, Any]) -> None:
    methods = []
    for parallel_step in (False, True):
        torch.manual_seed(1)
        method = small_cyclegan(pool_size=3, **more).double()
        method.parallel_step = parallel_step
        method.generator_to_normal.checkpoint_activations = checkpointing
        methods.append(method)
    one_by_one, together = (three_steps(method) for method in methods)
    assert [list(step) for step in one_by_one] == [list(step) for step in together]
    for one, other in zip(one_by_one, together, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    # Where a gradient is zero but for rounding, Adam makes steps of it; elsewhere all is the same.
    for (name, one), other in zip(
        methods[0].named_parameters(), methods[1].parameters(), strict=True
    ):
        if name.endswith("weight"):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


def test_both_run_under_the_callers_autocast() -> None:
    torch.manual_seed(1)
    methods = [small_cyclegan(), small_cyclegan()]
    methods[1].load_state_dict(methods[0].state_dict())
    methods[1].parallel_step = True
    one_by_one, together = (three_steps(method, mixed=True) for method in methods)
    exact = three_steps(small_cyclegan())
    for one, other in zip(one_by_one, together, strict=True):
        assert one == pytest.approx(other, rel=0.05)
    assert together != exact


def test_each_has_half_of_the_threads_and_a_thread_of_its_own() -> None:
    met = threading.Barrier(2)

    def tell() -> tuple[int, str]:
        met.wait(timeout=30)  # passed only if both run at the same time
        return torch.get_num_threads(), threading.current_thread().name

    (threads, name), (other_threads, other_name) = run_both([tell, tell])
    assert threads == other_threads == 1
    assert name != other_name
    assert torch.get_num_threads() == 2


def test_an_error_is_passed_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_both([fail, lambda: None])
