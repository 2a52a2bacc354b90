"""Checkpoints of a run: written atomically, and verified before they are loaded."""

import hashlib
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import replacing
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import training_differences
from cyclegan_ad.text import as_typed

IDENTITY = "run"  # key of the identity of the run in a checkpoint
_SPLIT = "split.csv"
_DIGEST_BYTES = 64  # of a SHA-256, hexadecimal
_CHUNK_BYTES = 2**20
_NEEDED = {
    *("state_dict", "optimizer_states", "lr_schedulers", "loops", "hyper_parameters"),
    *("epoch", IDENTITY),
}


class WholeCheckpoints(TorchCheckpointIO):
    """Write checkpoints atomically, with a hash of the content at the end.

    Lightning writes through the temporary folder of the system, which may be small.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint atomically; ``storage_options`` are not used."""
        # When writing to a file, torch reports a full disk as a corrupt archive.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest().encode()
        # The hash is stored as the comment of the zip archive, after its 2-byte length.
        buffer.seek(-2, io.SEEK_END)
        buffer.write(struct.pack("<H", len(digest)) + digest)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


def identity_of(training: Mapping[str, Any], data: AnomalyDataModule) -> dict[str, Any]:
    """Return what identifies the training of a run: its settings and a hash of its images.

    Returns:
        Name -> value; ``torch.load`` with ``weights_only=True`` can read the values.
    """
    digest = hashlib.sha256()
    for path, sha256, label, subset, _ in data.split_rows():
        if subset not in ("unreadable", "mask"):
            digest.update(f"{sha256} {label} {subset} {path}\n".encode(errors="surrogateescape"))
    return dict(training) | {_SPLIT: digest.hexdigest()}


def check_checkpoint(run: RunDirectory, identity: dict[str, Any]) -> int:
    """Check that the last checkpoint is intact and belongs to this run.

    Returns:
        Number of epochs the checkpoint was trained for.

    Raises:
        UserError: If it is missing, damaged, or belongs to another run.
    """
    path = run.checkpoint
    if not path.is_file():
        raise UserError(f"{path} is missing; restore it or train again with overwrite=true")
    path.open("rb").close()  # a file without read permission is not damaged
    if not _is_whole(path):
        raise UserError(_damaged(path))
    try:
        content = torch.load(path, map_location="meta", mmap=True, weights_only=True)
        whole = content.keys() >= _NEEDED
    except Exception as error:  # torch and pickle raise almost anything
        raise UserError(_damaged(path)) from error
    if not whole:
        raise UserError(_damaged(path))
    epochs = int(content["epoch"]) + 1
    different = training_differences(content[IDENTITY], identity)
    if epochs > identity["trainer.max_epochs"]:
        different.append(("epochs", epochs, f"at most {identity['trainer.max_epochs']}"))
    if different:
        listed = ", ".join(
            "other images" if name == _SPLIT else f"{name}={as_typed(old)} (here {as_typed(new)})"
            for name, old, new in different
        )
        raise UserError(
            f"{path} belongs to another run, made with {listed}; restore the one of this run or "
            "train again with overwrite=true"
        )
    return epochs


def _is_whole(path: Path) -> bool:
    """Whether the hash of a checkpoint matches; torch does not verify its checksums."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = path.stat().st_size - 2 - _DIGEST_BYTES
        while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        digest.update(bytes(2))
        written = struct.pack("<H", _DIGEST_BYTES) + digest.hexdigest().encode()
        return left == 0 and file.read() == written


def _damaged(path: Path) -> str:
    return f"{path} is damaged; restore a copy or train again with overwrite=true"
