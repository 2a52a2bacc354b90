"""Averages of weights, by hand and against a loop in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from cyclegan_ad.methods.averages import WeightAverages


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, value)
    return layer


def test_by_hand() -> None:
    network = scalar(1.0)
    averages = WeightAverages({"net": network}, decay=0.5)
    nn.init.constant_(network.weight, 3.0)
    averages.add({"net": network}, step=1)  # decay 2 / 11, below 0.5
    assert averages["net"].weight.item() == pytest.approx(2 / 11 * 1 + 9 / 11 * 3)
    nn.init.constant_(averages["net"].weight, 1.0)
    averages.add({"net": network}, step=1000)
    assert averages["net"].weight.item() == pytest.approx(2.0)
    assert network.weight.item() == 3.0


def test_against_numpy() -> None:
    weights = np.random.default_rng(0).normal(size=50)
    network = scalar(weights[0])
    averages, expected = WeightAverages({"net": network}, decay=0.9), weights[0]
    for step, weight in enumerate(weights[1:], 1):
        nn.init.constant_(network.weight, weight)
        averages.add({"net": network, "other": scalar(9.0)}, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert averages["net"].weight.item() == pytest.approx(expected, rel=1e-12)
    assert list(averages) == ["net"]


def test_no_gradients_and_the_same_memory_format() -> None:
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averages = WeightAverages({"net": network}, decay=0.9)
    assert all(not parameter.requires_grad for parameter in averages.parameters())
    assert network.weight.requires_grad
    assert averages["net"].weight.is_contiguous(memory_format=torch.channels_last)
