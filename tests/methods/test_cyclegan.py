"""The training step against the authors' published code, and the module's own promises."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from small_cyclegan import PLUS, random_batches, small_cyclegan
from torch.utils.data import DataLoader

from cyclegan_ad.methods.cyclegan import CycleGAN, linear_decay
from cyclegan_ad.methods.loss_watch import NonFiniteLossError

NETWORKS = (
    "generator_to_abnormal",
    "generator_to_normal",
    "discriminator_normal",
    "discriminator_abnormal",
)


class RecordLosses(pl.Callback):
    """Keeps the losses of every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.steps.append(
            {
                name.removeprefix("loss/"): value.item()
                for name, value in trainer.callback_metrics.items()
            }
        )


def fit(
    module: CycleGAN, batches: list[dict[str, torch.Tensor]], epochs: int = 1, **settings: Any
) -> RecordLosses:
    record = RecordLosses()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[record],
        **settings,
    )
    trainer.fit(module, DataLoader(batches, batch_size=None))
    return record


def fill(module: CycleGAN, arrays: Any, moment: str) -> dict[str, list[np.ndarray]]:
    """The arrays of each network, in definition order."""
    return {
        name: [arrays[key] for key in sorted(arrays.files) if key.startswith(f"{moment}/{name}/")]
        for name in NETWORKS
    }


@pytest.mark.parametrize(
    ("file", "channels", "blocks"),
    [("training_step_gray.npz", 1, 2), ("training_step_rgb.npz", 3, 3)],
)
def test_three_steps_equal_the_published_code(
    golden: Callable[[str], Path], file: str, channels: int, blocks: int
) -> None:
    arrays = np.load(golden(file))
    module = small_cyclegan(channels=channels, residual_blocks=blocks).double()
    for name, values in fill(module, arrays, "init").items():
        parameters = list(getattr(module, name).parameters())
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data.copy_(torch.from_numpy(value))
    batches = [
        {side: torch.from_numpy(arrays[f"batch/{step}/{side}"]) for side in ("normal", "abnormal")}
        for step in range(3)
    ]

    record = fit(module, batches, precision="64-true")

    columns = (
        ("identity_normal", 5.0),
        ("identity_abnormal", 5.0),
        ("gan_normal", 1.0),
        ("gan_abnormal", 1.0),
        ("cycle_normal", 10.0),
        ("cycle_abnormal", 10.0),
        ("generator", 1.0),
        ("discriminator_normal", 1.0),
        ("discriminator_abnormal", 1.0),
    )
    ours = [[weight * step[name] for name, weight in columns] for step in record.steps]
    np.testing.assert_allclose(ours, arrays["losses"], rtol=1e-9)
    compared = 0
    for name, values in fill(module, arrays, "final").items():
        network = getattr(module, name)
        silent = biases_before_instance_norm(network)
        for (key, parameter), value in zip(network.named_parameters(), values, strict=True):
            if key not in silent:
                np.testing.assert_allclose(parameter.detach().numpy(), value, atol=1e-7, rtol=0)
                compared += 1
    assert compared > 30


def biases_before_instance_norm(network: torch.nn.Module) -> set[str]:
    """Biases whose gradient is zero up to rounding: the norm subtracts them again."""
    names = set()
    for prefix, sequence in network.named_modules():
        if isinstance(sequence, torch.nn.Sequential):
            for index, (layer, following) in enumerate(
                zip(sequence, list(sequence)[1:], strict=False)
            ):
                if isinstance(following, torch.nn.InstanceNorm2d) and hasattr(layer, "bias"):
                    names.add(f"{prefix}.{index}.bias")
    return names


def test_discriminators_get_no_gradient_in_the_generators_turn() -> None:
    module = small_cyclegan()
    batch = random_batches(1)[0]
    discriminators = (module.discriminator_normal, module.discriminator_abnormal)
    parameters = [p for network in discriminators for p in network.parameters()]
    frozen: list[bool] = []

    def backward(loss: torch.Tensor) -> None:
        frozen.append(not any(parameter.requires_grad for parameter in parameters))
        loss.backward()
        assert all(p.grad is None for p in parameters) is frozen[-1]

    optimizers, _ = module.configure_optimizers()
    module.optimise(batch["normal"], batch["abnormal"], *optimizers, backward)
    assert frozen == [True, False]  # generators, then discriminators
    assert all(p.grad is not None for p in module.generator_to_normal.parameters())


def test_non_finite_loss_stops_and_names_the_step() -> None:
    batches = random_batches(3)
    batches[1]["normal"][0, 0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteLossError, match=r"at training step 2 \(epoch 1\)"):
        fit(small_cyclegan(), batches)


def test_learning_rate_is_constant_then_falls_linearly() -> None:
    record = fit(small_cyclegan(), random_batches(1), epochs=4)
    rates = [step["learning_rate"] for step in record.steps]
    assert rates == pytest.approx([2e-4, 2e-4, 2e-4, 1e-4])


def test_decay_from_a_given_epoch() -> None:
    assert [linear_decay(epoch, 10, 1) for epoch in (0, 1, 10)] == [1.0, 1.0, 0.0]
    assert linear_decay(5, 10, 1) == pytest.approx(1 - 4 / 9)


FAR_FROM_REAL = {
    "least_squares": lambda x: (x - 1) ** 2,
    "log": lambda x: np.log1p(np.exp(-x)),  # -log of the sigmoid
}
FAR_FROM_GENERATED = {
    "least_squares": lambda x: x**2,
    "log": lambda x: np.log1p(np.exp(x)),
}


@pytest.mark.parametrize("kind", ["least_squares", "log"])
def test_both_adversarial_losses_train(kind: str) -> None:
    torch.manual_seed(0)
    module = small_cyclegan(adversarial_loss=kind)
    batches = random_batches(2)
    normal, abnormal = batches[0]["normal"], batches[0]["abnormal"]
    with torch.no_grad():  # before the fit: the first step's losses are those of the first weights
        fake = module.discriminator_normal(module.generator_to_normal(abnormal)).double().numpy()
        real = module.discriminator_normal(normal).double().numpy()

    first, second = fit(module, batches).steps

    from_real, from_generated = FAR_FROM_REAL[kind], FAR_FROM_GENERATED[kind]
    assert first["gan_normal"] == pytest.approx(from_real(fake).mean(), rel=1e-5)
    expected = (from_real(real).mean() + from_generated(fake).mean()) / 2
    assert first["discriminator_normal"] == pytest.approx(expected, rel=1e-5)
    assert first["gan_normal"] != second["gan_normal"]


def test_reconstruction_is_generator_to_normal() -> None:
    module = small_cyclegan()
    images = random_batches(1)[0]["normal"]
    assert torch.equal(module.reconstruct(images), module.generator_to_normal(images))
    assert module.reconstruct(images).shape == images.shape


def test_hyper_parameters_are_plain() -> None:
    module = small_cyclegan()
    assert type(module.hparams["betas"]) is tuple
    assert all(
        isinstance(value, int | float | str | tuple | None) for value in module.hparams.values()
    )


def test_without_its_extras_nothing_is_added_to_the_paper() -> None:
    off = {"discriminator_augmentation": "none", "opposite_real_weight": 0.0, "ema_decay": 0.0}
    states = []
    for settings in ({}, off | {"ema_discriminators": True}):
        torch.manual_seed(0)
        module = small_cyclegan(**settings)
        fit(module, random_batches(2))
        states.append(module.state_dict())
    assert states[0].keys() == states[1].keys()
    assert {name.partition(".")[0] for name in states[0]} == set(NETWORKS)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_discriminators_see_changed_images_in_both_turns() -> None:
    torch.manual_seed(0)
    module = small_cyclegan(**PLUS | {"discriminator_augmentation": ("cutout",)})
    seen: list[torch.Tensor] = []
    module.discriminator_normal.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    [batch] = random_batches(1)
    module.optimise(batch["normal"], batch["abnormal"], *module.configure_optimizers()[0])
    fake, judged = seen
    assert (len(fake), len(judged)) == (2, 6)  # real, fake, opposite
    for images, real in ((judged[:2], batch["normal"]), (judged[4:], batch["abnormal"])):
        assert torch.equal(images, real.masked_fill(images == 0, 0.0))
    for images in (fake, judged):  # all or part of a square of 16 px
        cut = (images == 0).flatten(1).sum(1)
        assert ((cut >= 8 * 8) & (cut <= 16 * 16)).all()
        assert len((images == 0).unique(dim=0)) > 1


def test_augmentation_is_seeded_in_each_step() -> None:
    module = small_cyclegan(**PLUS, seed=3)
    seeds: list[tuple[int, ...]] = []
    for augmentation in module.augmentations:
        augmentation.reseed = lambda *seed: seeds.append(seed)  # type: ignore[method-assign]
    fit(module, random_batches(2), epochs=2)
    expected = [(epoch, batch, which) for epoch in (0, 1) for batch in (0, 1) for which in (0, 1)]
    assert seeds == [(3, epoch, batch, 0, which) for epoch, batch, which in expected]


def test_averages_infer() -> None:
    torch.manual_seed(0)
    module = small_cyclegan(**PLUS)
    initial = {name: value.clone() for name, value in module.state_dict().items()}
    fit(module, random_batches(1))
    assert module.averages is not None
    name = "layers.1.weight"
    last = module.generator_to_normal.state_dict()[name]
    average = module.averages["generator_to_normal"].state_dict()[name]
    first = initial[f"generator_to_normal.{name}"]
    torch.testing.assert_close(average, 2 / 11 * first + 9 / 11 * last)
    images = random_batches(1)[0]["normal"]
    expected = module.averages["generator_to_normal"](images)
    assert torch.equal(module.reconstruct(images), expected)
    assert not torch.equal(module.generator_to_normal(images), expected)
    assert torch.equal(module.inference_state()[1][name], average)
    assert module.inferring("discriminator_normal") is module.averages["discriminator_normal"]
    generators_only = small_cyclegan(**PLUS | {"ema_discriminators": False})
    kept = generators_only.discriminator_normal
    assert generators_only.inferring("discriminator_normal") is kept


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("more", [{}, PLUS], ids=["paper", "plus"])
def test_the_host_does_not_wait_for_the_gpu_in_a_step(more: dict[str, Any]) -> None:
    method = small_cyclegan(pool_size=3, **more).cuda()
    optimizers, _ = method.configure_optimizers()
    batch = {side: images.cuda() for side, images in random_batches(1)[0].items()}
    for guard in ("default", "default", "error", "error"):  # the first steps set things up
        torch.cuda.set_sync_debug_mode(guard)
        try:
            with torch.autocast("cuda", torch.bfloat16):
                losses = method.optimise(batch["normal"], batch["abnormal"], *optimizers)
            method.watch.note(losses, step=1, epoch=0)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    method.watch.check()
