"""PaDiM against anomalib itself and against Mahalanobis distances by numpy and scipy."""

import numpy as np
import pytest
import torch
from baselines import SIZE_PX, batches, fit, images, padim
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import mahalanobis
from torch.nn import functional

from cyclegan_ad.networks.embedding import normalise
from cyclegan_ad.pretrained.names import BACKBONES

pytest.importorskip("anomalib", reason="extra 'baselines'")

RESNET = BACKBONES["resnet18"]


def test_equals_anomalib_used_directly() -> None:
    from anomalib.models.image.padim.torch_model import PadimModel

    train, test = images(10), images(5, seed=1)
    module = padim()
    fit(module, batches(train))
    got = module.embed(test)

    torch.manual_seed(3)
    reference = PadimModel("resnet18", ["layer1", "layer2", "layer3"], False, n_features=20)
    for batch in train.split(4):
        reference.train()(normalise(batch, RESNET.mean, RESNET.std))
    reference.fit()
    reference.eval()
    fitted = reference.gaussian.inv_covariance
    assert torch.equal(fitted, module.model.gaussian.inv_covariance)
    assert torch.equal(reference.gaussian.mean, module.model.gaussian.mean)
    reference.gaussian.inv_covariance = fitted.contiguous()  # rounding goes with the order
    for i, image in enumerate(normalise(test, RESNET.mean, RESNET.std)):
        expected = reference(image[None])
        assert got.scores[i] == expected.pred_score[0].double()
        assert torch.equal(got.maps[i], expected.anomaly_map[0, 0])
    together = reference(normalise(test, RESNET.mean, RESNET.std))
    torch.testing.assert_close(got.scores.float(), together.pred_score[:, 0], rtol=1e-4, atol=0)


def test_map_holds_smoothed_mahalanobis_distances() -> None:
    """From the backbone's own feature maps on, by numpy and scipy, in float64."""
    train, test = images(8).double(), images(1, seed=1).double()
    module = padim(n_features=12)
    fit(module, batches(train), precision="64-true")
    network, idx = module.model.feature_extractor.feature_extractor, module.model.idx.numpy()
    assert len(set(idx)) == 12

    def features(x: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            maps = [m.numpy() for m in network(normalise(x, RESNET.mean, RESNET.std))]
        side = maps[0].shape[-1]
        large = [np.kron(m, np.ones((side // m.shape[-1],) * 2)) for m in maps]
        return np.concatenate(large, axis=1)[:, idx]  # (N, 12, 8, 8)

    learnt, seen = features(train), features(test)[0]
    distances = np.empty(seen.shape[1:])
    for y, x in np.ndindex(distances.shape):
        here = learnt[:, :, y, x]
        inverse = np.linalg.inv(np.cov(here.T) + (0.01 + 1e-5) * np.eye(12))
        distances[y, x] = mahalanobis(seen[:, y, x], here.mean(0), inverse)
    enlarged = functional.interpolate(
        torch.from_numpy(distances)[None, None], size=(SIZE_PX, SIZE_PX), mode="bilinear"
    )
    expected = gaussian_filter(enlarged[0, 0].numpy(), 4, mode="mirror", truncate=4)

    got = module.embed(test)
    np.testing.assert_allclose(got.maps[0], expected, rtol=1e-5)
    np.testing.assert_allclose(got.scores, expected.max(), rtol=1e-6)
    assert got.scores.dtype == torch.float64


def test_features_are_drawn_from_the_seed() -> None:
    first, again, other = (padim(seed=seed).model.idx for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
