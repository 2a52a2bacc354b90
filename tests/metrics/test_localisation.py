import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from cyclegan_ad.metrics.localisation import aupro, pixel_auroc


def random_case(seed: int, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps with ties (few decimals) and masks of several regions, some images without."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, 12, 10)), (0, 1, 1))
    masks = smooth > 0.35
    masks[0] = False
    maps = np.round(masks + rng.normal(scale=1.2, size=masks.shape), decimals)
    return maps, masks


def brute_force_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """Threshold by threshold, region by region."""
    regions = []
    for image, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(image, labels == k) for k in range(1, count + 1)]
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        found = maps >= threshold
        rates.append(found[~masks].mean())
        overlaps.append(float(np.mean([found[image][region].mean() for image, region in regions])))
    # The limit as a point of the curve, then the trapezoids up to it.
    area = 0.0
    for (x0, y0), (x1, y1) in zip(
        zip(rates, overlaps, strict=True), list(zip(rates, overlaps, strict=True))[1:], strict=False
    ):
        if x0 >= limit:
            break
        if x1 > limit:
            y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            x1 = limit
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


def test_aupro_hand_worked() -> None:
    # Regions: A of two pixels (9, 5), B of one pixel (7). Sound pixels: 8, 6, 4, 3.
    # value  found            rate  overlap
    # 9      half of A        0     1/4
    # 8      sound            1/4   1/4
    # 7      B                1/4   3/4
    # 6      sound            1/2   3/4
    # 5      the rest of A    1/2   1
    maps = np.array([[[9.0, 5.0, 8.0, 7.0, 6.0, 4.0, 3.0]]])
    masks = np.array([[[1, 1, 0, 1, 0, 0, 0]]])
    assert aupro(maps, masks, max_false_positive_rate=0.25) == pytest.approx(1 / 4)
    assert aupro(maps, masks, max_false_positive_rate=0.5) == pytest.approx((1 / 4 + 3 / 4) / 2)
    assert aupro(maps, masks, max_false_positive_rate=1.0) == pytest.approx(1 / 16 + 3 / 16 + 1 / 2)
    # 0.3 lies on the flat part at 3/4
    assert aupro(maps, masks) == pytest.approx((0.25 / 4 + 0.05 * 3 / 4) / 0.3)


def test_tied_pixels_enter_together() -> None:
    maps, masks = np.ones((1, 2, 2)), np.array([[[1, 0], [0, 0]]])
    assert aupro(maps, masks) == pytest.approx(0.15)  # the diagonal, not 1 or 0
    assert pixel_auroc(maps, masks) == 0.5


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 8, 8), dtype=bool)
    masks[0, :4, :4] = True
    masks[0, 7, 7] = True
    maps = np.zeros((1, 8, 8))
    maps[0, :4, :4] = 1.0  # the single pixel is only found with all the sound ones
    expected = (0.5 + (0.5 + 0.3 / 2)) / 2
    assert aupro(maps, masks) == pytest.approx(expected)


def test_diagonal_neighbours_are_one_region() -> None:
    masks = np.array([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]], dtype=bool)
    maps = np.zeros((1, 3, 4))
    maps[0, 0, 0] = maps[0, 1, 1] = 1.0
    # Regions {diagonal pair} found at once, {corner} only at the end: 1/2 as a start, not 2/3.
    assert aupro(maps, masks) == pytest.approx((0.5 + (0.5 + 0.3 / 2)) / 2)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_aupro_against_brute_force(decimals: int, limit: float) -> None:
    for seed in range(3):
        maps, masks = random_case(seed, decimals)
        expected = brute_force_aupro(maps, masks, limit)
        assert aupro(maps, masks, limit) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decimals", [0, 8])
def test_pixel_auroc_against_sklearn(decimals: int) -> None:
    maps, masks = random_case(7, decimals)
    expected = roc_auc_score(masks.ravel(), maps.ravel())
    assert pixel_auroc(maps, masks) == pytest.approx(expected, rel=1e-12)


def test_perfect_and_inverted_maps() -> None:
    _, masks = random_case(1, 8)
    assert aupro(masks.astype(float), masks) == pytest.approx(1.0)
    assert pixel_auroc(masks.astype(float), masks) == 1.0
    assert aupro(-masks.astype(float), masks) == pytest.approx(0.0)
    assert pixel_auroc(-masks.astype(float), masks) == 0.0


@pytest.mark.parametrize("function", [pixel_auroc, aupro])
def test_bad_input_is_refused(function) -> None:
    maps, masks = random_case(0, 8)
    with pytest.raises(ValueError, match=r"abnormal|defective"):
        function(maps, np.zeros_like(masks))
    with pytest.raises(ValueError, match=r"normal|sound"):
        function(maps, np.ones_like(masks))
    with pytest.raises(ValueError, match="NaN"):
        function(np.where(masks, np.nan, maps), masks)
    with pytest.raises(ValueError, match="for both"):
        function(maps[:1], masks)
    with pytest.raises(ValueError, match="0 and 1"):
        function(maps, 255 * masks.astype(np.uint8))


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1])
def test_limit_must_be_a_rate(limit: float) -> None:
    with pytest.raises(ValueError, match="max_false_positive_rate"):
        aupro(*random_case(0, 8), max_false_positive_rate=limit)
