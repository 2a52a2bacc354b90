"""The arithmetic of a pair, against what torch counts in the textbook step."""

import pytest
import torch
from tiny import compose_settings
from torch.utils.flop_counter import FlopCounterMode

from cyclegan_ad.build import build_method
from experiments.benchmarks.work import discriminator_flop, generator_flop, pair_flop
from experiments.textbook_step import textbook_method, textbook_optimizers, textbook_step

WIDTH = 4


@pytest.mark.parametrize(("channels", "blocks", "size_px"), [(3, 1, 32), (1, 2, 64)])
def test_counted_as_torch_counts(channels: int, blocks: int, size_px: int) -> None:
    settings = compose_settings(
        "train",
        [
            *("dataset=folder", f"dataset.channels={channels}", f"resolution={size_px}"),
            f"method.generator.base_channels={WIDTH}",
            f"method.generator.residual_blocks={blocks}",
        ],
    )
    method = textbook_method(build_method(settings))
    images = torch.zeros(1, channels, size_px, size_px)

    def counted(call) -> int:  # type: ignore[no-untyped-def]
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    with torch.no_grad():
        generator, _ = generator_flop(size_px, channels, WIDTH, blocks)
        assert counted(lambda: method.generator_to_normal(images)) == generator
        discriminator, _ = discriminator_flop(size_px, channels, WIDTH)
        assert counted(lambda: method.discriminator_normal(images)) == discriminator
    optimizers = textbook_optimizers(method)
    step = counted(lambda: textbook_step(method, *optimizers, images, images))
    # It also computes gradients of two discriminators' weights, and throws them away.
    needed = pair_flop(size_px, channels=channels, width=WIDTH, blocks=blocks)
    assert step == needed + 2 * discriminator


def test_the_figures_of_the_paper_s_networks() -> None:
    assert pair_flop(64, blocks=6) / 1e9 == pytest.approx(84, abs=0.5)
    assert pair_flop(256, blocks=9) / 1e12 == pytest.approx(1.88, abs=0.005)
