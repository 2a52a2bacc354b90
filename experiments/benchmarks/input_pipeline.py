"""Input pipeline: images decoded on every access, compared with images decoded once."""

import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cyclegan_ad.build import build_data
from cyclegan_ad.data.cache import load_images
from cyclegan_ad.data.datamodule import AnomalyDataModule
from experiments.benchmarks.row import Row, Target, compare
from experiments.benchmarks.timing import Call, Samples, Timer
from experiments.benchmarks.training import compose_job

_DRAWN = 4
_NOISE = 4.0  # standard deviation, in grey levels


def measure_input(
    timer: Timer, *, files: int, file_px: int, size_px: int, batch_size: int, copies: int
) -> tuple[Samples, dict[str, Any]]:
    """Time the input of a training, including the transfer to the device.

    Returns:
        Seconds an image: ``reference`` (decoded and resized on every access), ``batches`` (ours,
        after the first epoch) and ``first_epoch`` (ours, decoding on all cores); and ``images`` of
        a sample of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photographs"
        paths = write_photographs(root, files, file_px)
        words = [
            *("dataset=folder", f"dataset.root={root}", f"dataset.batch_size={batch_size}"),
            *(f"dataset.copies_per_epoch={copies}", f"resolution={size_px}"),
            f"cache_dir={folder}/cache",
        ]
        data = build_data(compose_job(words))
        data.setup()
        images = {
            "reference": min(batch_size, files),
            "batches": sum(2 * batch_size for _ in data.training_batches(timer.device)),
            "first_epoch": files,
        }
        sizes: dict[str, Any] = {"size_px": size_px, "channels": 3, "memory_limit_mib": 0}
        kept: dict[str, Any] = {"storage": "memory", "cache_dir": Path(folder)}
        decode = partial(load_images, window=None, **sizes, **kept)
        samples = timer.alternate(
            {
                "reference": _reference_batch(root, images["reference"], size_px, timer.device),
                "batches": _our_epochs(data, timer.device),
                "first_epoch": partial(decode, paths),
            }
        )
    each = {name: [s / images[name] for s in values] for name, values in samples.items()}
    return each, {"images": images}


def write_photographs(root: Path, number: int, size_px: int) -> list[Path]:
    """Write PNG files of both classes with shading and noise; most are copies of a few."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : complex(size_px), 0 : 1 : complex(size_px)]
    shading = 90 + 60 * np.stack([x * y, (1 - x) * y, x * (1 - y)], axis=-1)
    paths = [root / ("normal", "abnormal")[i % 2] / f"{i:03d}.png" for i in range(number)]
    for i, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < _DRAWN:
            pixels = shading + random.normal(0, _NOISE, shading.shape)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        else:
            path.write_bytes(paths[i % _DRAWN].read_bytes())
    return paths


def _reference_batch(root: Path, batch_size: int, size_px: int, device: torch.device) -> Call:
    """Load one batch with torchvision: each image opened, resized and augmented on access."""
    from torchvision import datasets, transforms

    steps = [
        transforms.Resize((size_px, size_px), transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
    dataset = datasets.ImageFolder(root, transforms.Compose(steps))
    subset = torch.utils.data.Subset(dataset, range(batch_size))
    loader = torch.utils.data.DataLoader(subset, batch_size)
    return lambda: [images.to(device) for images, _ in loader]


def _our_epochs(data: AnomalyDataModule, device: torch.device) -> Call:
    """Take every batch of an epoch to the device and augment it there, as training does."""
    batches: Any = data.training_batches(device)
    numbers = count()

    def epoch() -> None:
        batches.sampler.set_epoch(next(numbers))
        for batch in batches:
            data.augment(data.transfer_batch_to_device(batch, device, 0))

    return epoch


def rows(cases: dict[str, Any], machine: dict[str, Any]) -> list[Row]:
    """Return the rows of the input pipeline."""
    if "input" not in cases:
        return []
    settings, samples = cases["input"]["settings"], cases["input"]["samples"]
    sizes = f"{settings['size_px']} px from {settings['file_px']} px PNG"
    titles = {"batches": f"batches, {sizes}", "first_epoch": "first epoch, decoding on all cores"}
    targets = {"batches": [Target("ratio", 50.0)], "first_epoch": []}
    return [
        compare("Input pipeline", what, "images/s", samples, way, *targets[way])
        for way, what in titles.items()
    ]
