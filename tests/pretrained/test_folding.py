"""Batch norms folded into convolutions: by hand, and without a trace left."""

import pytest
import torch
from torch import nn
from torchvision.models.inception import BasicConv2d

from cyclegan_ad.pretrained.folding import fold_batch_norms


def test_by_hand() -> None:
    layer = BasicConv2d(1, 1, kernel_size=1).eval()
    with torch.no_grad():
        layer.conv.weight.fill_(3.0)
        layer.bn.weight.fill_(4.0)
        layer.bn.bias.fill_(5.0)
        layer.bn.running_mean.fill_(1.0)
        layer.bn.running_var.fill_(4.0 - layer.bn.eps)
    fold_batch_norms(layer)
    # 4 (3 x - 1) / 2 + 5 = 6 x + 3
    assert layer.conv.weight.item() == pytest.approx(6, rel=1e-6)
    assert layer.conv.bias.item() == pytest.approx(3, rel=1e-6)
    assert layer(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(15, rel=1e-6)


def test_nested_layers_compute_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(BasicConv2d(2, 3, kernel_size=3), BasicConv2d(3, 4, kernel_size=1))
    for _ in range(3):
        network(torch.randn(8, 2, 6, 6))  # statistics of its own
    network.eval()
    x = torch.randn(2, 2, 6, 6)
    expected = network(x)
    fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)


def test_a_batch_norm_that_stands_elsewhere_is_named() -> None:
    with pytest.raises(ValueError, match=r"no known convolution: 1$"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval())
