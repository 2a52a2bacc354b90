"""The input side: images decoded on every access against batches from what was decoded once."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cyclegan_ad.build import build_data
from cyclegan_ad.data.cache import load_images
from cyclegan_ad.data.datamodule import AnomalyDataModule
from experiments.benchmarks.jobs import compose_job
from experiments.benchmarks.matrix_product import waiting
from experiments.benchmarks.photographs import write_photographs
from experiments.benchmarks.timing import Samples, take_turns


def measure_input(
    *,
    files: int,
    file_px: int,
    size_px: int,
    batch_size: int,
    copies: int,
    words: Sequence[str] = (),
    device: torch.device,
    budget_s: float,
    at_least: int,
) -> tuple[Samples, dict[str, Any]]:
    """Time how fast training gets its images, each way with its own transfer to the device.

    Args:
        files: PNG files, half of them of either class.
        file_px: Side of the files' images.
        size_px: Side of the images that the networks see.
        batch_size: Pairs a batch.
        copies: Times each image is seen in our epoch.
        words: Further settings of the job.
        device: Where training would compute.
        budget_s: See :func:`experiments.benchmarks.timing.take_turns`.
        at_least: The same.

    Returns:
        Seconds an image: ``textbook`` (decoded and resized on every access, one process),
        ``batches`` (ours, after the first epoch) and ``first_epoch`` (ours, decoding on all cores);
        ``file_kib`` of a file, and ``decoding``: seconds for several numbers of files.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photographs"
        paths = write_photographs(root, files, file_px)
        data = build_data(
            compose_job(
                [
                    "dataset=folder",
                    f"dataset.root={root}",
                    f"dataset.copies_per_epoch={copies}",
                    f"dataset.batch_size={batch_size}",
                    f"resolution={size_px}",
                    f"cache_dir={folder}/cache",
                    *words,
                ]
            )
        )
        data.setup()
        textbook = DataLoader(DecodedOnAccess(paths[:batch_size], size_px), batch_size=batch_size)
        epoch = OurEpoch(data, device)
        samples = take_turns(
            {
                "textbook": lambda: [batch.to(device) for batch in textbook],
                "batches": epoch,
                "first_epoch": lambda: decode(paths, size_px, Path(folder)),
            },
            budget_s=budget_s,
            at_least=at_least,
            wait=waiting(device),
        )
        images = {
            "textbook": min(batch_size, files),
            "batches": epoch.images,
            "first_epoch": files,
        }
        growth = {}
        for count in sorted({max(1, files // 4), max(1, files // 2), files}):
            once = take_turns(
                {"decode": partial(decode, paths[:count], size_px, Path(folder))},
                budget_s=0,
                at_least=1,
                warm_up=0,
            )
            growth[str(count)] = once["decode"][0]
        each = {name: [s / images[name] for s in values] for name, values in samples.items()}
        kib = sum(path.stat().st_size for path in paths) / files / 2**10
    return each, {"file_kib": kib, "decoding": growth, "images": images}


class DecodedOnAccess(Dataset[Tensor]):
    """Images as a textbook's data set gives them: opened, resized and turned on each access."""

    def __init__(self, paths: Sequence[Path], size_px: int) -> None:
        self.paths, self.size_px = paths, size_px

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as file:
            image = file.convert("RGB").resize((self.size_px,) * 2, Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
        return torch.rot90(pixels, index % 4, (1, 2))


class OurEpoch:
    """One epoch of our training batches, on the training device and augmented, without a training.

    Args:
        data: Set up.
        device: Where the batches go.

    Attributes:
        images: How many the last epoch had.
    """

    def __init__(self, data: AnomalyDataModule, device: torch.device) -> None:
        self.data, self.device = data, device
        self.epochs = self.images = 0
        self.batches: Any = data.training_batches(device)

    def __call__(self) -> None:
        """Take every batch of the next epoch to the device and augment it there."""
        self.batches.sampler.set_epoch(self.epochs)
        self.epochs += 1
        self.images = 0
        for batch in self.batches:
            there = self.data.transfer_batch_to_device(batch, self.device, 0)
            self.images += sum(len(images) for images in self.data.augment(there).values())


def decode(paths: Sequence[Path], size_px: int, cache_dir: Path) -> None:
    """Decode files as the first epoch does, on all cores."""
    load_images(
        paths,
        size_px=size_px,
        channels=3,
        storage="memory",
        memory_limit_mib=0,
        cache_dir=cache_dir,
    )
