"""The method of the paper: a CycleGAN between normal and abnormal images (Sec. 2.2).

Passes through the same weights are joined into one batch: ``generator_to_normal`` maps [normal;
abnormal] to [identity; fake], so that a step has four generator passes instead of six. As instance
norm treats each image separately, joining batches changes the results by rounding only.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cyclegan_ad.methods.averages import WeightAverages
from cyclegan_ad.methods.discriminator_augmentation import (
    Change,
    DiscriminatorAugmentation,
    Judge,
)
from cyclegan_ad.methods.image_pool import ImagePool, gather_states, load_state
from cyclegan_ad.methods.loss_watch import LossWatch, check_weights
from cyclegan_ad.methods.losses import AdversarialLoss, Objective, cycle_loss, identity_loss
from cyclegan_ad.methods.parallel_step import backward_both, generators_backward
from cyclegan_ad.networks.discriminator import Discriminator
from cyclegan_ad.networks.fast_forwards import use_fast_forwards
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.inference import portable_tensors

_GENERATORS = ("generator_to_normal", "generator_to_abnormal")
_DISCRIMINATORS = ("discriminator_normal", "discriminator_abnormal")


class CycleGAN(pl.LightningModule):
    """CycleGAN between the normal and the abnormal domain, with manual optimisation.

    In the paper the generators to normal and to abnormal are G and F, the discriminators of normal
    and of abnormal images D_Y and D_X.

    Args:
        channels: Channels of the images, 1 or 3.
        base_channels: Width of the generators' first layer (64 in the paper).
        residual_blocks: Residual blocks of a generator (6 at 64 px, 9 at 256 px).
        discriminator_base_channels: Width of the discriminators' first layer (64 in the paper).
        adversarial_loss: ``least_squares`` (published code) or ``log`` (paper, Sec. 2.2).
        lambda_cyc: Weight of the cycle-consistency losses (10 in the paper).
        lambda_ide: Weight of the identity losses (5 in the paper).
        learning_rate: Learning rate of Adam until the decay starts (2e-4 in the paper).
        betas: Coefficients of Adam's averages (0.5, 0.999 in the published code).
        pool_size: Past fakes kept for each discriminator (50 in the published code).
        max_epochs: Number of epochs, after which the learning rate would be zero.
        decay_start_epoch: First epoch of the linear decay.
        seed: Seed of the random choices of pools and augmentations; torch's global seed sets the
            initial weights.
        discriminator_augmentation: Changes of the images that the discriminators see, or ``none``.
        opposite_real_weight: Weight of the real images of the other class in the loss of each
            discriminator.
        ema_decay: Decay of the averages of the generators' weights, which reconstruct and score
            instead of the last weights; 0 for no averages.
        ema_discriminators: Whether to average the discriminators as well, with ``ema_decay`` > 0.
        downsampling: Factor by which all networks see smaller images.

    The last five are off in the paper.

    Attributes:
        averages: The averaged networks; None if there are none.
        parallel_step: Whether to compute the two domains at the same time, each on half of the
            CPU's threads; for a single process on a CPU with networks that are not compiled.
    """

    hparams: dict[str, Any]

    def __init__(
        self,
        *,
        channels: int,
        base_channels: int,
        residual_blocks: int,
        discriminator_base_channels: int,
        adversarial_loss: AdversarialLoss,
        lambda_cyc: float,
        lambda_ide: float,
        learning_rate: float,
        betas: tuple[float, float],
        pool_size: int,
        max_epochs: int,
        decay_start_epoch: int,
        seed: int,
        discriminator_augmentation: Literal["none"] | Sequence[Change] = "none",
        opposite_real_weight: float = 0.0,
        ema_decay: float = 0.0,
        ema_discriminators: bool = False,
        downsampling: int = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        generator = partial(Generator, channels, base_channels, residual_blocks, downsampling)
        discriminator = partial(Discriminator, channels, discriminator_base_channels, downsampling)
        self.generator_to_normal, self.generator_to_abnormal = generator(), generator()
        self.discriminator_normal, self.discriminator_abnormal = discriminator(), discriminator()
        for network in self.children():
            use_fast_forwards(network)
        self.objective = Objective(lambda_cyc, lambda_ide, adversarial_loss, opposite_real_weight)
        changes = () if discriminator_augmentation == "none" else discriminator_augmentation
        self.augmentations = DiscriminatorAugmentation(changes), DiscriminatorAugmentation(changes)
        self.averages: WeightAverages | None = None
        if ema_decay > 0:
            names = (*_GENERATORS, *_DISCRIMINATORS) if ema_discriminators else _GENERATORS
            self.averages = WeightAverages({n: getattr(self, n) for n in names}, ema_decay)
        self.learning_rate, self.betas, self.seed = learning_rate, betas, seed
        self.decay = partial(linear_decay, max_epochs=max_epochs, start_epoch=decay_start_epoch)
        self.pool_normal, self.pool_abnormal = ImagePool(pool_size), ImagePool(pool_size)
        self.pools = self.pool_normal, self.pool_abnormal
        self.watch = LossWatch()
        self.parallel_step = False

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruct images as normal: (N, C, H, W) in [-1, 1] to the same."""
        return self.inferring("generator_to_normal")(images)

    def make_abnormal(self, images: Tensor) -> Tensor:
        """Translate to abnormal images: (N, C, H, W) in [-1, 1] to the same."""
        return self.inferring("generator_to_abnormal")(images)

    def judge_normal(self, images: Tensor) -> Tensor:
        """Judge patches as normal ones, see :meth:`Discriminator.forward`."""
        return self.inferring("discriminator_normal")(images)

    def judge_abnormal(self, images: Tensor) -> Tensor:
        """Judge patches as abnormal ones, likewise."""
        return self.inferring("discriminator_abnormal")(images)

    def inferring(self, name: str) -> nn.Module:
        """Return the network of a name that infers: its average, if there is one."""
        if self.averages is not None and name in self.averages:
            return self.averages[name]
        network: nn.Module = getattr(self, name)
        return network

    def inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of :func:`build_inference`, to reconstruct."""
        names = ("channels", "base_channels", "residual_blocks")
        return self._arguments(names), portable_tensors(self.inferring("generator_to_normal"))

    def full_inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of :func:`build_inference` with all four networks."""
        names = ("channels", "base_channels", "residual_blocks", "discriminator_base_channels")
        networks = {name: self.inferring(name) for name in (*_GENERATORS, *_DISCRIMINATORS)}
        return self._arguments(names), portable_tensors(nn.ModuleDict(networks))

    def _arguments(self, names: Sequence[str]) -> dict[str, Any]:
        if self.hparams["downsampling"] > 1:
            names = (*names, "downsampling")
        return {name: self.hparams[name] for name in names}

    def generator_losses(
        self, normal: Tensor, abnormal: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Compute the losses of both generators on a batch of unpaired images (Sec. 2.2).

        Args:
            normal: (N, C, H, W) in [-1, 1].
            abnormal: (N, C, H, W) in [-1, 1].

        Returns:
            Scalar losses, unweighted except their weighted sum ``generator``; the fake normal and
            the fake abnormal images, (N, C, H, W) in [-1, 1] each.
        """
        to_normal, to_abnormal = self.generator_to_normal, self.generator_to_abnormal
        identity_normal, fake_normal = to_normal(torch.cat([normal, abnormal])).chunk(2)
        identity_abnormal, fake_abnormal = to_abnormal(torch.cat([abnormal, normal])).chunk(2)
        cycled_normal, cycled_abnormal = to_normal(fake_abnormal), to_abnormal(fake_normal)
        judge_normal, judge_abnormal = self._judges
        losses = {
            "identity_normal": identity_loss(identity_normal, normal),
            "identity_abnormal": identity_loss(identity_abnormal, abnormal),
            "gan_normal": self.objective.gan_loss(judge_normal, fake_normal),
            "gan_abnormal": self.objective.gan_loss(judge_abnormal, fake_abnormal),
            "cycle_normal": cycle_loss(cycled_normal, normal),
            "cycle_abnormal": cycle_loss(cycled_abnormal, abnormal),
        }
        losses["generator"] = self.objective.sum_generators(losses)
        return losses, fake_normal, fake_abnormal

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Update the generators, then the discriminators.

        Args:
            batch: ``normal`` and ``abnormal``, each (N, C, H, W) in [-1, 1], unpaired.
            batch_idx: Number of the batch in this epoch.

        Raises:
            NonFiniteLossError: If a loss is NaN or infinite.
        """
        for which, augmentation in enumerate(self.augmentations):
            augmentation.reseed(self.seed, self.current_epoch, batch_idx, self.global_rank, which)
        adams = cast(tuple[LightningOptimizer, LightningOptimizer], self.optimizers())
        losses = self.optimise(batch["normal"], batch["abnormal"], *adams, self.manual_backward)
        step = self.global_step // 2  # Lightning counts the steps of each of two optimizers
        if self.averages is not None:
            self.averages.add(dict(self.named_children()), step)
        self.watch.note(losses, step, self.current_epoch)
        self.log_dict({f"loss/{name}": value for name, value in losses.items()})
        # Lightning would copy a float to the GPU and synchronise; a tensor is kept where it is.
        self.log("learning_rate", torch.tensor(adams[0].param_groups[0]["lr"]))

    def optimise(
        self,
        normal: Tensor,
        abnormal: Tensor,
        generator_adam: Optimizer | LightningOptimizer,
        discriminator_adam: Optimizer | LightningOptimizer,
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> dict[str, Tensor]:
        """Perform one training step, without synchronising with a GPU.

        Args:
            normal: (N, C, H, W) in [-1, 1].
            abnormal: (N, C, H, W) in [-1, 1], unpaired.
            generator_adam: Optimizer of both generators.
            discriminator_adam: Optimizer of both discriminators.
            backward: Computes the gradients of a loss; not used with ``parallel_step``.

        Returns:
            The losses before the step, unweighted except ``generator``: scalars on the device,
            without gradient.
        """
        for discriminator in self._discriminators:
            discriminator.requires_grad_(False)  # skip unused gradients
        generator_adam.zero_grad()
        if self.parallel_step:
            losses, fake_normal, fake_abnormal = generators_backward(
                self.objective, self._generators, self._judges, normal, abnormal
            )
        else:
            losses, fake_normal, fake_abnormal = self.generator_losses(normal, abnormal)
            backward(losses["generator"])
        generator_adam.step()

        for discriminator in self._discriminators:
            discriminator.requires_grad_(True)
        discriminator_adam.zero_grad()
        past_normal = self.pool_normal.exchange(fake_normal.detach())
        past_abnormal = self.pool_abnormal.exchange(fake_abnormal.detach())
        loss, (judge_normal, judge_abnormal) = self.objective.discriminator_loss, self._judges
        judge = [
            partial(loss, judge_normal, normal, past_normal, abnormal),
            partial(loss, judge_abnormal, abnormal, past_abnormal, normal),
        ]
        if self.parallel_step:
            judged = backward_both(judge)
        else:
            judged = [compute() for compute in judge]
            backward(judged[0] + judged[1])
        discriminator_adam.step()
        losses["discriminator_normal"], losses["discriminator_abnormal"] = judged
        return {name: value.detach() for name, value in losses.items()}

    @property
    def _generators(self) -> tuple[nn.Module, nn.Module]:
        return self.generator_to_normal, self.generator_to_abnormal

    @property
    def _discriminators(self) -> tuple[nn.Module, nn.Module]:
        return self.discriminator_normal, self.discriminator_abnormal

    @property
    def _judges(self) -> tuple[Judge, Judge]:
        """The discriminators as they are trained: behind their augmentation, if there is one."""
        of_normal, of_abnormal = self.augmentations
        return (
            of_normal.before(self.discriminator_normal),
            of_abnormal.before(self.discriminator_abnormal),
        )

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Return Adam of both generators and of both discriminators, each with linear decay."""
        optimizers = [
            Adam(
                [parameter for network in networks for parameter in network.parameters()],
                lr=self.learning_rate,
                betas=self.betas,
                fused=True,
            )
            for networks in (self._generators, self._discriminators)
        ]
        return optimizers, [LambdaLR(optimizer, self.decay) for optimizer in optimizers]

    def on_train_epoch_start(self) -> None:
        """Seed the random choices of the pools with (seed, epoch, rank, pool)."""
        for which, pool in enumerate(self.pools):
            pool.reseed(self.seed, self.current_epoch, self.global_rank, which)

    def on_train_epoch_end(self) -> None:
        """Check losses and weights, so that no bad epoch is checkpointed; step the decay."""
        self.watch.check()
        check_weights(self, self.current_epoch)
        for scheduler in cast(list[LambdaLR], self.lr_schedulers()):
            scheduler.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools of all ranks; called on every rank."""
        checkpoint["pools"] = gather_states(self.pools)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the pools of this rank; a rank that had none starts with empty pools."""
        load_state(self.pools, checkpoint["pools"], self.global_rank, self.device)


def linear_decay(epoch: int, max_epochs: int, start_epoch: int) -> float:
    """Return the factor of the learning rate: 1, then linear decay to 0 at ``max_epochs``.

    Args:
        epoch: Epoch, from 0.
        max_epochs: Number of epochs of the training.
        start_epoch: First epoch of the decay, at most ``max_epochs``.

    Returns:
        Factor in [0, 1].

    >>> [linear_decay(epoch, 4, 2) for epoch in range(5)]
    [1.0, 1.0, 1.0, 0.5, 0.0]
    """
    return 1.0 - max(0, epoch - start_epoch) / max(1, max_epochs - start_epoch)
