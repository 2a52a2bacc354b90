"""ImageNet weights of the backbones of the linear probe: finding, checking, loading."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cyclegan_ad.networks.probe import ProbeBackbone
from cyclegan_ad.pretrained.backbones import read_weights
from cyclegan_ad.pretrained.features import fold_batch_norms
from cyclegan_ad.pretrained.inception_weights import inception_state
from cyclegan_ad.pretrained.names import INCEPTION


def ensure_probe_weights(backbone: str, weights_path: str | None) -> None:
    """Check that the backbone of a probe can be built, before data are read; download if absent.

    Raises:
        UserError: If the weights are unavailable, unreadable or of another network.
    """
    with torch.device("meta"):  # shapes only, no memory
        _read(backbone, weights_path, ProbeBackbone(backbone))


def load_probe_weights(backbone: str, weights_path: str | None, folded: nn.Module) -> None:
    """Load ImageNet weights into a backbone whose batch norms are folded.

    Args:
        backbone: Name of the backbone.
        weights_path: File of the weights; None for the default of the backbone.
        folded: ``ProbeBackbone`` of this name after :func:`fold_batch_norms`.

    Raises:
        UserError: If the weights are unavailable, unreadable or of another network.
    """
    whole = ProbeBackbone(backbone)
    whole.network.load_state_dict(_read(backbone, weights_path, whole))
    fold_batch_norms(whole.eval().requires_grad_(False))
    folded.load_state_dict(whole.state_dict())


def _read(backbone: str, weights_path: str | None, whole: ProbeBackbone) -> dict[str, Any]:
    if backbone != INCEPTION:
        return read_weights(backbone, weights_path, whole.network)
    state = inception_state()
    return {name: state[name] for name in whole.network.state_dict()}
