"""Signals by hand, against NumPy, whatever the batch; each network runs once, if needed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy import ndimage
from scored import make_scores
from small_cyclegan import PLUS, small_cyclegan
from torch import Tensor

from cyclegan_ad.methods.names import SIGNALS
from cyclegan_ad.networks.inference import build_inference
from cyclegan_ad.scoring import parts
from cyclegan_ad.scoring.scores import NonFiniteScoreError
from cyclegan_ad.scoring.signals import (
    change_abnormal,
    change_ratio,
    critic_abnormal,
    critic_abnormal_peak,
    critic_normal,
    critic_normal_peak,
    critics,
    cycle_abnormal,
    cycle_normal,
    peak_abnormal,
)

NAMES = list(SIGNALS)


class Asked:
    """Four networks that can be worked out by hand; notes what they are asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def reconstruct(self, images: Tensor) -> Tensor:
        self.calls.append("to_normal")
        return images / 2

    def make_abnormal(self, images: Tensor) -> Tensor:
        self.calls.append("to_abnormal")
        return images * images

    def judge_normal(self, images: Tensor) -> Tensor:
        self.calls.append("normal")
        return images[:, :1, ::4, ::4]

    def judge_abnormal(self, images: Tensor) -> Tensor:
        self.calls.append("abnormal")
        return images[:, 1:2, 2::4, 2::4] - 1


def random_images(n: int = 3, channels: int = 3, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    return torch.rand((n, channels, size, size), generator=generator) * 2 - 1


def two(first: float, second: float) -> Tensor:
    return torch.tensor([first, second]).view(1, 1, 1, 2)


def test_changes_by_hand() -> None:
    image, made_normal, made_abnormal = two(0.0, 1.0), two(0.5, -1.0), two(-0.5, 0.5)
    assert change_abnormal(image, made_abnormal).tolist() == [-0.5]
    floor = 2 * (2 / 255) ** 2 / 12
    expected = math.log((4.25 + floor) / (0.5 + floor))
    found = change_ratio(image, made_normal, made_abnormal)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert change_ratio(image, made_abnormal, made_normal).item() == pytest.approx(-expected)
    assert cycle_normal(image, made_normal).tolist() == [2.5]
    assert cycle_abnormal(image, made_abnormal).tolist() == [-1.0]


def test_a_peak_by_hand() -> None:
    change = torch.zeros(1, 32, 32)
    change[0, 16, 16] = 3.0
    expected = -3 / (2 * math.pi * 2**2)
    assert peak_abnormal(change, 2.0).item() == pytest.approx(expected, rel=1e-3)


def test_responses_by_hand() -> None:
    normal = torch.tensor([1.0, 0.5, 0.0, 0.5]).view(1, 1, 2, 2)
    abnormal = torch.tensor([0.0, 0.25, 1.0, -0.25]).view(1, 1, 2, 2)
    assert critic_normal(normal).tolist() == [-0.5]
    assert critic_normal_peak(normal).tolist() == [0.0]
    assert critic_abnormal(abnormal).tolist() == [0.25]
    assert critic_abnormal_peak(abnormal).tolist() == [1.0]
    assert critics(normal, abnormal).tolist() == [-0.25]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_ratio_is_finite_at_its_limits(value: float) -> None:
    image, far = torch.full((1, 3, 8, 8), value), torch.full((1, 3, 8, 8), value - 2)
    largest = math.log(4 / ((2 / 255) ** 2 / 12) + 1)
    assert change_ratio(image, image, image).tolist() == [0.0]
    assert change_ratio(image, far, image).item() == pytest.approx(largest)
    assert change_ratio(image, image, far).item() == pytest.approx(-largest)
    assert largest < 13.6


def by_numpy(x: np.ndarray) -> dict[str, float]:
    """All signals of one image, (3, H, W) float64, with the networks of ``Asked``."""
    normal, abnormal = x / 2, x * x
    judged_normal, judged_abnormal = x[0, ::4, ::4], x[1, 2::4, 2::4] - 1
    change = ((x - abnormal) ** 2).sum(0)
    floor = x.size * (2 / 255) ** 2 / 12
    sse = ((x - normal) ** 2).sum()
    return {
        "change_abnormal": -change.sum(),
        "peak_abnormal_1.5px": -ndimage.gaussian_filter(change, 1.5, truncate=4).max(),
        "change_ratio": math.log(sse + floor) - math.log(change.sum() + floor),
        "cycle_normal": np.abs(x - abnormal / 2).sum(),
        "cycle_abnormal": -np.abs(x - normal * normal).sum(),
        "critic_normal": -judged_normal.mean(),
        "critic_normal_peak": -judged_normal.min(),
        "critic_abnormal": judged_abnormal.mean(),
        "critic_abnormal_peak": judged_abnormal.max(),
        "critics": judged_abnormal.mean() - judged_normal.mean(),
    }


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_all_signals_against_numpy(tta: str) -> None:
    images = random_images()
    found = make_scores(NAMES, peak_sigma_px=1.5, tta=tta)(Asked(), images)[0]
    for i, image in enumerate(images.double().numpy()):
        turned = [image]
        if tta == "dihedral":
            flips = (image, image[..., ::-1])
            turned = [np.rot90(flip, k, axes=(1, 2)) for flip in flips for k in range(4)]
        each = [by_numpy(one) for one in turned]
        for name in each[0]:
            column = name if tta == "none" else f"{name}_tta"
            expected = np.mean([one[name] for one in each])
            assert found[column].dtype == torch.float64
            assert found[column][i].item() == pytest.approx(expected, rel=1e-5, abs=1e-6), name
    assert len(found) == len(NAMES)


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        (["change_abnormal", "peak_abnormal", "change_ratio"], ["to_abnormal", "to_normal"]),
        (["critic_normal", "critic_normal_peak"], ["normal", "to_normal"]),
        (["critic_abnormal", "critic_abnormal_peak"], ["abnormal", "to_normal"]),
        (["critics"], ["abnormal", "normal", "to_normal"]),
        (["cycle_normal"], ["to_abnormal", "to_normal", "to_normal"]),
        (["cycle_abnormal"], ["to_abnormal", "to_normal"]),
        (
            ["sse", "peak", *NAMES],
            ["abnormal", "normal", *2 * ["to_abnormal"], *2 * ["to_normal"]],
        ),
    ],
)
def test_each_network_runs_once_and_only_if_needed(names: list[str], calls: list[str]) -> None:
    """``to_normal`` always runs: for the anomaly map."""
    method = Asked()
    make_scores(names)(method, random_images())
    assert sorted(method.calls) == calls


@pytest.mark.parametrize("more", [{}, PLUS], ids=["paper", "plus"])
def test_signals_of_real_networks_do_not_depend_on_the_batch(more: dict[str, object]) -> None:
    torch.manual_seed(0)
    method, images = small_cyclegan(**more).eval(), random_images(4, channels=1, size=32)
    scores = make_scores(NAMES)
    whole = scores(method, images)[0]
    shuffled = scores(method, images.flip(0))[0]
    for i in range(4):
        alone = scores(method, images[i : i + 1])[0]
        for column, values in whole.items():
            assert values.unique().numel() == 4
            torch.testing.assert_close(alone[column][0], values[i], rtol=1e-4, atol=1e-5)
    for column, values in whole.items():
        torch.testing.assert_close(shuffled[column].flip(0), values, rtol=1e-4, atol=1e-5)


def test_saved_networks_give_the_same_signals() -> None:
    """Also those of averages, which are not the last weights."""
    torch.manual_seed(0)
    method = small_cyclegan(**PLUS).eval()
    assert method.averages is not None
    for parameter in method.averages.parameters():
        parameter.mul_(1.5)
    built = build_inference("cyclegan_plus", *method.full_inference_state())
    images = random_images(2, channels=1, size=32)
    scores = make_scores(["sse", *NAMES])
    found, expected = scores(built, images)[0], scores(method, images)[0]
    last = scores(small_cyclegan().eval(), images)[0]
    for column in expected:
        assert torch.equal(found[column], expected[column])
        assert not torch.equal(found[column], last[column])


def test_networks_run_in_the_precision_of_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    arithmetic: Callable[..., object] = parts.arithmetic

    @contextmanager
    def note(device: torch.device, precision: str) -> Iterator[None]:
        used.append(precision)
        with arithmetic(device, precision):  # type: ignore[attr-defined]
            yield

    monkeypatch.setattr(parts, "arithmetic", note)
    torch.manual_seed(0)
    method, images = small_cyclegan().eval(), random_images(2, channels=1, size=32)
    exact = make_scores(NAMES)(method, images)[0]
    assert used == ["float32"] * 6
    rounded = make_scores(NAMES, precision="bf16")(method, images)[0]
    assert used[6:] == ["bf16"] * 6
    for name in NAMES:
        column = name if name != "peak_abnormal" else "peak_abnormal_2px"
        values = rounded[f"{column}_bf16"]
        assert values.dtype == torch.float64 and values.isfinite().all()
        assert not torch.equal(values, exact[column])
        torch.testing.assert_close(values, exact[column], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_that_is_not_finite_names_the_images(name: str) -> None:
    images = random_images()
    images[1] = torch.nan
    with pytest.raises(NonFiniteScoreError) as caught:
        make_scores([name])(Asked(), images)
    assert caught.value.positions == [1] and caught.value.column.startswith(name)
