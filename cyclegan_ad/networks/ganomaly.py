"""The generator of GANomaly (Akcay et al., 2018) in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan_ad.networks.embedding import EmbeddingResult, check_images


class GANomalyGenerator(nn.Module):
    """Encoder, decoder and second encoder, with the names of weights of anomalib's generator.

    The networks need images whose size is a power of two; others are padded evenly with mid grey,
    and reconstructions are cropped.

    Args:
        channels: Channels of the images, 1 or 3.
        size_px: Height and width of the images.
        base_channels: Width of the first layers.
        latent_size: Length of the latent vector.
    """

    def __init__(
        self, *, channels: int, size_px: int, base_channels: int, latent_size: int
    ) -> None:
        super().__init__()
        self.image_shape = (channels, size_px, size_px)
        self.padded_px = 1 << (size_px - 1).bit_length()
        self.before_px = (self.padded_px - size_px + 1) // 2
        self.after_px = self.padded_px - size_px - self.before_px
        halvings = max(0, self.padded_px.bit_length() - 4)  # from half the size to 4 px
        self.encoder1 = _Encoder(channels, base_channels, latent_size, halvings)
        self.decoder = _Decoder(channels, base_channels, latent_size, halvings)
        self.encoder2 = _Encoder(channels, base_channels, latent_size, halvings)

    def forward(self, padded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct padded images.

        Args:
            padded: (N, C, S, S) in [-1, 1] with S = ``padded_px``.

        Returns:
            Reconstructions, likewise; latent vectors of the images and of the reconstructions,
            (N, L, 1, 1) each.
        """
        latent = self.encoder1(padded)
        reconstructions = self.decoder(latent)
        return reconstructions, latent, self.encoder2(reconstructions)

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct images and compare latent vectors.

        Args:
            images: (N, C, H, W) in [-1, 1].

        Returns:
            Reconstructions, likewise, and scores (N,) (Eq. 5 of the GANomaly paper).

        Raises:
            ValueError: If the images have another shape than the training images.
        """
        check_images(images, self.image_shape)
        padded, latent, latent_of_fake = self(self.pad(images))
        return self.crop(padded), (latent - latent_of_fake).square().flatten(1).mean(1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruct images as normal: (N, C, H, W) in [-1, 1] to the same."""
        return self.judge(images)[0]

    @torch.no_grad()
    def embed(self, images: Tensor) -> EmbeddingResult:
        """Compute the mean squared distance of the latent vectors of image and reconstruction.

        Args:
            images: (N, C, H, W) in [-1, 1].

        Returns:
            Scores, without maps.
        """
        return EmbeddingResult(self.judge(images)[1].double(), None)

    def pad(self, images: Tensor) -> Tensor:
        """Pad (N, C, H, W) evenly, so that the size is a power of two."""
        return functional.pad(images, [self.before_px, self.after_px] * 2)

    def crop(self, padded: Tensor) -> Tensor:
        """Cut out what was padded."""
        inside = slice(self.before_px, self.before_px + self.image_shape[1])
        return padded[..., inside, inside]


class _Encoder(nn.Module):
    """Images to latent vectors: (N, C, S, S) to (N, L, 1, 1)."""

    def __init__(self, channels: int, width: int, latent_size: int, halvings: int) -> None:
        super().__init__()
        first = nn.Conv2d(channels, width, 4, stride=2, padding=4, bias=False)
        self.input_layers = nn.Sequential()
        self.input_layers.add_module(f"initial-conv-{channels}-{width}", first)
        self.input_layers.add_module(f"initial-relu-{width}", nn.LeakyReLU(0.2, inplace=True))
        self.pyramid_features = nn.Sequential()
        for _ in range(halvings):
            half = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
            name = f"pyramid-{width}-{2 * width}-conv"
            _add(self.pyramid_features, name, half, nn.LeakyReLU(0.2, inplace=True))
            width *= 2
        self.final_conv_layer = nn.Conv2d(width, latent_size, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.final_conv_layer(self.pyramid_features(self.input_layers(images)))


class _Decoder(nn.Module):
    """Latent vectors to images: (N, L, 1, 1) to (N, C, S, S)."""

    def __init__(self, channels: int, width: int, latent_size: int, halvings: int) -> None:
        super().__init__()
        wide = width << halvings
        first = nn.ConvTranspose2d(latent_size, wide, 4, bias=False)
        self.latent_input = nn.Sequential()
        _add(self.latent_input, f"initial-{latent_size}-{wide}-convt", first, nn.ReLU(True))
        self.inverse_pyramid = nn.Sequential()
        for _ in range(halvings):
            double = nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1, bias=False)
            name = f"pyramid-{wide}-{wide // 2}-convt"
            _add(self.inverse_pyramid, name, double, nn.ReLU(True))
            wide //= 2
        last = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)
        self.final_layers = nn.Sequential()
        self.final_layers.add_module(f"final-{width}-{channels}-convt", last)
        self.final_layers.add_module(f"final-{channels}-tanh", nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        return self.final_layers(self.inverse_pyramid(self.latent_input(latent)))


def _add(
    layers: nn.Sequential,
    name: str,
    convolution: nn.Conv2d | nn.ConvTranspose2d,
    activation: nn.Module,
) -> None:
    """Append a convolution with batch norm and an activation, under anomalib's names."""
    stage, channels = name.partition("-")[0], convolution.out_channels
    layers.add_module(name, convolution)
    layers.add_module(f"{stage}-{channels}-batchnorm", nn.BatchNorm2d(channels))
    layers.add_module(f"{stage}-{channels}-relu", activation)
