"""Losses worked out by hand, and against independent formulas in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cyclegan_ad.methods.losses import (
    AdversarialLoss,
    Objective,
    adversarial_loss,
    cycle_loss,
    identity_loss,
)

KINDS = ("least_squares", "log")


def judgement(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("values", "real", "expected"),
    [
        ((1.0,), True, 0.0),
        ((0.0,), True, 1.0),
        ((1.0,), False, 1.0),
        ((0.0,), False, 0.0),
        ((0.5,), True, 0.25),
        ((-1.0,), True, 4.0),
        ((3.0, 1.0), True, 2.0),  # ((3 - 1)^2 + 0) / 2
        ((3.0, 1.0), False, 5.0),  # (9 + 1) / 2
    ],
)
def test_least_squares_by_hand(values: tuple[float, ...], real: bool, expected: float) -> None:
    loss = adversarial_loss(judgement(*values), real=real, kind="least_squares")
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("values", "real", "expected"),
    [
        ((0.0,), True, math.log(2)),
        ((0.0,), False, math.log(2)),
        ((math.log(3),), True, math.log(4 / 3)),  # judged real with probability 3/4
        ((math.log(3),), False, math.log(4)),
        ((math.log(3), 0.0), True, (math.log(4 / 3) + math.log(2)) / 2),
        ((800.0,), True, 0.0),  # exp(800) would overflow
        ((800.0,), False, 800.0),
        ((-800.0,), True, 800.0),
    ],
)
def test_log_loss_by_hand(values: tuple[float, ...], real: bool, expected: float) -> None:
    loss = adversarial_loss(judgement(*values), real=real, kind="log")
    assert loss.item() == pytest.approx(expected, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_loss_against_numpy(kind: str, real: bool) -> None:
    x = 3 * torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given = x.numpy()
    probability = 1 / (1 + np.exp(-given))
    reference = {
        ("least_squares", True): (given - 1) ** 2,
        ("least_squares", False): given**2,
        ("log", True): -np.log(probability),
        ("log", False): -np.log(1 - probability),
    }[kind, real]
    loss = adversarial_loss(x, real=real, kind=kind)
    assert loss.item() == pytest.approx(reference.mean(), rel=1e-12)
    assert loss.item() >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_loss_pulls_towards_the_verdict(kind: str) -> None:
    for real, sign in ((True, -1), (False, 1)):
        given = judgement(0.3, -0.7 if real else 0.7).requires_grad_()
        adversarial_loss(given, real=real, kind=kind).backward()
        assert given.grad is not None
        assert (given.grad.sign() == sign).all()  # descending raises real ones, lowers the others


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_image_losses_by_hand(loss) -> None:
    real = torch.tensor([[[[1.0, -1.0], [0.0, 0.5]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    other = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, -0.5]]]])
    # |1| + |-2| + 0 + |0.5| and 0 + 0 + 0 + 0.5 over 8 pixels
    assert loss(other, real).item() == 4.0 / 8
    assert loss(real, other).item() == 4.0 / 8
    assert loss(real, real).item() == 0.0
    assert loss(real, other).shape == ()


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_image_losses_against_numpy(loss) -> None:
    random = torch.Generator().manual_seed(2)
    a = 2 * torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=random) - 1
    b = 2 * torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=random) - 1
    assert loss(a, b).item() == pytest.approx(np.abs(a.numpy() - b.numpy()).mean(), rel=1e-12)


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 8, 8), (1, 3, 8, 8)),  # torch would repeat the one image
        ((2, 3, 8, 8), (2, 1, 8, 8)),
        ((2, 3, 8, 8), (2, 3, 8, 4)),
        ((2, 3, 8, 8), (3, 8, 8)),
    ],
)
def test_images_of_different_shapes_are_refused(loss, shapes) -> None:
    a, b = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=r"equal shape, got \(2, 3, 8, 8\)"):
        loss(a, b)
    with pytest.raises(ValueError, match="equal shape"):
        loss(b, a)


@pytest.mark.parametrize("kind", KINDS)
def test_real_images_of_the_other_class_by_hand(kind: AdversarialLoss) -> None:
    """Judged as they are: real 2, fake 1, opposite -1; least squares (1 + 1) / 2 + 0.25 * 1."""
    real, fake, opposite = (judgement(value) for value in (2.0, 1.0, -1.0))
    seen: list[list[float]] = []

    def judge(images: Tensor) -> Tensor:
        seen.append(images.flatten().tolist())
        return images

    usual = Objective(10.0, 5.0, kind).discriminator_loss(judge, real, fake, opposite)
    more = Objective(10.0, 5.0, kind, 0.25).discriminator_loss(judge, real, fake, opposite)
    assert seen == [[2.0, 1.0], [2.0, 1.0, -1.0]]
    if kind == "least_squares":
        assert (usual.item(), more.item()) == (1.0, 1.25)
    else:
        from_real, from_fake = math.log1p(math.exp(-2)), math.log1p(math.exp(1))
        expected = (from_real + from_fake) / 2
        assert usual.item() == pytest.approx(expected, rel=1e-14)
        expected += 0.25 * math.log1p(math.exp(-1))
        assert more.item() == pytest.approx(expected, rel=1e-14)
