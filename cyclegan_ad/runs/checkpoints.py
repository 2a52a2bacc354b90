"""The checkpoint of a run: written whole, checked before it is read, and of this run only."""

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
from cyclegan_ad.settings import training_differences
from cyclegan_ad.text import as_typed

IDENTITY = "run"  # where a checkpoint says which run it belongs to
_SPLIT = "split.csv"
_DIGEST_BYTES = 64  # of a SHA-256, hexadecimal
_CHUNK_BYTES = 2**20
_NEEDED = {
    *("state_dict", "optimizer_states", "lr_schedulers", "loops", "hyper_parameters"),
    *("epoch", IDENTITY),
}


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, with a hash of it all at its end, then renames it.

    Lightning's own way goes through the system's temporary folder, which may be small.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write it completely or not at all.

        Args:
            checkpoint: What ``torch.save`` takes.
            path: The file.
            storage_options: Not used.

        Raises:
            OSError: If the disk does not take it.
        """
        # Writing to a file, torch calls a full disk a defect of the archive.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest().encode()
        # The archive's comment, which its last two bytes give the length of.
        buffer.seek(-2, io.SEEK_END)
        buffer.write(struct.pack("<H", len(digest)) + digest)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


def identity_of(training: Mapping[str, Any], data: AnomalyDataModule) -> dict[str, Any]:
    """What tells the training of a run from any other: its settings and its images.

    Args:
        training: As :meth:`cyclegan_ad.settings.Settings.training` gives it.
        data: Its data, set up.

    Returns:
        Plain values by name, which ``torch.load`` reads with ``weights_only=True``.
    """
    digest = hashlib.sha256()
    for path, sha256, label, subset in data.split_rows():
        if subset not in ("unreadable", "mask"):
            digest.update(f"{sha256} {label} {subset} {path}\n".encode(errors="surrogateescape"))
    return dict(training) | {_SPLIT: digest.hexdigest()}


def check_checkpoint(run: RunDirectory, identity: dict[str, Any]) -> int:
    """Make sure that the last checkpoint is whole and belongs to this run.

    Args:
        run: The run directory.
        identity: Of the run, see :func:`identity_of`.

    Returns:
        The number of epochs it was trained for.

    Raises:
        UserError: If it is missing, damaged, or of another run.
    """
    path = run.checkpoint
    if not path.is_file():
        raise UserError(f"{path} is gone; put it back or start anew with overwrite=true")
    path.open("rb").close()  # one that may not be read is not damaged
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
            f"{path} belongs to another run, made with {listed}; put back the one of this run or "
            "start anew with overwrite=true"
        )
    return epochs


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint is what was written; torch does not look at its check sums."""
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
    return f"{path} is damaged; put back a copy or start anew with overwrite=true"
