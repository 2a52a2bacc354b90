"""Batch norms of a frozen network, folded into the convolutions before them."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Names of a convolution and of the batch norm behind it, in torchvision's Inception and in the
# EfficientNet of efficientnet_lite_pytorch.
_PAIRS = (
    ("conv", "bn"),
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_conv_head", "_bn1"),
    ("_project_conv", "_bn2"),
)


def fold_batch_norms(network: nn.Module) -> None:
    """Let convolutions do the work of the batch norms behind them, to float32 rounding.

    In eval mode a batch norm multiplies and shifts each channel by constants, which can stand in
    the weights of the convolution just as well.

    Args:
        network: An Inception or EfficientNet, in eval mode; changed in place.

    Raises:
        ValueError: If a batch norm is left.
    """
    for module in network.modules():
        for conv_name, norm_name in _PAIRS:
            conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    left = [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"batch norms behind no known convolution: {', '.join(left)}")
