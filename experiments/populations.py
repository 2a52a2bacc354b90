"""Populations of images that `experiments.promises` draws from: simulated ones, and ELPV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cyclegan_ad.errors import UserError

SIMULATED = ("gaussian", "heavy_tails", "ties")
ELPV = "elpv"

_ABNORMAL, _NORMAL, _DIMENSIONS = 20_000, 2_000, 6
_SHIFT = 1.2  # of each dimension; the best linear score has an AUROC of 98 %
_BLOCKS, _COMPONENTS = 15, 32  # of the photographs


@dataclass(frozen=True)
class Population:
    """All images that a deployment draws from; miss rates are exact shares of it.

    Attributes:
        name: Name in the table.
        normal: (N, D) float32 features.
        abnormal: (M, D) float32 features.
    """

    name: str
    normal: NDArray[np.float32]
    abnormal: NDArray[np.float32]


def simulate(name: str, seed: int) -> Population:
    """Draw a population of 20,000 abnormal and 2,000 normal images.

    Args:
        name: ``gaussian``; ``heavy_tails``: Student's t with 2 degrees of freedom, without a
            variance; ``ties``: the Gaussian features rounded to integers, half of the dimensions,
            so that many images share a score.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng([seed, SIMULATED.index(name)])
    shape, dimensions = (_ABNORMAL + _NORMAL, _DIMENSIONS), slice(None)
    drawn = rng.standard_t(2, shape) if name == "heavy_tails" else rng.normal(size=shape)
    drawn[:_ABNORMAL] += _SHIFT
    if name == "ties":
        drawn, dimensions = np.rint(drawn), slice(_DIMENSIONS // 2)
    features = drawn[:, dimensions].astype(np.float32)
    return Population(name.replace("_", " "), features[_ABNORMAL:], features[:_ABNORMAL])


def read_elpv() -> Population:
    """Describe ELPV's 2,624 photographs of solar cells by simple features, in seconds.

    Mean and standard deviation of the grey values in each of 15 x 15 blocks, reduced to their first
    32 principal components. A cell is abnormal if its defect probability is at least 0.5.

    Raises:
        UserError: If the package elpv-dataset is missing.
    """
    try:
        from elpv_dataset.utils import load_dataset
    except ImportError as error:
        raise UserError(
            "dataset=elpv needs the package elpv-dataset: pip install elpv-dataset; or use "
            f"dataset={','.join(SIMULATED)}"
        ) from error
    images, probability, _ = load_dataset()
    count, side, _ = images.shape
    size = side // _BLOCKS
    blocks = images.reshape(count, _BLOCKS, size, _BLOCKS, size).astype(np.float32)
    described = [blocks.mean(axis=(2, 4)), blocks.std(axis=(2, 4))]
    features = np.concatenate([part.reshape(count, -1) for part in described], axis=1)
    reduced = principal_components(features.astype(np.float64), _COMPONENTS)
    abnormal = np.asarray(probability) >= 0.5
    return Population("ELPV", reduced[~abnormal], reduced[abnormal])


def principal_components(features: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Return the first principal components, (N, count), of standardised features, (N, D).

    They are computed from all images without their labels, so that images stay exchangeable.
    """
    scale = features.std(axis=0)
    standardised = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    _, _, directions = np.linalg.svd(standardised, full_matrices=False)
    projected: NDArray[np.float64] = standardised @ directions[:count].T
    return projected.astype(np.float32)
