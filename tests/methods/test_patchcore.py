"""PatchCore against anomalib itself and against nearest neighbours by scipy."""

import numpy as np
import pytest
import torch
from baselines import SIZE_PX, batches, fit, images, patchcore
from errors import refuses
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.spatial.distance import cdist
from torch.nn import functional

from cyclegan_ad.methods.embedding import seeded
from cyclegan_ad.networks.embedding import normalise
from cyclegan_ad.pretrained.names import BACKBONES

pytest.importorskip("anomalib", reason="extra 'baselines'")

RESNET = BACKBONES["resnet18"]


def test_equals_anomalib_used_directly(capsys: pytest.CaptureFixture[str]) -> None:
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    train, test = images(10), images(5, seed=1)
    module = patchcore()
    fit(module, batches(train))
    shown = capsys.readouterr()
    assert "selecting 16 of 160 patches" in shown.out
    assert "Selecting Coreset" not in shown.err  # anomalib's own bar
    got = module.embed(test)

    torch.manual_seed(3)
    reference = PatchcoreModel(["layer2", "layer3"], "resnet18", False, num_neighbors=3)
    for batch in train.split(4):
        reference.train()(normalise(batch, RESNET.mean, RESNET.std))
    with seeded(3):
        reference.subsample_embedding(0.1)
    assert "Selecting Coreset" in capsys.readouterr().err  # and it is back
    assert torch.equal(module.model.memory_bank, reference.memory_bank)
    reference.eval()
    for i, image in enumerate(normalise(test, RESNET.mean, RESNET.std)):
        expected = reference(image[None])
        assert got.scores[i] == expected.pred_score[0].double()
        assert torch.equal(got.maps[i], expected.anomaly_map[0, 0])
    together = reference(normalise(test, RESNET.mean, RESNET.std))
    torch.testing.assert_close(got.scores.float(), together.pred_score, rtol=1e-4, atol=0)


def test_scores_are_distances_to_patches_of_normal_images() -> None:
    """From the backbone's own feature maps on, by numpy and scipy, in float64."""
    train, test = images(6).double(), images(3, seed=1).double()
    module = patchcore(coreset_ratio=0.25)
    fit(module, batches(train), precision="64-true")
    network = module.model.feature_extractor.feature_extractor

    def patches(x: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            fine, coarse = (
                uniform_filter(m.numpy(), 3, mode="constant", axes=(2, 3))
                for m in network(normalise(x, RESNET.mean, RESNET.std))
            )
        enlarged = functional.interpolate(
            torch.from_numpy(coarse), size=fine.shape[2:], mode="bilinear"
        )
        maps = np.concatenate([fine, enlarged.numpy()], axis=1)  # (N, 384, 4, 4)
        return maps.transpose(0, 2, 3, 1).reshape(len(x), 16, -1)

    bank = module.model.memory_bank.numpy()
    learnt = patches(train).reshape(-1, bank.shape[1])
    assert len(bank) == len(learnt) // 4 == len(np.unique(bank, axis=0))
    assert cdist(bank, learnt).min(1).max() < 1e-9 * np.abs(learnt).max()

    got = module.embed(test)
    between = cdist(bank, bank)
    for i, seen in enumerate(patches(test)):
        distances = cdist(seen, bank)
        nearest = distances.min(1)
        enlarged = np.kron(nearest.reshape(4, 4), np.ones((SIZE_PX // 4,) * 2))
        expected = gaussian_filter(enlarged, 4, mode="mirror", truncate=4)
        np.testing.assert_allclose(got.maps[i], expected, rtol=1e-5)
        worst = nearest.argmax()  # Eq. 7: its distance, less for a nearest patch that stands alone
        neighbours = between[distances[worst].argmin()].argsort()[:3]
        apart = np.exp(distances[worst, neighbours])
        expected_score = (1 - apart[0] / apart.sum()) * nearest[worst]
        np.testing.assert_allclose(got.scores[i], expected_score, rtol=1e-6)


def test_memory_bank_is_drawn_from_the_seed() -> None:
    banks = []
    for noise in (1, 2):  # what the program drew before does not matter
        torch.manual_seed(noise)
        np.random.seed(noise)
        module = patchcore()
        fit(module, batches(images(10)))
        banks.append(module.model.memory_bank)
    assert torch.equal(*banks)
    other = patchcore()
    other.load_state_dict({k: v for k, v in module.state_dict().items() if "bank" not in k}, False)
    other.seed = 5
    fit(other, batches(images(10)))
    assert not torch.equal(other.model.memory_bank, banks[0])


def test_coreset_of_nothing_is_refused() -> None:
    module = patchcore(coreset_ratio=0.01)
    with refuses(setting="method.coreset_ratio", value=0.01, facts="64"):
        fit(module, batches(images(4)))
    module = patchcore(coreset_ratio=0.0157)  # as the message says
    fit(module, batches(images(4)))
    assert len(module.model.memory_bank) == 1
    assert torch.isfinite(module.embed(images(1)).scores).all()  # fewer patches than neighbours
