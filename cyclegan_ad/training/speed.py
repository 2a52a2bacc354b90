"""Networks made ready for fast training: compiled, checkpointed or with domains in parallel."""

import pytorch_lightning as pl
import torch

from cyclegan_ad.device import missing_compiler
from cyclegan_ad.methods.cyclegan import CycleGAN


def prepare_networks(
    module: pl.LightningModule,
    device: torch.device,
    *,
    compile: bool,
    compile_mode: str,
    activation_checkpointing: bool,
    processes: int,
) -> None:
    """Make the networks of a method ready to be trained fast.

    Args:
        module: The method, with its weights.
        device: Where it is going to be trained.
        compile: Compile the networks.
        compile_mode: Of torch.compile; ``reduce-overhead`` takes CUDA graphs.
        activation_checkpointing: Generators compute their activations again in the backward pass:
            less than half the memory, a third more arithmetic.
        processes: How many processes train together.
    """
    compiled = compile and compile_networks(module, device, compile_mode)
    if isinstance(module, CycleGAN):
        for generator in (module.generator_to_normal, module.generator_to_abnormal):
            generator.checkpoint_activations = activation_checkpointing
        module.parallel_step = (
            device.type == "cpu" and not compiled and processes == 1 and torch.get_num_threads() > 1
        )


def compile_networks(module: torch.nn.Module, device: torch.device, mode: str) -> bool:
    """Compile each network of a method; where there is no compiler, go on uncompiled.

    The names of the weights stay as they are, so checkpoints fit either way.

    Args:
        module: The method.
        device: Where it is going to be trained.
        mode: Of torch.compile.

    Returns:
        Whether the networks are going to be compiled.
    """
    if missing := missing_compiler(device):
        print(f"trainer.compile=true: no compiler: {missing}; not compiled")
        return False
    # Four networks, frozen or not, at several batch sizes.
    torch._dynamo.config.recompile_limit = 64
    for network in module.children():
        network.compile(mode=mode)
    return True
