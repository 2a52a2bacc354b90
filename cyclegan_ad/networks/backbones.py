"""Feature maps of the backbones of PaDiM and PatchCore, in plain torch.

They compute the same as timm's, with the same names of weights. timm itself takes seconds to import
and loads W&B, which a saved detector must not need.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


def build_backbone(name: str, layers: Sequence[str]) -> nn.Module:
    """Build a backbone whose ``forward`` returns the feature maps of some layers.

    Args:
        name: ``resnet18``, ``wide_resnet50_2`` or ``efficientnet_lite0``.
        layers: Names of layers, from fine to coarse.

    Returns:
        Module from (N, 3, H, W) to a list of (N, C, h, w), in the order of ``layers``.
    """
    match name:
        case "resnet18":
            return ResNet((2, 2, 2, 2), layers, wide_bottleneck=False)
        case "wide_resnet50_2":
            return ResNet((3, 4, 6, 3), layers, wide_bottleneck=True)
        case "efficientnet_lite0":
            return EfficientNetLite0(layers)
    raise ValueError(f"unknown backbone {name}")


class ResNet(nn.Module):
    """ResNet (He et al., 2016) up to the last layer whose features are used.

    Args:
        depths: Blocks of ``layer1`` to ``layer4``.
        layers: Layers whose features are returned, in this order.
        wide_bottleneck: Whether blocks are the bottlenecks of Wide ResNet-50-2 instead of two 3x3
            convolutions.
    """

    def __init__(
        self, depths: Sequence[int], layers: Sequence[str], *, wide_bottleneck: bool
    ) -> None:
        super().__init__()
        self.layers = list(layers)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for number, depth in enumerate(depths[: int(self.layers[-1][-1])]):
            width = 64 << number
            blocks = []
            for place in range(depth):
                stride = 2 if number > 0 and place == 0 else 1
                shape: tuple[tuple[int, int, int], ...]
                if wide_bottleneck:
                    shape = ((2 * width, 1, 1), (2 * width, 3, stride), (4 * width, 1, 1))
                else:
                    shape = ((width, 3, stride), (width, 3, 1))
                blocks.append(_ResidualBlock(channels, shape))
                channels = shape[-1][0]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the features of each layer: (N, 3, H, W) to (N, C, h, w)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        found = {}
        for name, layer in self.named_children():
            if name.startswith("layer"):
                found[name] = x = layer(x)
        return [found[name] for name in self.layers]


class _ResidualBlock(nn.Module):
    """Convolutions (channels, kernel size, stride) with batch norm, added to their input."""

    def __init__(self, channels: int, shape: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        self.count = len(shape)
        before, total_stride = channels, 1
        for number, (after, size, stride) in enumerate(shape, start=1):
            convolution = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
            before, total_stride = after, total_stride * stride
        self.downsample = None
        if total_stride > 1 or before != channels:
            convolution = nn.Conv2d(channels, before, 1, total_stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(before))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.count + 1):
            y = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(y))
            if number < self.count:
                y = functional.relu(y)
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


# Blocks, kernel size, stride of the first block, expansion and channels of each stage.
_LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0, TensorFlow's version of EfficientNet (Tan and Le, 2019) for devices.

    Args:
        layers: Layers whose features are returned, in this order: ``blocks.0`` to ``blocks.6``.
        head: Whether it has the last convolution, which :meth:`head` computes.
    """

    def __init__(self, layers: Sequence[str], *, head: bool = False) -> None:
        super().__init__()
        self.stages = [int(name.removeprefix("blocks.")) for name in layers]
        self.conv_stem = _SameConvolution(3, 32, 3, stride=2)
        self.bn1 = _batch_norm(32)
        channels, stages = 32, []
        for depth, size, first_stride, expansion, channels_out in _LITE0_STAGES:
            blocks = []
            for place in range(depth):
                stride = first_stride if place == 0 else 1
                blocks.append(_InvertedResidual(channels, channels_out, size, stride, expansion))
                channels = channels_out
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        if head:
            self.conv_head = nn.Conv2d(channels, 1280, 1, bias=False)
            self.bn2 = _batch_norm(1280)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the features of each layer: (N, 3, H, W) to (N, C, h, w)."""
        x = functional.relu6(self.bn1(self.conv_stem(images)))
        found = []
        for stage in list(self.blocks)[: max(self.stages) + 1]:
            x = stage(x)
            found.append(x)
        return [found[stage] for stage in self.stages]

    def head(self, maps: Tensor) -> Tensor:
        """Compute the last feature map from ``blocks.6``: (N, 320, h, w) to (N, 1280, h, w)."""
        return functional.relu6(self.bn2(self.conv_head(maps)))


class _InvertedResidual(nn.Module):
    """Expansion (if any), depthwise convolution and projection, added to the input if it fits."""

    def __init__(
        self, channels: int, channels_out: int, size: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels * expansion
        expand = {"conv_pw": nn.Conv2d(channels, wide, 1, bias=False)} if expansion > 1 else {}
        depthwise = {"conv_dw": _SameConvolution(wide, wide, size, stride=stride, groups=wide)}
        project = "conv_pwl" if expand else "conv_pw"
        convolutions = expand | depthwise | {project: nn.Conv2d(wide, channels_out, 1, bias=False)}
        self.names = list(convolutions)
        for number, (name, convolution) in enumerate(convolutions.items(), start=1):
            self.add_module(name, convolution)
            self.add_module(f"bn{number}", _batch_norm(convolution.out_channels))
        self.has_skip = stride == 1 and channels == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, name in enumerate(self.names, start=1):
            y = self.get_submodule(f"bn{number}")(self.get_submodule(name)(y))
            if number < len(self.names):
                y = functional.relu6(y)
        return y + x if self.has_skip else y


class _SameConvolution(nn.Conv2d):
    """Convolution that pads as TensorFlow does, so that a stride of 2 halves the size."""

    def __init__(
        self, channels: int, channels_out: int, size: int, *, stride: int, groups: int = 1
    ) -> None:
        padding = size // 2 if stride == 1 else 0
        super().__init__(channels, channels_out, size, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] > 1:
            around = []
            for length in (x.shape[3], x.shape[2]):
                steps = (length - 1) // self.stride[0]
                total = max(0, steps * self.stride[0] + self.kernel_size[0] - length)
                around += [total // 2, total - total // 2]
            x = functional.pad(x, around)
        return super().forward(x)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
