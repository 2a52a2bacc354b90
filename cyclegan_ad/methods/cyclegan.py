"""The method of the paper: a Cycle-GAN between normal and abnormal images (Sec. 2.2).

One step joins the passes that share weights: ``generator_to_normal`` sees [normal; abnormal] at
once and gives [identity; fake], so six generator passes of the textbook become four. The
discriminators are frozen in the generators' turn, so no gradient is computed to be thrown away.
Instance norm treats every image alone; joining batches therefore changes nothing but rounding.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cyclegan_ad.methods.image_pool import ImagePool
from cyclegan_ad.methods.lanes import both, generators_turn
from cyclegan_ad.methods.loss_watch import LossWatch, check_weights
from cyclegan_ad.methods.losses import AdversarialLoss, adversarial_loss, cycle_loss, identity_loss
from cyclegan_ad.networks.discriminator import Discriminator
from cyclegan_ad.networks.generator import Generator


class CycleGAN(pl.LightningModule):
    """Cycle-GAN between the normal and the abnormal domain, with manual optimisation.

    Args:
        channels: Channels of the images, 1 or 3.
        base_channels: Width of the generators' first layer (64 in the paper).
        residual_blocks: Residual blocks of a generator (6 at 64 px, 9 at 256 px).
        discriminator_base_channels: Width of the discriminators' first layer (64 in the paper).
        adversarial_loss: ``least_squares`` (published code) or ``log`` (paper, Sec. 2.2).
        lambda_cyc: Weight of the cycle-consistency losses (10 in the paper).
        lambda_ide: Weight of the identity losses (5 in the paper).
        learning_rate: Of Adam, until the decay starts (2e-4 in the paper).
        betas: Of Adam (0.5, 0.999 in the published code).
        pool_size: Past fakes kept for each discriminator (50 in the published code).
        max_epochs: Length of the training, after which the learning rate would be zero.
        decay_start_epoch: First epoch of the linear decay; None for the middle.
        seed: Of the pools' random choices. Initial weights follow torch's global seed.

    Attributes:
        side_by_side: Compute the two domains at the same time, each on half of a CPU's threads;
            for one process on a CPU, with networks that are not compiled.
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
        decay_start_epoch: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator_to_normal = Generator(channels, base_channels, residual_blocks)
        self.generator_to_abnormal = Generator(channels, base_channels, residual_blocks)
        self.discriminator_normal = Discriminator(channels, discriminator_base_channels)
        self.discriminator_abnormal = Discriminator(channels, discriminator_base_channels)
        self.adversarial_loss: AdversarialLoss = adversarial_loss
        self.lambda_cyc, self.lambda_ide = lambda_cyc, lambda_ide
        self.learning_rate, self.betas = learning_rate, betas
        self.max_epochs, self.decay_start_epoch = max_epochs, decay_start_epoch
        self.seed = seed
        self.pool_normal, self.pool_abnormal = ImagePool(pool_size), ImagePool(pool_size)
        self.watch = LossWatch()
        self.side_by_side = False

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruct images as normal: (N, C, H, W) in [-1, 1] to the same."""
        return self.generator_to_normal(images)

    def generator_losses(
        self, normal: Tensor, abnormal: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The generators' losses on a batch of unpaired images (Sec. 2.2).

        Args:
            normal: (N, C, H, W) in [-1, 1].
            abnormal: (N, C, H, W) in [-1, 1].

        Returns:
            Scalar losses, unweighted but for their weighted sum ``generator``; the fake normal
            images and the fake abnormal images, (N, C, H, W) in [-1, 1] each.
        """
        to_normal, to_abnormal = self.generator_to_normal, self.generator_to_abnormal
        identity_normal, fake_normal = to_normal(torch.cat([normal, abnormal])).chunk(2)
        identity_abnormal, fake_abnormal = to_abnormal(torch.cat([abnormal, normal])).chunk(2)
        cycled_normal = to_normal(fake_abnormal)
        cycled_abnormal = to_abnormal(fake_normal)
        kind = self.adversarial_loss
        losses = {
            "identity_normal": identity_loss(identity_normal, normal),
            "identity_abnormal": identity_loss(identity_abnormal, abnormal),
            "gan_normal": adversarial_loss(
                self.discriminator_normal(fake_normal), real=True, kind=kind
            ),
            "gan_abnormal": adversarial_loss(
                self.discriminator_abnormal(fake_abnormal), real=True, kind=kind
            ),
            "cycle_normal": cycle_loss(cycled_normal, normal),
            "cycle_abnormal": cycle_loss(cycled_abnormal, abnormal),
        }
        losses["generator"] = self._weighted(losses)
        return losses, fake_normal, fake_abnormal

    def _weighted(self, losses: dict[str, Tensor]) -> Tensor:
        return (
            self.lambda_ide * (losses["identity_normal"] + losses["identity_abnormal"])
            + (losses["gan_normal"] + losses["gan_abnormal"])
            + self.lambda_cyc * (losses["cycle_normal"] + losses["cycle_abnormal"])
        )

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """A discriminator's loss: real images against fakes, halved (published code).

        Args:
            discriminator: Of the images' domain.
            real: (N, C, H, W) in [-1, 1].
            fake: (N, C, H, W) in [-1, 1], without gradient.

        Returns:
            Scalar.
        """
        judged_real, judged_fake = discriminator(torch.cat([real, fake])).chunk(2)
        kind = self.adversarial_loss
        return 0.5 * (
            adversarial_loss(judged_real, real=True, kind=kind)
            + adversarial_loss(judged_fake, real=False, kind=kind)
        )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """One step of the generators, then one of the discriminators.

        Args:
            batch: ``normal`` and ``abnormal``, each (N, C, H, W) in [-1, 1], unpaired.
            batch_idx: Number of the batch in this epoch.

        Raises:
            NonFiniteLossError: If a loss is NaN or infinite.
        """
        generators, discriminators = cast(list[LightningOptimizer], self.optimizers())
        losses = self.optimise(
            batch["normal"], batch["abnormal"], generators, discriminators, self.manual_backward
        )
        # Lightning counts a step of each optimizer; a training step has two.
        self.watch.note(losses, self.global_step // 2, self.current_epoch)
        self.log_dict({f"loss/{name}": value for name, value in losses.items()})
        # Lightning would copy a number to the GPU and wait for it; a tensor stays where it is.
        self.log("learning_rate", torch.tensor(generators.param_groups[0]["lr"]))

    def optimise(
        self,
        normal: Tensor,
        abnormal: Tensor,
        generators: Optimizer | LightningOptimizer,
        discriminators: Optimizer | LightningOptimizer,
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> dict[str, Tensor]:
        """The training step itself; nothing in it waits for a GPU.

        Args:
            normal: (N, C, H, W) in [-1, 1].
            abnormal: (N, C, H, W) in [-1, 1], unpaired.
            generators: Adam of both generators.
            discriminators: Adam of both discriminators.
            backward: How the gradients of a loss are computed.

        Returns:
            The losses before the step, unweighted but for ``generator``: scalars on the device,
            without gradient.
        """
        self._freeze_discriminators(True)
        generators.zero_grad()
        if self.side_by_side:
            losses, fake_normal, fake_abnormal = generators_turn(self, normal, abnormal)
            losses["generator"] = self._weighted(losses)
        else:
            losses, fake_normal, fake_abnormal = self.generator_losses(normal, abnormal)
            backward(losses["generator"])
        generators.step()

        self._freeze_discriminators(False)
        past_normal = self.pool_normal.exchange(fake_normal.detach())
        past_abnormal = self.pool_abnormal.exchange(fake_abnormal.detach())
        discriminators.zero_grad()
        judge = [
            partial(self.discriminator_loss, self.discriminator_normal, normal, past_normal),
            partial(self.discriminator_loss, self.discriminator_abnormal, abnormal, past_abnormal),
        ]
        if self.side_by_side:
            judged = both([partial(_with_gradient, each) for each in judge])
        else:
            judged = [each() for each in judge]
            backward(judged[0] + judged[1])
        discriminators.step()
        losses["discriminator_normal"], losses["discriminator_abnormal"] = judged
        return {name: value.detach() for name, value in losses.items()}

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Two Adams, one for both generators and one for both discriminators, with linear decay."""
        generators = [self.generator_to_normal, self.generator_to_abnormal]
        discriminators = [self.discriminator_normal, self.discriminator_abnormal]
        optimizers = [
            Adam(
                [parameter for network in networks for parameter in network.parameters()],
                lr=self.learning_rate,
                betas=self.betas,
                fused=True,
            )
            for networks in (generators, discriminators)
        ]
        return optimizers, [LambdaLR(optimizer, self._decay) for optimizer in optimizers]

    def _decay(self, epoch: int) -> float:
        return linear_decay(epoch, self.max_epochs, self.decay_start_epoch)

    def on_train_epoch_start(self) -> None:
        """Draw the pools' choices of this epoch from (seed, epoch, rank, pool)."""
        for which, pool in enumerate((self.pool_normal, self.pool_abnormal)):
            pool.reseed(self.seed, self.current_epoch, self.global_rank, which)

    def on_train_epoch_end(self) -> None:
        """Step the decay, after a last look at the losses: no bad epoch is checkpointed."""
        self.watch.check()
        check_weights(self, self.current_epoch)
        for scheduler in cast(list[LambdaLR], self.lr_schedulers()):
            scheduler.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools of all ranks; called on every rank."""
        pools = [pool.state_dict() for pool in (self.pool_normal, self.pool_abnormal)]
        everyone: list[Any] = [pools]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            everyone = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(everyone, pools)
        checkpoint["pools"] = everyone

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take this rank's pools back; a rank that had none starts with empty pools."""
        everyone = checkpoint["pools"]
        if self.global_rank < len(everyone):
            for pool, state in zip(
                (self.pool_normal, self.pool_abnormal), everyone[self.global_rank], strict=True
            ):
                pool.load_state_dict(state, self.device)

    def _freeze_discriminators(self, frozen: bool) -> None:
        self.discriminator_normal.requires_grad_(not frozen)
        self.discriminator_abnormal.requires_grad_(not frozen)


def linear_decay(epoch: int, max_epochs: int, start_epoch: int | None = None) -> float:
    """Factor of the learning rate: 1 until ``start_epoch``, then linearly to 0 at ``max_epochs``.

    Args:
        epoch: Epoch, from 0.
        max_epochs: Length of the training in epochs.
        start_epoch: First epoch of the decay; None for the middle.

    Returns:
        Factor in [0, 1].

    >>> [linear_decay(epoch, 4) for epoch in range(5)]
    [1.0, 1.0, 1.0, 0.5, 0.0]
    """
    start = max_epochs // 2 if start_epoch is None else start_epoch
    return 1.0 - max(0, epoch - start) / max(1, max_epochs - start)


def _with_gradient(loss: Callable[[], Tensor]) -> Tensor:
    value = loss()
    value.backward()
    return value.detach()
