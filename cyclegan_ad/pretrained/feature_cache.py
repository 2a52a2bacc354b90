"""Cache on disk for deep features of images, shared by all runs, methods and seeds."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.files import replacing

log = logging.getLogger(__name__)

_FORMAT_VERSION = 2  # increase when an extractor changes its preprocessing
_DIGEST_BYTES = hashlib.sha256().digest_size


class Pooled(Protocol):
    """Features of images."""

    @property
    def pooled(self) -> Tensor:
        """(N, D) float32, one vector per image."""


class Extractor(Protocol):
    """What computes features: a :class:`~cyclegan_ad.pretrained.features.FeatureExtractor`."""

    name: str
    precision: str
    weights_sha256: str

    def __call__(self, images: Tensor, /) -> Pooled:
        """Compute the features of images, (N, C, H, W) real in [-1, 1]."""


class FeatureCache:
    """Pooled features by the pixels of an image, one small file per image.

    The key is the hash of the image's pixels and size, in a folder named after the extractor, its
    precision, the type of device and the hash of its weights. Each file holds a hash of its
    contents; damaged ones are computed again. Files are written under a temporary name and renamed,
    so several jobs may share the folder. Nothing is deleted automatically; the folder may be
    deleted at any time.

    Args:
        extractor: Extractor for new images; cached features equal its output up to float32
            rounding.
        folder: Folder of the files; created on the first write.
    """

    def __init__(self, extractor: Extractor, folder: Path) -> None:
        self.extractor, self.folder = extractor, folder
        self._writable = True

    def pooled(self, images: Tensor) -> Tensor:
        """Return pooled features of images, computing only those that are not cached.

        Args:
            images: (N, C, H, W) real in [-1, 1].

        Returns:
            (N, D) float32 on the device of the images.
        """
        pixels = images.detach().cpu().contiguous().numpy()
        paths = [self._path(image, images.device) for image in pixels]
        known = [_read(path) for path in paths]
        missing = [i for i, features in enumerate(known) if features is None]
        if missing:
            computed = self.extractor(images[missing]).pooled.float().cpu().numpy()
            for i, features in zip(missing, computed, strict=True):
                known[i] = features
                self._keep(paths[i], features)
        if not known:
            return self.extractor(images).pooled
        found = np.stack([features for features in known if features is not None])
        return torch.from_numpy(found).to(images.device)

    def _path(self, image: NDArray[np.floating], device: torch.device) -> Path:
        head = f"{image.dtype.str}|{'x'.join(map(str, image.shape))}\n".encode()
        name = hashlib.sha256(head + image.tobytes()).hexdigest()
        extractor = self.extractor
        made_by = (
            f"{extractor.name}-{extractor.precision}-{device.type}-v{_FORMAT_VERSION}-"
            f"{extractor.weights_sha256[:16]}"
        )
        return self.folder / made_by / name[:2] / f"{name}.features"

    def _keep(self, path: Path, features: NDArray[np.float32]) -> None:
        if not (self._writable and np.isfinite(features).all()):
            return
        content = features.astype("<f4").tobytes()
        try:
            with replacing(path, durable=False) as temporary:  # the file holds its own hash
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            self._writable = False
            log.warning(
                "features of images cannot be stored in %s (%s), so the next evaluation computes "
                "them again; use a writable folder with cache_dir=PATH",
                self.folder,
                error.strerror or error,
            )


def _read(path: Path) -> NDArray[np.float32] | None:
    """Read features, (D,) float32; None if the file is absent or damaged."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if not content or hashlib.sha256(content).digest() != digest:
        return None
    return np.frombuffer(content, dtype="<f4").astype(np.float32)
