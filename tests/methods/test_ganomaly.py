"""GANomaly against anomalib's networks and a training step written out."""

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from baselines import batches, fit, images
from torch.nn import functional

from cyclegan_ad.methods.loss_watch import NonFiniteLossError

pytest.importorskip("anomalib", reason="extra 'baselines'")

SMALL = {
    "channels": 1,
    "size_px": 32,
    "base_channels": 4,
    "latent_size": 8,
    "lambda_adv": 1.0,
    "lambda_con": 50.0,
    "lambda_enc": 1.0,
    "learning_rate": 2e-4,
    "betas": (0.5, 0.999),
    "seed": 0,
}


def small_ganomaly(**changes: Any) -> Any:
    from cyclegan_ad.methods.ganomaly import GANomaly

    return GANomaly(**(SMALL | changes))


def anomalib_model(module: Any, size_px: int) -> Any:
    """anomalib's whole model with the weights of ours."""
    from anomalib.models.image.ganomaly.torch_model import GanomalyModel

    model = GanomalyModel((size_px, size_px), 1, 4, 8)
    model.load_state_dict(module.state_dict())
    return model


class RecordMetrics(pl.Callback):
    """Keeps what was logged."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize(("size_px", "padded_px"), [(32, 32), (36, 64), (100, 128)])
def test_scores_equal_anomalib_used_directly(size_px: int, padded_px: int) -> None:
    module = small_ganomaly(size_px=size_px)
    fit(module, batches(images(8, size_px=size_px)))
    reference, test = anomalib_model(module, padded_px).eval(), images(5, size_px=size_px, seed=1)
    got = module.embed(test)
    assert got.maps is None
    assert got.scores.dtype == torch.float64
    with torch.no_grad():
        torch.testing.assert_close(got.scores.float(), reference(test).pred_score)
    reconstructions = module.reconstruct(test)
    assert reconstructions.shape == test.shape
    assert reconstructions.abs().max() <= 1


def test_padding_is_cut_where_anomalib_puts_it() -> None:
    from anomalib.data.utils.image import pad_nextpow2

    for size_px in (32, 36, 37, 63):
        module, x = small_ganomaly(size_px=size_px), images(2, size_px=size_px)
        padded = module.generator.pad(x)
        assert torch.equal(padded, pad_nextpow2(x))
        assert torch.equal(module.generator.crop(padded), x)


def test_one_step_written_out() -> None:
    """Two Adam steps with the published losses, by torch alone, in float64."""
    module = small_ganomaly().double()
    model = anomalib_model(module, 32).double().train()
    x = images(4).double()
    record = RecordMetrics()
    fit(module, batches(x), precision="64-true", callbacks=[record])

    generator, discriminator = model.generator, model.discriminator
    adams = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    ]
    fake, latent, latent_of_fake = generator(x)
    _, features_of_fake = discriminator(fake)
    _, features = discriminator(x)
    adversarial = ((features - features_of_fake) ** 2).mean()
    contextual = (fake - x).abs().mean()
    encoder = ((latent - latent_of_fake) ** 2).mean()
    loss = adversarial + 50 * contextual + encoder
    loss.backward()
    adams[0].step()
    adams[1].zero_grad()
    real, faked = discriminator(x)[0], discriminator(fake.detach())[0]
    judged = -(real.log().mean() + (1 - faked).log().mean()) / 2
    judged.backward()
    adams[1].step()

    expected = {
        "loss/adversarial": adversarial,
        "loss/contextual": contextual,
        "loss/latent": encoder,
        "loss/generator": loss,
        "loss/discriminator": judged,
    }
    for name, value in expected.items():
        assert record.metrics[name] == pytest.approx(value.item(), rel=1e-9), name
    assert record.metrics["learning_rate"] == 2e-4
    for (name, value), (_, wanted) in zip(
        module.state_dict().items(), model.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(value, wanted, rtol=1e-9, atol=1e-12, msg=name)


def test_weights_of_the_losses() -> None:
    module = small_ganomaly(lambda_adv=2.0, lambda_con=3.0, lambda_enc=5.0)
    losses, _ = module.generator_losses(images(4))
    parts = 2 * losses["adversarial"] + 3 * losses["contextual"] + 5 * losses["latent"]
    assert losses["generator"].item() == pytest.approx(parts.item(), rel=1e-6)


def test_initial_weights_are_published_and_seeded() -> None:
    module = small_ganomaly(base_channels=16)
    for name, weight in module.state_dict().items():
        if weight.ndim == 4 and weight.numel() > 2000:
            assert weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert abs(weight.mean().item()) < 0.002
    torch.manual_seed(99)
    again, other = small_ganomaly(base_channels=16), small_ganomaly(base_channels=16, seed=1)
    key = "generator.encoder1.final_conv_layer.weight"
    assert torch.equal(module.state_dict()[key], again.state_dict()[key])
    assert not torch.equal(module.state_dict()[key], other.state_dict()[key])


def test_judging_is_in_eval_mode_whatever_the_mode() -> None:
    module = small_ganomaly()
    fit(module, batches(images(8)))
    test = images(6, seed=1)
    before = copy.deepcopy(module.state_dict())
    module.train()
    together, reconstructions = module.embed(test).scores, module.reconstruct(test)
    assert module.generator.training
    module.eval()
    torch.testing.assert_close(module.embed(test).scores, together, rtol=1e-6, atol=0)
    for i in range(6):
        alone = module.embed(test[i : i + 1]).scores
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-5, atol=0)
        torch.testing.assert_close(
            module.reconstruct(test[i : i + 1])[0], reconstructions[i], rtol=0, atol=1e-5
        )
    for name, value in module.state_dict().items():
        assert torch.equal(before[name], value), name  # running means too


def test_training_makes_reconstructions_better() -> None:
    module, x = small_ganomaly(learning_rate=2e-3), images(8)
    before = functional.l1_loss(module.reconstruct(x), x).item()
    trainer = fit(module, batches(x), epochs=30)
    assert trainer.global_step == 2 * 2 * 30
    assert functional.l1_loss(module.reconstruct(x), x).item() < 0.9 * before


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precisions(precision: str) -> None:
    module, x = small_ganomaly(), images(4)
    x = x.double() if precision == "64-true" else x
    fit(module, batches(x), precision=precision)
    assert torch.isfinite(module.embed(x).scores).all()


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    module = small_ganomaly(size_px=36)
    trainer = fit(module, batches(images(8, size_px=36)))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = type(module).load_from_checkpoint(
        tmp_path / "last.ckpt", map_location="cpu", weights_only=True
    )
    test = images(3, size_px=36, seed=1)
    assert torch.equal(module.reconstruct(test), loaded.reconstruct(test))
    assert torch.equal(module.embed(test).scores, loaded.embed(test).scores)


def test_resumed_training_equals_uninterrupted_one(tmp_path: Path) -> None:
    whole, half = small_ganomaly(), small_ganomaly()
    data = batches(images(8))
    fit(whole, data, epochs=4)
    fit(half, data, epochs=2).save_checkpoint(tmp_path / "half.ckpt")
    rest = small_ganomaly()
    trainer = fit(rest, data, epochs=0)
    trainer.fit_loop.max_epochs = 4
    trainer.fit(
        rest,
        torch.utils.data.DataLoader(data, batch_size=None),
        ckpt_path=tmp_path / "half.ckpt",
        weights_only=True,
    )
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    x = images(4)
    x[0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="training step 1 "):
        fit(small_ganomaly(), batches(x))
