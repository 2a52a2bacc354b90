"""A common implementation of the training step, the reference of the benchmark.

It makes six generator passes, and computes and discards gradients of the discriminators in the
generators' step. Up to rounding, the results are those of
:meth:`cyclegan_ad.methods.cyclegan.CycleGAN.optimise`.
"""

import copy

import torch
from torch import Tensor
from torch.optim import Optimizer

from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.methods.losses import adversarial_loss, cycle_loss, identity_loss
from cyclegan_ad.networks import fast_forwards


def reference_method(method: CycleGAN) -> CycleGAN:
    """Copy a method, with torch's own layers and weights in the usual memory order."""
    plain = copy.deepcopy(method)
    for module in plain.modules():
        if type(module).__module__ == fast_forwards.__name__:
            module.__class__ = type(module).__bases__[0]  # torch's own layer
    return plain.to(memory_format=torch.contiguous_format)


def reference_optimizers(method: CycleGAN) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    """Return torch's Adam for both generators and for both discriminators."""
    domains = (
        (method.generator_to_normal, method.generator_to_abnormal),
        (method.discriminator_normal, method.discriminator_abnormal),
    )
    generators, discriminators = (
        torch.optim.Adam(
            [parameter for network in networks for parameter in network.parameters()],
            lr=method.learning_rate,
            betas=method.betas,
        )
        for networks in domains
    )
    return generators, discriminators


def reference_step(
    method: CycleGAN,
    generators: Optimizer,
    discriminators: Optimizer,
    normal: Tensor,
    abnormal: Tensor,
) -> dict[str, Tensor]:
    """Make one step of the generators, then one of the discriminators (Sec. 2.2).

    Args:
        method: Networks, loss weights and pools.
        generators: Adam of both generators.
        discriminators: Adam of both discriminators.
        normal: (N, C, H, W) in [-1, 1].
        abnormal: (N, C, H, W) in [-1, 1], unpaired.

    Returns:
        Scalar losses by the names of the method's own step.
    """
    to_normal, to_abnormal = method.generator_to_normal, method.generator_to_abnormal
    of_normal, of_abnormal = method.discriminator_normal, method.discriminator_abnormal
    objective, kind = method.objective, method.objective.adversarial_loss
    fake_normal, fake_abnormal = to_normal(abnormal), to_abnormal(normal)
    cycled_abnormal, cycled_normal = to_abnormal(fake_normal), to_normal(fake_abnormal)
    losses = {
        "identity_normal": identity_loss(to_normal(normal), normal),
        "identity_abnormal": identity_loss(to_abnormal(abnormal), abnormal),
        "gan_normal": adversarial_loss(of_normal(fake_normal), real=True, kind=kind),
        "gan_abnormal": adversarial_loss(of_abnormal(fake_abnormal), real=True, kind=kind),
        "cycle_normal": cycle_loss(cycled_normal, normal),
        "cycle_abnormal": cycle_loss(cycled_abnormal, abnormal),
    }
    total = (
        objective.lambda_ide * (losses["identity_normal"] + losses["identity_abnormal"])
        + losses["gan_normal"]
        + losses["gan_abnormal"]
        + objective.lambda_cyc * (losses["cycle_normal"] + losses["cycle_abnormal"])
    )
    generators.zero_grad()
    total.backward()
    generators.step()

    discriminators.zero_grad()
    for name, discriminator, pool, real, fake in (
        ("normal", of_normal, method.pool_normal, normal, fake_normal),
        ("abnormal", of_abnormal, method.pool_abnormal, abnormal, fake_abnormal),
    ):
        past = pool.exchange(fake.detach())
        losses[f"discriminator_{name}"] = 0.5 * (
            adversarial_loss(discriminator(real), real=True, kind=kind)
            + adversarial_loss(discriminator(past), real=False, kind=kind)
        )
        losses[f"discriminator_{name}"].backward()
    discriminators.step()
    return losses | {"generator": total}
