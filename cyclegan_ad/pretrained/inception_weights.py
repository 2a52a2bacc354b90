"""The weights of pytorch-fid's Inception network: location, download and check."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.pretrained.weight_files import (
    cached_file,
    fetch_weights,
    first_line,
    load_state,
    read_whole,
)


def inception_weights_path() -> Path:
    """Return where pytorch-fid looks for its weights: ``$TORCH_HOME/hub/checkpoints/<name>``."""
    return cached_file(_url())


def ensure_inception_weights() -> Path:
    """Check that pytorch-fid's weights are on disk and complete; download them if absent.

    It is the download of pytorch-fid itself (91 MB, once), with a time-out and a check of the hash.
    Call it before a training whose scores need the weights.

    Returns:
        The path of the file.

    Raises:
        UserError: If the file is absent and cannot be downloaded, or does not match its hash.
    """
    path = _fetch()
    try:
        read_whole(path)
    except (OSError, ValueError) as error:
        raise UserError(_unusable(path, error)) from error
    return path


def inception_state() -> dict[str, Tensor]:
    """Read the weights of pytorch-fid's Inception, on the CPU; names are torchvision's.

    Raises:
        UserError: If they are unavailable or unreadable.
    """
    path = _fetch()
    try:
        return load_state(read_whole(path)[0])
    except Exception as error:  # damaged pickles and archives raise many types
        raise UserError(_unusable(path, error)) from error


def build_inception() -> tuple[Any, str]:
    """Build pytorch-fid's Inception with its weights, on the CPU.

    Returns:
        ``pytorch_fid.inception.InceptionV3``, and the SHA-256 of the file of its weights.

    Raises:
        UserError: If the weights are unavailable or unreadable.
    """
    from pytorch_fid import inception

    path = _fetch()
    try:
        content, sha256 = read_whole(path)
        state = load_state(content)
        # InceptionV3 would load the file without weights_only, running any code in it.
        with patch.object(inception, "load_state_dict_from_url", return_value=state):
            return inception.InceptionV3(), sha256
    except Exception as error:  # damaged pickles and archives raise many types
        raise UserError(_unusable(path, error)) from error


def _fetch() -> Path:
    return fetch_weights(
        _url(),
        what="Inception weights",
        megabytes=91,
        otherwise="or use score=sse, score.extractor=efficientnet_lite0 or, for linear_probe, "
        "backbone=efficientnet_lite0 (needs the extra 'efficientnet')",
    )


def _unusable(path: Path, error: Exception) -> str:
    return (
        f"Inception weights {path} damaged or truncated ({first_line(error)}); delete the file, "
        "then run again to download it, or place a complete copy there (91 MB, from the "
        f"mseitzer/pytorch-fid release {_url()})"
    )


def _url() -> str:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    return str(FID_WEIGHTS_URL)
