"""Files of pretrained weights: kept in torch's cache, downloaded once, checked by hash."""

from __future__ import annotations

import hashlib
import io
import logging
import socket
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from cyclegan_ad.errors import UserError

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 10.0


def cached_file(url: str) -> Path:
    """Return where torch caches the file of a URL: ``$TORCH_HOME/hub/checkpoints/<name>``."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def fetch_weights(url: str, *, what: str, megabytes: int, otherwise: str) -> Path:
    """Download a file of weights into torch's cache unless it is there.

    The time-out is 10 s for each response of the server. The file is complete or absent, and its
    SHA-256 is checked against the digits at the end of its name.

    Args:
        url: URL whose name ends with the first digits of the SHA-256, as in torch.hub.
        what: Description of the weights, for messages.
        megabytes: Size of the file in MB.
        otherwise: Other remedies, for the message.

    Returns:
        Path of the file.

    Raises:
        UserError: If it is absent and cannot be downloaded; names where to place it.
    """
    path = cached_file(url)
    if path.exists():
        return path
    log.info("downloading %s (%d MB, once) to %s", what, megabytes, path)
    timeout_s = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), _hash_in_name(path), progress=False)
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise UserError(
            f"no {what} at {path}, and the download failed ({first_line(error)}); place "
            f"{path.name} in {path.parent} ({megabytes} MB, from {url}), {otherwise}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout_s)
    return path


def read_whole(path: Path) -> tuple[bytes, str]:
    """Read a file whose name ends with its hash.

    Returns:
        Its content, and the SHA-256 of the content, hexadecimal.

    Raises:
        ValueError: If the hash does not match.
    """
    content = path.read_bytes()
    sha256, expected = hashlib.sha256(content).hexdigest(), _hash_in_name(path)
    if not sha256.startswith(expected):
        raise ValueError(f"SHA-256 does not start with {expected}")
    return content, sha256


def load_state(content: bytes) -> dict[str, Tensor]:
    """Load a state dict from the content of a ``.pth`` file, without running any code in it."""
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return dict(state)


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error, or its type if there is no message."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].strip()


def _hash_in_name(path: Path) -> str:
    return path.stem.rpartition("-")[2]
