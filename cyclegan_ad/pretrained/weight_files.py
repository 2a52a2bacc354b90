"""Files of pretrained weights: found in torch's cache, downloaded once, checked by their name."""

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
    """Where torch keeps the file of an address: ``$TORCH_HOME/hub/checkpoints/<name>``."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def fetch_weights(url: str, *, what: str, megabytes: int, otherwise: str) -> Path:
    """Download a file of weights into torch's cache unless it is there.

    The server has 10 s to answer, and for each next piece. The file is complete or absent, and its
    SHA-256 begins as the end of its name says.

    Args:
        url: Address; the name ends with the first digits of the SHA-256, as torch.hub has it.
        what: What the weights are, for messages.
        megabytes: Size of the file.
        otherwise: What else a user can do, for the message.

    Returns:
        The file.

    Raises:
        UserError: If it is absent and cannot be downloaded; says where to place it.
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
            f"no {what} at {path}, and their download failed ({one_line(error)}): place "
            f"{path.name} in {path.parent} ({megabytes} MB, from {url}), {otherwise}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout_s)
    return path


def read_whole(path: Path) -> tuple[bytes, str]:
    """Read a file that is named by its hash.

    Returns:
        Its content and the SHA-256 of it, hexadecimal.

    Raises:
        ValueError: If it is another file.
    """
    content = path.read_bytes()
    sha256, expected = hashlib.sha256(content).hexdigest(), _hash_in_name(path)
    if not sha256.startswith(expected):
        raise ValueError(f"it is cut short or another file: sha256 is not {expected}...")
    return content, sha256


def load_state(content: bytes) -> dict[str, Tensor]:
    """Load a state dict from the content of a ``.pth`` file; no code in it is run."""
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return dict(state)


def one_line(error: Exception) -> str:
    """First line of what an error says, or its kind if it says nothing."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].strip()


def _hash_in_name(path: Path) -> str:
    return path.stem.rpartition("-")[2]
