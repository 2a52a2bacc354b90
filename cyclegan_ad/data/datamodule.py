"""The LightningDataModule: one of the random balanced splits, as unpaired batches."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_ad.data.augment import dihedral
from cyclegan_ad.data.cache import load_images
from cyclegan_ad.data.checks import refuse_unreadable, require_both_classes, split_or_refuse
from cyclegan_ad.data.device_batches import Batch, batches_for
from cyclegan_ad.data.images import hash_in_order
from cyclegan_ad.data.masks import Masks, read_masks
from cyclegan_ad.data.notes import notes_on
from cyclegan_ad.data.pairing import PairSampler
from cyclegan_ad.data.pixels import gather, to_signed_range
from cyclegan_ad.data.samples import Sample, list_samples
from cyclegan_ad.data.split import Split
from cyclegan_ad.data.unread import passed_over

_LABELS = {"normal": 0, "abnormal": 1}


class AnomalyDataModule(pl.LightningDataModule):
    """Images of one dataset, split by a seed into a training set and a balanced test set.

    ``setup`` decodes every image once; after it, ``samples``, ``split``, ``sha256`` and
    ``unreadable`` describe the data.

    Args:
        name: Name of the dataset, for messages.
        layout: How its folders are named (see :mod:`cyclegan_ad.data.samples`).
        root: Its folder.
        channels: 1 (grey) or 3 (RGB); images are converted.
        size_px: Images become squares of this size (bicubic).
        seed: Of the split, and of pairing and augmentation.
        batch_size: Training pairs a batch and device.
        copies_per_epoch: Times each image of the larger class is seen an epoch (9 in the paper).
        augmentation: ``dihedral``, ``flip`` or ``none``.
        sides: Classes that the training batches hold: ``normal``, ``abnormal`` or both.
        calibration_fraction: Part of the abnormal training images kept out of training.
        exclude: Images left out, as relative paths or file names.
        skip_unreadable: Go on without images and ground-truth masks that cannot be read.
        storage: ``auto``, ``memory`` or ``disk``.
        memory_limit_mib: Above this size ``auto`` takes the disk.
        cache_dir: Folder of the disk storage.
        images_on: Where the training images are kept if a GPU computes: ``auto``, ``device`` or
            ``host`` (see :func:`cyclegan_ad.data.device_batches.choose_place`).
        progress: Context manager factory giving a callable of (images done, images in all).
    """

    def __init__(
        self,
        *,
        name: str,
        layout: str,
        root: Path,
        channels: int,
        size_px: int,
        seed: int,
        batch_size: int,
        copies_per_epoch: int,
        augmentation: str,
        sides: Sequence[str],
        calibration_fraction: float,
        exclude: Collection[str],
        skip_unreadable: bool,
        storage: str,
        memory_limit_mib: float,
        cache_dir: Path,
        images_on: str,
        progress: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__()
        self.dataset_name, self.layout, self.root = name, layout, Path(root)
        self.channels, self.size_px, self.seed = channels, size_px, seed
        self.batch_size, self.copies_per_epoch = batch_size, copies_per_epoch
        self.augmentation, self.exclude = augmentation, exclude
        self.sides, self.calibration_fraction = tuple(sides), calibration_fraction
        self.skip_unreadable = skip_unreadable
        self.storage, self.memory_limit_mib = storage, memory_limit_mib
        self.cache_dir, self.images_on, self.progress = Path(cache_dir), images_on, progress
        self.samples: list[Sample] = []
        self.masks = Masks({}, {}, [], [])  # truth: of test images
        self.split = Split((), ())
        self.sha256: list[str] = []
        self.unreadable: dict[str, str] = {}  # image or mask -> reason, where they were skipped
        self.other_sha256: dict[str, str] = {}  # of masks of test images, of unreadable files
        self.passed_over: Counter[str] = Counter()  # suffix -> files that were not read
        self.images = np.empty((0, size_px, size_px, channels), np.uint8)
        self.rows = np.empty(0, np.int64)  # rows of `images` that belong to `samples`

    def setup(self, stage: str | None = None) -> None:
        """List, decode and split the images; only once.

        Raises:
            UserError: If a class has fewer than 2 images or files cannot be read (all are named).
        """
        if self.samples:
            return
        samples = list_samples(self.layout, self.root, exclude=self.exclude)
        self.passed_over = passed_over(self.layout, self.root)
        reading = f"reading {self.dataset_name}"
        with nullcontext() if self.progress is None else self.progress(reading) as report:
            cache = load_images(
                [self.root / sample.path for sample in samples],
                size_px=self.size_px,
                channels=self.channels,
                storage=self.storage,
                memory_limit_mib=self.memory_limit_mib,
                cache_dir=self.cache_dir,
                progress=report,
            )
        bad = {samples[i].path: reason for i, reason in cache.unreadable.items()}
        if not self.skip_unreadable:
            refuse_unreadable(bad, len(samples), "images", self.root)
        good = [i for i in range(len(samples)) if i not in cache.unreadable]
        kept = [samples[i] for i in good]
        require_both_classes(samples, kept, self.dataset_name, self.root, self.passed_over)
        self.sha256 = [cache.sha256[i] for i in good]
        self.split = split_or_refuse(
            kept, self.sha256, self.seed, self.calibration_fraction, self.dataset_name
        )
        # Of all images, or the next seed would stop at what is wrong with the mask of another.
        files = {i: (sample.path, sample.mask) for i, sample in enumerate(kept)}
        masks = read_masks(self.root, files, self.size_px)
        tested = {i: masks.truth[i] for i in self.split.test if i in masks.truth}
        self.masks = replace(masks, truth=tested)  # not to hold those of all images
        if not self.skip_unreadable:
            n_files = sum(len(sample.mask) for sample in kept)
            refuse_unreadable(self.masks.unreadable, n_files, "ground-truth masks", self.root)
        self.unreadable = bad | self.masks.unreadable
        of_test = [path for i in self.split.test for path in kept[i].mask]
        named = list(dict.fromkeys([*of_test, *self.masks.unreadable]))
        hashes = hash_in_order([self.root / path for path in named])
        self.other_sha256 = dict(zip(named, hashes, strict=True))
        self.other_sha256 |= {samples[i].path: cache.sha256[i] for i in cache.unreadable}
        self.images, self.rows = cache.images, np.array(good)
        self.samples = kept

    def split_rows(self) -> list[tuple[str, str, int, str]]:
        """Rows of ``split.csv``: path, sha256, label, subset.

        A subset is train, test or calibration; of other files, with label -1, ``mask`` (ground
        truth of test images) or ``unreadable`` (images and masks that were skipped).
        """
        subset = dict.fromkeys(range(len(self.samples)), "train")
        subset |= dict.fromkeys(self.split.test, "test")
        subset |= dict.fromkeys(self.split.calibration, "calibration")
        rows = [
            (sample.path, sha256, sample.label, subset[i])
            for i, (sample, sha256) in enumerate(zip(self.samples, self.sha256, strict=True))
        ]
        rows += [
            (path, sha256, -1, "unreadable" if path in self.unreadable else "mask")
            for path, sha256 in self.other_sha256.items()
        ]
        return sorted(rows)

    def notes(self) -> Iterator[str]:
        """What a user should know of the images, a line each; none for most datasets."""
        return notes_on(self)

    @property
    def trained_labels(self) -> list[int]:
        """Labels of the classes that training batches hold."""
        return [_LABELS[side] for side in self.sides]

    def train_indices(self, label: int) -> list[int]:
        """Training images of a class, as indices into ``samples``."""
        return [i for i in self.split.train if self.samples[i].label == label]

    def train_dataloader(self) -> Iterable[Batch]:
        """The batches of a training by Lightning; says where the images are kept for a GPU."""
        if self.trainer is None:
            return self.training_batches(torch.device("cpu"))
        rank = self.trainer.global_rank
        return self.training_batches(
            self.trainer.strategy.root_device, self.trainer.world_size, rank, announce=rank == 0
        )

    def training_batches(
        self, device: torch.device, ranks: int = 1, rank: int = 0, *, announce: bool = False
    ) -> Iterable[Batch]:
        """Unpaired batches, not yet augmented; what :meth:`augment` takes.

        Args:
            device: Where the training computes; on a GPU the batches are there already.
            ranks: Number of processes that train together.
            rank: Which of them this is.
            announce: Print where the images are kept for a GPU.

        Returns:
            Of each of ``sides`` (N, C, H, W) uint8, and ``<side>_symmetry`` (N,) int64; iterated
            once an epoch, which is that of its ``sampler``.

        Raises:
            UserError: With ``images_on=device``, if the images do not fit there.
        """
        sampler = PairSampler(
            {side: np.array(self.train_indices(_LABELS[side])) for side in self.sides},
            copies=self.copies_per_epoch,
            augmentation=self.augmentation,
            batch_size=self.batch_size,
            seed=self.seed,
            ranks=ranks,
            rank=rank,
        )
        batches, place = batches_for(device, self.images, self.rows, sampler, self.images_on)
        if announce and place:
            print(f"{self.dataset_name}: {place}")
        return batches

    def augment(self, batch: Batch, dtype: torch.dtype = torch.float32) -> Batch:
        """Turn and scale a training batch, on its device: of each side in [-1, 1]."""
        return {
            side: to_signed_range(dihedral(batch[side], batch[f"{side}_symmetry"])).to(dtype)
            for side in self.sides
        }

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment a training batch, in the precision of the weights."""
        if not all(f"{side}_symmetry" in batch for side in self.sides):
            return batch
        assert self.trainer is not None
        dtype: Any = self.trainer.lightning_module.dtype  # float64 with trainer.precision=64-true
        return self.augment(batch, dtype)

    def images_at(self, indices: Collection[int]) -> Tensor:
        """Images by index into ``samples``: (N, C, H, W) float32 in [-1, 1]."""
        return to_signed_range(gather(self.images, self.rows[list(indices)]))

    def test_image_of_path(self, path: str) -> Tensor:
        """One test image by its path: (C, H, W) float32 in [-1, 1]."""
        return self.images_at([i for i in self.split.test if self.samples[i].path == path])[0]

    def ground_truth(self, index: int) -> np.ndarray | None:
        """Where an image is abnormal: (H, W) bool, all False for normal images; None if unknown."""
        if self.samples[index].label == 0:
            return np.zeros((self.size_px, self.size_px), bool)
        return self.masks.truth.get(index)
