"""Deep features of images, kept on disk: they are the same for every run, method and seed."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cyclegan_ad.files import replacing
from cyclegan_ad.pretrained.features import FeatureExtractor

log = logging.getLogger(__name__)

_FORMAT_VERSION = 2  # to be raised when an extractor prepares its images in another way
_DIGEST_BYTES = hashlib.sha256().digest_size


class FeatureCache:
    """Pooled features by the pixels of an image, one small file each.

    A file is found by the hash of the image's pixels and size, in a folder named after the
    extractor, its arithmetic, the kind of processor and the hash of its weights. It holds a hash of
    its own contents: what is damaged is computed again. Files are written under a temporary name
    and renamed, so several jobs may share the folder. Nothing is ever deleted; the whole folder
    may be, at any time.

    Args:
        extractor: What computes the features of new images; float32 rounding apart, they are those
            that are read back.
        folder: Where the files are; made when something is written.
    """

    def __init__(self, extractor: FeatureExtractor, folder: Path) -> None:
        self.extractor, self.folder = extractor, folder
        self._writable = True

    def pooled(self, images: Tensor) -> Tensor:
        """Pooled features of images, computed only for those that are not known yet.

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
            with replacing(path, durable=False) as temporary:  # it holds its own hash
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
        except OSError as error:
            self._writable = False
            log.warning(
                "features of images cannot be kept in %s (%s), so the next evaluation computes "
                "them again; name a folder that can be written with cache_dir=PATH",
                self.folder,
                error.strerror or error,
            )


def _read(path: Path) -> NDArray[np.float32] | None:
    """(D,) features; None if there are none or the file is damaged."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if not content or hashlib.sha256(content).digest() != digest:
        return None
    return np.frombuffer(content, dtype="<f4").astype(np.float32)
