import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from cyclegan_ad.scoring.extensions import (
    ErrorVariance,
    peak,
    standardised,
)

ROUNDING = (2 / 255) ** 2 / 12


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def weights_of(variance: torch.Tensor | np.ndarray) -> np.ndarray:
    """What compute makes of a population variance."""
    plain = np.asarray(variance)
    return plain + 0.01 * plain.mean() + ROUNDING


# Smoothing and peak


def test_peak_hand_worked() -> None:
    # sigma 0.25 reaches one pixel: weights 1 and e = exp(-8), divided by their sum.
    e = math.exp(-8)
    side, middle = e / (1 + 2 * e), 1 / (1 + 2 * e)
    maps = torch.zeros(1, 3, 3, dtype=torch.float64)
    maps[0, 1, 0] = 1.0  # at the border: its mirror image adds one side
    assert peak(maps, 0.25).item() == pytest.approx(middle * (middle + side), rel=1e-14)


@pytest.mark.parametrize("sigma_px", [0.1, 2.0, 40.0])
@pytest.mark.parametrize("shape", [(5, 9), (1, 7), (1, 1)])
def test_each_map_is_smoothed_by_itself(sigma_px: float, shape: tuple[int, int]) -> None:
    maps = draw(3, *shape).square()
    before = maps.clone()
    alone = torch.cat([peak(one[None], sigma_px) for one in maps])
    torch.testing.assert_close(peak(maps, sigma_px), alone, rtol=1e-14, atol=0)
    assert torch.equal(maps, before)


def test_peak_is_the_maximum_of_scipys_filter() -> None:
    maps = draw(4, 20, 30).square()
    expected = [ndimage.gaussian_filter(one.double(), 1.5).max() for one in maps]
    scores = peak(maps, 1.5)
    assert scores.dtype == torch.float64
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_peak_tells_a_small_defect_from_a_faint_one_of_equal_sum() -> None:
    maps = torch.zeros(2, 32, 32)
    maps[0, 14:18, 14:18] = 64.0
    maps[1] = 1.0
    assert maps[0].sum() == maps[1].sum()
    small, faint = peak(maps, 2.0).tolist()
    assert faint == pytest.approx(1.0)
    # The square is a product of two intervals of the truncated, normalised kernel.
    kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
    share = kernel[6:10].sum() / kernel.sum()
    assert small == pytest.approx(64 * share**2, rel=1e-6)


def test_peak_of_no_maps() -> None:
    assert peak(torch.zeros(0, 4, 4), 2.0).shape == (0,)


def test_peak_of_nan_is_nan() -> None:
    maps = torch.zeros(2, 8, 8)
    maps[1, 3, 3] = float("nan")
    assert peak(maps, 2.0).isnan().tolist() == [False, True]


@pytest.mark.parametrize("sigma_px", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_width_is_refused(sigma_px: float) -> None:
    with pytest.raises(ValueError, match="sigma_px"):
        peak(torch.zeros(1, 4, 4), sigma_px)


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4), (1, 0, 4)])
def test_maps_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="invalid maps"):
        peak(torch.zeros(shape), 1.0)


# Variance of the errors


def test_variance_hand_worked() -> None:
    # Errors of two pixels: 0, 0.4, 0.8 (mean 0.4, variance 0.32 / 3) and always 0.5 (variance 0).
    images = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
    reconstructions = torch.tensor([[0.0, 0.5], [0.4, 0.5], [0.8, 0.5]], dtype=torch.float64)
    errors = ErrorVariance()
    errors.update(images, reconstructions.view(3, 1, 1, 2))
    varying, floor = errors.compute().flatten().tolist()
    assert floor == pytest.approx(0.01 * (0.32 / 3) / 2 + ROUNDING)
    assert varying == pytest.approx(0.32 / 3 + floor)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 25])
def test_variance_equals_numpy_whatever_the_batches(batch_size: int) -> None:
    images, reconstructions = draw(25, 3, 5, 4), draw(25, 3, 5, 4, seed=1)
    errors = ErrorVariance()
    for start in range(0, 25, batch_size):
        part = slice(start, start + batch_size)
        errors.update(images[part], reconstructions[part])
    plain = np.var(reconstructions.double().numpy() - images.double().numpy(), axis=0)
    variance = errors.compute()
    assert variance.dtype == torch.float64
    np.testing.assert_allclose(variance, weights_of(plain), rtol=1e-12)


def test_variance_is_stable_beside_a_large_mean() -> None:
    # A sum of squares less the square of the sum would lose it: 1e-14 beside 1 in float64.
    small = 1e-7 * draw(1000, 1, 1, 1).double()
    reconstructions = torch.cat([0.9 + small, small], dim=3)
    errors = ErrorVariance()
    for part in reconstructions.split(7):
        errors.update(torch.zeros_like(part), part)
    assert errors._squares is not None
    with_mean, without = (errors._squares / 1000).flatten().tolist()
    assert with_mean == pytest.approx(without, rel=1e-6)
    assert without == pytest.approx(float(np.var(small.numpy())), rel=1e-9)


def test_perfect_reconstructions_leave_the_variance_of_rounding() -> None:
    images = draw(4, 1, 2, 2)
    errors = ErrorVariance()
    errors.update(images, images)
    torch.testing.assert_close(errors.compute(), torch.full((1, 2, 2), ROUNDING).double())


def test_wrong_input_of_the_variance_is_refused() -> None:
    errors = ErrorVariance()
    with pytest.raises(ValueError, match="0 images: expected 2"):
        errors.compute()
    errors.update(draw(1, 1, 4, 4), draw(1, 1, 4, 4))
    errors.update(draw(0, 1, 4, 4), draw(0, 1, 4, 4))  # an empty batch is no image
    with pytest.raises(ValueError, match="1 image: expected 2"):
        errors.compute()
    with pytest.raises(ValueError, match=r"\(3, 4, 4\).*\(1, 4, 4\)"):
        errors.update(draw(2, 3, 4, 4), draw(2, 3, 4, 4))
    with pytest.raises(ValueError, match="for both"):
        errors.update(draw(2, 1, 4, 4), draw(2, 1, 4, 5))
    with pytest.raises(ValueError, match="NaN"):
        errors.update(draw(1, 1, 4, 4), torch.full((1, 1, 4, 4), float("nan")))


# Standardised


def test_standardised_hand_worked() -> None:
    images = torch.zeros(2, 2, 1, 2)
    reconstructions = torch.tensor([[[[0.5, 0.0]], [[1.0, 0.25]]], [[[0.0, 0.0]], [[0.0, -0.5]]]])
    variance = torch.tensor([[[0.5, 1.0]], [[2.0, 0.125]]])
    scores = standardised(images, reconstructions, variance)
    assert scores.tolist() == [1.5, 2.0]
    assert scores.dtype == torch.float64


def test_standardised_equals_numpy() -> None:
    images, reconstructions = draw(5, 3, 6, 7), draw(5, 3, 6, 7, seed=1)
    variance = draw(3, 6, 7, seed=2).abs() + 0.1
    squares = (images.double().numpy() - reconstructions.double().numpy()) ** 2
    expected = np.einsum("nchw,chw->n", squares, 1 / variance.double().numpy())
    np.testing.assert_allclose(standardised(images, reconstructions, variance), expected)


def test_standardised_of_the_images_it_was_fitted_on_has_a_known_mean() -> None:
    # Unbiased errors: each pixel and channel adds 1 on average, a little less for the floor.
    errors = torch.randn(400, 2, 4, 4, generator=torch.Generator().manual_seed(0)).double() / 10
    errors = errors - errors.mean(dim=0)
    fitted = ErrorVariance()
    fitted.update(torch.zeros_like(errors), errors)
    scores = standardised(torch.zeros_like(errors), errors, fitted.compute())
    assert scores.mean().item() == pytest.approx(2 * 4 * 4 / 1.01, rel=2e-3)


def test_standardised_does_not_depend_on_the_batch() -> None:
    images, reconstructions = draw(9, 3, 33, 33), draw(9, 3, 33, 33, seed=1)
    variance = draw(3, 33, 33, seed=2).abs() + 0.1
    one_by_one = torch.cat(
        [
            standardised(images[i : i + 1], reconstructions[i : i + 1], variance)
            for i in range(len(images))
        ]
    )
    scores = standardised(images, reconstructions, variance)
    torch.testing.assert_close(scores, one_by_one, rtol=1e-13, atol=0)
    assert standardised(images[:0], reconstructions[:0], variance).shape == (0,)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_variance_that_cannot_divide_is_refused(value: float) -> None:
    variance = torch.ones(1, 4, 4)
    variance[0, 1, 2] = value
    with pytest.raises(ValueError, match="positive finite"):
        standardised(draw(1, 1, 4, 4), draw(1, 1, 4, 4), variance)


def test_variance_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4, [45]\).*\(1, 4, [45]\)"):
        standardised(draw(1, 1, 4, 4), draw(1, 1, 4, 4), torch.ones(1, 4, 5))
