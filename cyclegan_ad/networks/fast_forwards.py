"""Faster forward methods of torch's layers on a CPU.

Each class computes the same function as its base class, up to rounding, with the same weights under
the same names. On other devices, and under torch.compile, the method of the base class is used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_batch_norm = torch.ops.aten.native_batch_norm.out
_batch_norm_backward = torch.ops.aten.native_batch_norm_backward.out


def use_fast_forwards(network: nn.Module) -> None:
    """Use the layers of this module in a network, in place, with the same weights and names.

    Args:
        network: A generator or discriminator. Its weights get the channels-last memory format,
            which is the fastest on GPUs, too.
    """
    for layer in network.modules():
        match layer:
            case nn.ReflectionPad2d():
                layer.__class__ = ReflectionPad
            case nn.InstanceNorm2d(affine=False, track_running_stats=False):
                layer.__class__ = InstanceNorm
            case nn.ConvTranspose2d():
                layer.__class__ = UpConvolution
            case nn.Conv2d(padding=(0, 0)) if layer.in_channels <= 3:
                layer.__class__ = FromImage
            case nn.Conv2d(padding=(0, 0)) if layer.out_channels <= 3:
                layer.__class__ = ToImage
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class ReflectionPad(nn.ReflectionPad2d):
    """Reflection padding that keeps bfloat16 images in bfloat16.

    Autocast on a CPU would pad them in float32, and each convolution would convert them back.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad images: (N, C, H, W) to (N, C, H + 2 p, W + 2 p)."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that keeps the channels-last memory format.

    torch's implementation converts the images to channels-first and back, which takes longer than
    the norm. Batch norm of a single image equals instance norm, and supports both formats.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image to mean 0 and variance 1: (N, C, H, W)."""
        if not _on_cpu(x) or x.shape[2:].numel() == 1:
            return super().forward(x)
        return _ImageByImage.apply(x, self.eps)


class UpConvolution(nn.ConvTranspose2d):
    """Transposed convolution whose bias is added afterwards.

    The gradient of the bias makes oneDNN's transposed convolution twice as slow.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Upsample images: (N, C, H, W) to (N, C', 2 H, 2 W) with the generator's settings."""
        if not _on_cpu(x) or output_size is not None or self.bias is None:
            return super().forward(x, output_size)
        padding: Any = self.padding  # "same" is for other convolutions
        y = functional.conv_transpose2d(
            x, self.weight, None, self.stride, padding, self.output_padding, self.groups
        )
        return y + self.bias.to(y.dtype).view(1, -1, 1, 1)


class ToImage(nn.Conv2d):
    """Convolution from many channels to the 1 or 3 of an image; square kernel, no padding.

    A matrix product with 1 or 3 columns leaves most of a vector register empty. Therefore the
    columns of the kernel become output channels of one convolution with a kernel of width 1, whose
    results are shifted and summed.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with a k x k kernel: (N, C, H, W) to (N, 1 or 3, H - k + 1, W - k + 1)."""
        if not _on_cpu(x) or self.bias is None:
            return super().forward(x)
        y = _ShiftedSum.apply(_columns(x, self.weight), self.kernel_size[0])
        return y + self.bias.view(1, -1, 1, 1)


class FromImage(nn.Conv2d):
    """Convolution from the 1 or 3 channels of an image to many; square kernel, no padding.

    The gradient of its input is computed like the forward pass of :class:`ToImage`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with a k x k kernel: (N, 1 or 3, H, W) to (N, C, H - k + 1, W - k + 1)."""
        if not _on_cpu(x) or self.bias is None or not x.requires_grad:
            return super().forward(x)
        mixed = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if mixed else x.dtype
        return _FromImage.apply(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype))


def _columns(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with each column of the kernels: (N, C, H, W) to (N, k * C', H - k + 1, W).

    Channel j * C' + c is the result of column j of the kernel of output channel c.
    """
    channels_out, channels_in, size, _ = weight.shape
    weight = weight.permute(3, 0, 1, 2).reshape(size * channels_out, channels_in, size, 1)
    columns = functional.conv2d(x, weight.contiguous(memory_format=torch.channels_last))
    return columns.contiguous(memory_format=torch.channels_last)


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class _ImageByImage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        count, channels = x.shape[:2]
        y = torch.empty_like(x)
        # Statistics of bfloat16 images are kept in float32.
        exact = torch.promote_types(x.dtype, torch.float32)
        mean, inverse = torch.empty((2, count, channels), dtype=exact)
        one, zero = torch.ones(channels, dtype=exact), torch.zeros(channels, dtype=exact)
        for image, out, *statistics in zip(x.split(1), y.split(1), mean, inverse, strict=True):
            _batch_norm(
                image, one, zero, None, None, True, 0.0, eps,
                out=out, save_mean=statistics[0], save_invstd=statistics[1],
            )  # fmt: skip
        _repair_cancelled(x, y, mean, inverse, eps)
        ctx.save_for_backward(x, mean, inverse, one)
        ctx.eps = eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, mean, inverse, one = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        gradient_in = torch.empty_like(x)
        unused = torch.empty((2, *one.shape), dtype=one.dtype)
        parts = zip(gradient.split(1), x.split(1), mean, inverse, gradient_in.split(1), strict=True)
        for gradient_out, image, image_mean, image_inverse, out in parts:
            _batch_norm_backward(
                gradient_out, image, one, None, None, image_mean, image_inverse, True, ctx.eps,
                [True, True, True], out0=out, out1=unused[0], out2=unused[1],
            )  # fmt: skip
        return gradient_in, None


# Batch norm on a CPU computes x * scale + shift, and sums up the mean pixel by pixel. If the mean
# is more than this many standard deviations from 0, the cancellation leaves too few digits.
_LARGEST_MEAN_IN_STDS = 64.0


def _repair_cancelled(x: Tensor, y: Tensor, mean: Tensor, inverse: Tensor, eps: float) -> None:
    """Normalise nearly constant channels again, in place, without cancellation.

    A constant channel must become exactly 0: any residue lets gradients pass the following ReLU,
    each norm multiplies them by ``eps ** -0.5``, and they become NaN. torch's norm returns 0 in
    bfloat16, where this occurred, but leaves a residue of about 1e-5 in float32.

    The input ``x`` and the output ``y`` are (N, C, H, W); the mean of ``x`` and the ``inverse``,
    1 / sqrt(variance + eps), are (N, C).
    """
    # A constant channel is always treated, whatever its mean.
    at_least = 1.01 * _LARGEST_MEAN_IN_STDS * eps**0.5
    distance = mean.abs().clamp_min_(at_least).mul_(inverse)
    if not distance.max().item() > _LARGEST_MEAN_IN_STDS:
        return
    where = (distance > _LARGEST_MEAN_IN_STDS).nonzero(as_tuple=True)
    pixels = x[where].to(mean.dtype).flatten(1)  # (channels, H * W)
    first = pixels[:, :1].clone()
    pixels -= first  # exactly 0 for a constant channel
    variance, centre = torch.var_mean(pixels, dim=1, correction=0, keepdim=True)
    scale = (variance + eps).rsqrt()
    mean[where] = (first + centre).squeeze(1)
    inverse[where] = scale.squeeze(1)
    y[where] = ((pixels - centre) * scale).view(-1, *x.shape[2:]).to(y.dtype)


class _FromImage(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        _, gradient_weight, gradient_bias = torch.ops.aten.convolution_backward(
            gradient, x, weight, [len(weight)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            [False, True, True],
        )  # fmt: skip
        size = weight.shape[2]
        around = functional.pad(gradient, (size - 1,) * 4)
        columns = _columns(around, weight.flip(2, 3).transpose(0, 1))
        exact = torch.promote_types(x.dtype, torch.float32)
        gradient_in = _diagonals(columns, size).sum(3, dtype=exact).permute(0, 3, 1, 2)
        return gradient_in.to(x.dtype), gradient_weight, gradient_bias


class _ShiftedSum(torch.autograd.Function):
    """(N, k * C, H, W) to (N, C, H, W - k + 1): y[c, w] is the sum over j of x[j * C + c, w + j].

    Sums of bfloat16 are computed and returned in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int) -> Tensor:
        ctx.shape, ctx.dtype, ctx.size = x.shape, x.dtype, size
        exact = torch.promote_types(x.dtype, torch.float32)
        return _diagonals(x, size).sum(3, dtype=exact).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        gradient_in = torch.empty(ctx.shape, dtype=ctx.dtype, memory_format=torch.channels_last)
        _diagonals(gradient_in.zero_(), ctx.size).copy_(gradient.permute(0, 2, 3, 1).unsqueeze(3))
        return gradient_in, None


def _diagonals(x: Tensor, size: int) -> Tensor:
    """View channels-last (N, k * C, H, W) so that [n, h, w, j, c] is x[n, j * C + c, h, w + j]."""
    count, channels, height, width = x.shape
    each = channels // size
    return x.as_strided(
        (count, height, width - size + 1, size, each),
        (height * width * channels, width * channels, channels, channels + each, 1),
    )
