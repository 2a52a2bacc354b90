"""Speed of training: compilation, activation checkpointing, parallel domains."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only

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
    """Prepare the networks of a method for training; the arguments are settings ``trainer.*``.

    With ``activation_checkpointing`` generators recompute activations in the backward pass, with
    less than half the memory and a third more arithmetic.
    """
    compiled = compile and compile_networks(module, device, compile_mode)
    if isinstance(module, CycleGAN):
        for generator in (module.generator_to_normal, module.generator_to_abnormal):
            generator.checkpoint_activations = activation_checkpointing
        module.parallel_step = (
            device.type == "cpu" and not compiled and processes == 1 and torch.get_num_threads() > 1
        )


def compile_networks(module: torch.nn.Module, device: torch.device, mode: str) -> bool:
    """Compile each network of a method; return False if the compiler is missing.

    The names of the weights do not change, so checkpoints are compatible.
    """
    missing = missing_compiler(device)
    rank_zero_only(print)(
        f"trainer.compile=true: missing compiler {missing}; networks are not compiled"
        if missing
        else "compiling the networks: a minute or two before the first step "
        "(trainer.compile=false for none)",
        flush=True,
    )
    if missing:
        return False
    # Four networks, each with and without gradients, at several batch sizes.
    torch._dynamo.config.recompile_limit = 64
    for network in module.children():
        network.compile(mode=mode)
    return True
