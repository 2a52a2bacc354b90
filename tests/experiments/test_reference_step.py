"""The fast step against the plain reference of the benchmark."""

import pytest
import torch
from small_cyclegan import random_batches, small_cyclegan

from cyclegan_ad.methods.cyclegan import CycleGAN
from experiments.reference_step import reference_method, reference_optimizers, reference_step


def run_both(ours: CycleGAN, dtype: torch.dtype) -> list[tuple[dict[str, float], ...]]:
    plain = reference_method(ours)
    optimizers = ours.configure_optimizers()[0]
    plain_optimizers = reference_optimizers(plain)
    losses = []
    for batch in random_batches(4, size=2, channels=3):
        normal, abnormal = batch["normal"].to(dtype), batch["abnormal"].to(dtype)
        step = ours.optimise(normal, abnormal, *optimizers)
        expected = reference_step(plain, *plain_optimizers, normal, abnormal)
        losses.append(
            tuple({name: loss.item() for name, loss in found.items()} for found in (step, expected))
        )
    for (name, one), other in zip(ours.named_parameters(), plain.parameters(), strict=True):
        if name.endswith("weight"):
            exact = dtype == torch.float64
            torch.testing.assert_close(one, other, rtol=0, atol=1e-8 if exact else 5e-4)
    return losses


@pytest.mark.parametrize("parallel_step", [False, True])
@pytest.mark.parametrize("kind", ["least_squares", "log"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_losses_and_weights_are_the_same(
    parallel_step: bool, kind: str, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(2)
    ours = small_cyclegan(channels=3, residual_blocks=2, adversarial_loss=kind, pool_size=3).to(
        dtype
    )
    ours.parallel_step = parallel_step
    for step, expected in run_both(ours, dtype):
        assert step == pytest.approx(expected, rel=tolerance)


def test_the_reference_has_torchs_own_layers_and_order() -> None:
    plain = reference_method(small_cyclegan())
    modules = list(plain.generator_to_normal.modules())
    assert sum(type(module) is torch.nn.InstanceNorm2d for module in modules) == 7
    assert not any(
        "cyclegan_ad.networks.fast_forwards" in type(module).__module__ for module in modules
    )
    assert all(weight.is_contiguous() for weight in plain.parameters())
