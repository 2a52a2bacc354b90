"""Inception v3 as in the Frechet inception distance, without its weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

# Name of each layer up to the last feature map, in torchvision's order; None: a max pool.
_LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", None, "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    *(None, "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
    *("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c"),
)


class Inception(nn.Module):
    """The network of pytorch-fid up to its last feature map, 2048 channels.

    Its weights have the names of pytorch-fid's file.
    """

    def __init__(self) -> None:
        super().__init__()
        from pytorch_fid import inception as fid
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, aux_logits=False, init_weights=False)
        # As in pytorch_fid.inception.fid_inception_v3, which loads weights as well.
        network.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
        network.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
        network.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
        for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            setattr(network, f"Mixed_{name}", fid.FIDInceptionC(768, channels_7x7=width))
        network.Mixed_7b = fid.FIDInceptionE_1(1280)
        network.Mixed_7c = fid.FIDInceptionE_2(2048)
        for name in filter(None, _LAYERS):
            self.add_module(name, getattr(network, name))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the last feature map: (N, 3, 299, 299) to one of (N, 2048, 8, 8)."""
        x = images
        for name in _LAYERS:
            if name is None:
                x = functional.max_pool2d(x, kernel_size=3, stride=2)
            else:
                x = self.get_submodule(name)(x)
        return [x]
