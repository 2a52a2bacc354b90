"""Initial weights: N(0, 0.02), biases zero, a function of torch's seed."""

import pytest
import torch
from torch import nn

from cyclegan_ad.networks.layers import initialise_weights


def network() -> nn.Module:
    inner = nn.Sequential(nn.Conv2d(8, 100, 5), nn.ConvTranspose2d(100, 30, 4))
    return nn.Sequential(inner, nn.Conv2d(30, 40, 5, bias=False), nn.Linear(3, 3))


@pytest.mark.parametrize(("arguments", "std"), [({}, 0.02), ({"std": 0.5}, 0.5)])
def test_weights_are_normal_and_biases_zero(arguments: dict[str, float], std: float) -> None:
    made = network()
    for module in made.modules():
        for parameter in module.parameters(recurse=False):
            nn.init.constant_(parameter, 3.0)
    torch.manual_seed(0)
    initialise_weights(made, **arguments)
    weights = [made[0][0].weight, made[0][1].weight, made[1].weight]
    for weight in weights:
        # 20,000 numbers and more: 5% are ten standard deviations of the deviation.
        assert weight.numel() >= 20_000
        assert weight.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weight.mean().item()) < 0.05 * std
        share = (weight.abs() < std).double().mean().item()
        assert share == pytest.approx(0.6827, abs=0.02)  # normal, not uniform
    assert (made[0][0].bias == 0).all() and (made[0][1].bias == 0).all()
    assert (made[2].weight == 3.0).all()  # no convolution


def test_weights_follow_the_seed() -> None:
    found = []
    for seed in (0, 0, 1):
        made = network()
        torch.manual_seed(seed)
        initialise_weights(made)
        found.append(made[0][1].weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
