"""The discriminator: a PatchGAN, which classifies overlapping 70x70 patches."""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from cyclegan_ad.networks.layers import initialise_weights, normalised


class Discriminator(nn.Module):
    """70x70 PatchGAN (Sec. 2.2): C64, C128, C256, C512 and a prediction for each patch.

    Args:
        channels: Channels of the images, 1 (grey) or 3 (RGB).
        base_channels: Width of the first layer; 64 in the paper.
        downsampling: Factor by which the layers see a smaller image (mean of the pixels); 1 in the
            paper.
    """

    def __init__(self, channels: int, base_channels: int, downsampling: int = 1) -> None:
        super().__init__()
        self.downsampling = downsampling
        w = base_channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, w, 4, stride=2, padding=1),  # C64: (N, w, H/2, W/2)
            nn.LeakyReLU(0.2, True),
            # C128: (N, 2w, H/4, W/4)
            *normalised(nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)),
            # C256: (N, 4w, H/8, W/8)
            *normalised(nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)),
            # C512: (N, 8w, H/8 - 1, W/8 - 1)
            *normalised(nn.Conv2d(4 * w, 8 * w, 4, padding=1), nn.LeakyReLU(0.2, True)),
            nn.Conv2d(8 * w, 1, 4, padding=1),  # (N, 1, H/8 - 2, W/8 - 2)
        )
        initialise_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Classify patches: (N, C, H, W) in [-1, 1] to (N, 1, H/8 - 2, W/8 - 2), high = real.

        H and W are those of the smaller image, with downsampling.
        """
        if self.downsampling > 1:
            images = avg_pool2d(images, self.downsampling)
        return self.layers(images)
