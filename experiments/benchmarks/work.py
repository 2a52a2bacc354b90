"""How much arithmetic a training pair needs: convolutions of the textbook step, none in vain.

Counted are a multiplication and an addition for each weight and place, in the forward pass, for the
gradient of the weights and for the gradient of the input:

- six passes of generators: two translations, two ways back, two identities. The four that see real
  images need no gradient for these;
- the generators' turn: two passes of discriminators, whose weights need no gradient;
- the discriminators' turn: four passes, whose inputs need no gradient.

Norms, activations, losses and Adam are left out: they are not done by matrix products.
"""


def generator_flop(size_px: int, channels: int, width: int, blocks: int) -> tuple[int, int]:
    """Arithmetic of one image in a generator.

    Args:
        size_px: Side of the image.
        channels: Channels of the image.
        width: Of the first layer.
        blocks: Residual blocks.

    Returns:
        FLOP of the forward pass, and of its first layer alone.
    """
    pixels = size_px**2
    outer = 2 * 49 * channels * width * pixels  # 7 x 7, at either end
    half = 2 * 9 * width * (2 * width) * pixels // 4  # to or from half the size
    quarter = 2 * 9 * (2 * width) * (4 * width) * pixels // 16
    block = 2 * (2 * 9 * (4 * width) ** 2 * pixels // 16)
    return 2 * (outer + half + quarter) + blocks * block, outer


def discriminator_flop(size_px: int, channels: int, width: int) -> tuple[int, int]:
    """Arithmetic of one image in a discriminator; see :func:`generator_flop`."""
    layers = []
    side, before = size_px, channels
    for after, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (8 * width, 1), (1, 1)):
        side = side // 2 if stride == 2 else side - 1
        layers.append(2 * 16 * before * after * side**2)
        before = after
    return sum(layers), layers[0]


def pair_flop(size_px: int, *, channels: int = 3, width: int = 64, blocks: int) -> int:
    """Arithmetic of one training pair, a step of all four networks.

    Args:
        size_px: Side of the images.
        channels: Channels of the images.
        width: Of the first layer of every network.
        blocks: Residual blocks of a generator.

    Returns:
        FLOP.

    >>> round(pair_flop(64, blocks=6) / 1e9), round(pair_flop(256, blocks=9) / 1e12, 2)
    (84, 1.88)
    """
    generator, generator_first = generator_flop(size_px, channels, width, blocks)
    discriminator, discriminator_first = discriminator_flop(size_px, channels, width)
    return (
        6 * 3 * generator
        - 4 * generator_first
        + 2 * 2 * discriminator
        + 4 * (3 * discriminator - discriminator_first)
    )
