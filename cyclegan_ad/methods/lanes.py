"""The two halves of a Cycle-GAN's step at the same time, each on half of a CPU's threads.

A generator and the discriminator of its domain form a lane. The lanes need each other only twice a
step: for the other's fake images, and for the gradient of the own ones. Two convolutions side by
side use the cores better than one after the other on all cores: on two cores, 7 to 20 % more
pairs a second.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from cyclegan_ad.device import prepare_process
from cyclegan_ad.methods.losses import adversarial_loss, cycle_loss, identity_loss

if TYPE_CHECKING:
    from cyclegan_ad.methods.cyclegan import CycleGAN

Result = TypeVar("Result")


class Lane:
    """The generators' turn of one domain, in three parts with an exchange after the first two.

    Args:
        method: Whose losses they are.
        generator: Into this domain.
        discriminator: Of this domain, frozen.
        own: (N, C, H, W) real images of this domain, in [-1, 1].
        other: (N, C, H, W) real images of the other domain, in [-1, 1].

    Attributes:
        losses: Scalars ``identity``, ``gan`` and ``cycle``, unweighted and without gradient, once
            the parts are done.
        fake: (N, C, H, W) the other domain's images translated into this one.
    """

    def __init__(
        self,
        method: "CycleGAN",
        generator: nn.Module,
        discriminator: nn.Module,
        own: Tensor,
        other: Tensor,
    ) -> None:
        self.method, self.generator, self.discriminator = method, generator, discriminator
        self.own, self.other = own, other
        self.losses: dict[str, Tensor] = {}
        self.fake = self.identity = own

    def translate(self) -> Tensor:
        """First part: both real batches into this domain; returns the fakes for the other lane."""
        images = self.generator(torch.cat([self.own, self.other]))
        self.identity, self.fake = images.chunk(2)
        return self.fake.detach()

    def cycle(self, their_fake: Tensor) -> Tensor:
        """Second part: the other lane's fakes back into this domain; returns their gradient."""
        their_fake.requires_grad_()
        loss = cycle_loss(self.generator(their_fake), self.own)
        (self.method.lambda_cyc * loss).backward()
        self.losses["cycle"] = loss.detach()
        assert their_fake.grad is not None
        return their_fake.grad

    def finish(self, gradient: Tensor) -> None:
        """Third part: the other losses, and what the other lane says of this one's fakes."""
        identity = identity_loss(self.identity, self.own)
        judged = self.discriminator(self.fake)
        gan = adversarial_loss(judged, real=True, kind=self.method.adversarial_loss)
        loss = self.method.lambda_ide * identity + gan
        torch.autograd.backward([loss, self.fake], [None, gradient])
        self.losses |= {"identity": identity.detach(), "gan": gan.detach()}


def generators_turn(
    method: "CycleGAN", normal: Tensor, abnormal: Tensor
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Losses and gradients of both generators, each domain on threads of its own.

    Args:
        method: The Cycle-GAN, its discriminators frozen.
        normal: (N, C, H, W) in [-1, 1], on the CPU.
        abnormal: (N, C, H, W) in [-1, 1], on the CPU.

    Returns:
        As :meth:`CycleGAN.generator_losses`, without the weighted sum and without gradient: the
        gradients are in the parameters.
    """
    first = Lane(method, method.generator_to_normal, method.discriminator_normal, normal, abnormal)
    second = Lane(
        method, method.generator_to_abnormal, method.discriminator_abnormal, abnormal, normal
    )
    fakes = both([first.translate, second.translate])
    gradients = both([partial(first.cycle, fakes[1]), partial(second.cycle, fakes[0])])
    both([partial(first.finish, gradients[1]), partial(second.finish, gradients[0])])
    losses = {
        f"{name}_{domain}": lane.losses[name]
        for name in ("identity", "gan", "cycle")
        for domain, lane in (("normal", first), ("abnormal", second))
    }
    return losses, first.fake, second.fake


def both(functions: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run two functions at the same time, each on half of the threads of the calling one.

    They run under the caller's autocast. The first exception is raised again, once both are done.
    """
    enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run(function: Callable[[], Result]) -> Result:
        with torch.autocast("cpu", dtype, enabled=enabled):
            return function()

    workers = _workers(max(1, torch.get_num_threads() // 2))
    tasks = [
        worker.submit(run, function) for worker, function in zip(workers, functions, strict=True)
    ]
    wait(tasks)
    return [task.result() for task in tasks]


@cache
def _workers(threads: int) -> list[ThreadPoolExecutor]:
    def prepare() -> None:
        prepare_process()
        torch.set_num_threads(threads)
        # Weights turned to bfloat16 are kept until the caller's autocast ends, not each part's.
        torch.autocast_increment_nesting()

    return [ThreadPoolExecutor(1, f"lane{i}", initializer=prepare) for i in range(2)]
