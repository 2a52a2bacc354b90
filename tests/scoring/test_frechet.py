from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from cyclegan_ad.scoring.frechet import single_image_frechet, spatial_frechet


def maps(n: int, channels: int, size: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, channels, size, size, generator=generator, dtype=torch.float64)
    return torch.einsum("dc,nchw->ndhw", mixing, noise) + seed


def reference(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance by covariances and a matrix root; a, b: (C, positions)."""
    c1, c2 = np.cov(a, ddof=1), np.cov(b, ddof=1)
    root = np.real(sqrtm(c1 @ c2))
    return float(np.sum((a.mean(1) - b.mean(1)) ** 2) + np.trace(c1 + c2 - 2 * root))


def test_golden_frechet(golden: Callable[[str], Path]) -> None:
    with np.load(golden("frechet.npz")) as data:
        a, b = (torch.from_numpy(data[f"features_{k}"]) for k in ("input", "reconstruction"))
        torch.testing.assert_close(
            single_image_frechet(a, b),
            torch.from_numpy(data["frechet_distance"]),
            rtol=1e-12,
            atol=0,
        )


def test_single_image_hand_worked() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])  # std 1 and 0
    b = torch.tensor([[1.0, 3.0, 5.0], [1.0, 1.0, 1.0]])  # std 2 and 0
    assert single_image_frechet(a, b).tolist() == [0 + 1 + 4 + 1, 3.0]


def test_single_image_is_computed_in_float64() -> None:
    a = 1000 + torch.arange(512.0)[None] / 512
    b = a.clone()
    b[0, 0] += 2.0**-12
    assert single_image_frechet(a, b).dtype == torch.float64
    assert single_image_frechet(a, b).item() == pytest.approx(2.0**-24, rel=1e-3)
    assert single_image_frechet(a, a).item() == 0


def test_spatial_hand_worked() -> None:
    # Two channels, positions at the corners of an axis-parallel box around the mean, so diagonal
    # covariances (ddof 1): (4/3, 12/3) and (36/3, 12/3). Means (0, 0) and (3, 4).
    signs = torch.tensor([[[-1.0, -1.0], [1.0, 1.0]], [[-1.0, 1.0], [-1.0, 1.0]]])
    a = signs * torch.tensor([1.0, 3.0**0.5])[:, None, None]
    b = signs * torch.tensor([3.0, 3.0**0.5])[:, None, None]
    b = b + torch.tensor([3.0, 4.0])[:, None, None]
    expected = 25 + ((36 / 3) ** 0.5 - (4 / 3) ** 0.5) ** 2
    assert spatial_frechet(a[None], b[None]).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("channels", "size"), [(3, 5), (8, 3), (9, 3), (5, 2)])
def test_spatial_against_a_matrix_root(channels: int, size: int) -> None:
    a, b = maps(3, channels, size, seed=1), maps(3, channels, size, seed=2)
    expected = [
        reference(x, y) for x, y in zip(a.flatten(2).numpy(), b.flatten(2).numpy(), strict=True)
    ]
    # With fewer positions than channels the root of a singular matrix is only good to 1e-6.
    rtol = 1e-9 if channels < size * size else 1e-6
    np.testing.assert_allclose(spatial_frechet(a, b).numpy(), expected, rtol=rtol)


def test_spatial_is_a_distance_of_distributions() -> None:
    a, b = maps(2, 6, 4, seed=1), maps(2, 6, 4, seed=2)
    torch.testing.assert_close(spatial_frechet(a, b), spatial_frechet(b, a))
    assert spatial_frechet(a, a).max() < 1e-10
    shuffled = a.flatten(2)[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    assert spatial_frechet(a, shuffled.view_as(a)).max() < 1e-10
    torch.testing.assert_close(spatial_frechet(a, a + 2), torch.full((2,), 6 * 4.0).double())


@pytest.mark.parametrize("function", [single_image_frechet, spatial_frechet])
def test_batch_does_not_matter(function) -> None:
    a, b = maps(7, 40, 6, seed=1).float(), maps(7, 40, 6, seed=2).float()
    if function is single_image_frechet:
        a, b = a.flatten(1), b.flatten(1)
    whole = function(a, b)
    one_by_one = torch.cat([function(a[i : i + 1], b[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(one_by_one, whole, rtol=1e-12, atol=0)


def test_non_finite_map_spoils_only_its_own_image() -> None:
    a, b = maps(2, 4, 3, seed=1), maps(2, 4, 3, seed=2)
    expected = spatial_frechet(a, b)
    b[0, 0, 0, 0] = torch.nan
    got = spatial_frechet(a, b)
    assert torch.isfinite(got).tolist() == [False, True]
    assert got[1] == expected[1]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for both"):
        single_image_frechet(torch.zeros(2, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="D >= 2"):
        single_image_frechet(torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="for both"):
        spatial_frechet(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 3, 3))
    with pytest.raises(ValueError, match=r"h\*w >= 2"):
        spatial_frechet(torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1))
