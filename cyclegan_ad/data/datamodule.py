"""The LightningDataModule: one random balanced split, as unpaired batches."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from cyclegan_ad.data.affine import transform
from cyclegan_ad.data.augment import dihedral
from cyclegan_ad.data.cache import load_images
from cyclegan_ad.data.checks import checked_split, require_classes, require_readable
from cyclegan_ad.data.decoded_files import hash_in_order
from cyclegan_ad.data.depth import require_window
from cyclegan_ad.data.device_batches import Batch, make_batches
from cyclegan_ad.data.formats.deep_pixels import Window
from cyclegan_ad.data.groups import group_images, groups_to_split, require_one_class
from cyclegan_ad.data.layouts.names import OWN_LAYOUTS
from cyclegan_ad.data.layouts.sample import BY_THE_USUAL_NAMES, Labelling
from cyclegan_ad.data.layouts.unread import count_ignored_files
from cyclegan_ad.data.masks import Masks, read_masks
from cyclegan_ad.data.samples import Sample, list_samples
from cyclegan_ad.data.split import Split
from cyclegan_ad.data.unpaired_batches import PairSampler, gather, to_signed_range

_LABELS = {"normal": 0, "abnormal": 1}


class AnomalyDataModule(pl.LightningDataModule):
    """Images of one dataset, split by a seed into a training set and a balanced test set.

    ``setup`` decodes every image once; after it, ``samples``, ``split``, ``sha256``, ``groups`` and
    ``unreadable`` describe the data.

    Args:
        name: Name of the dataset, for messages.
        layout: Layout of its folders (see :mod:`cyclegan_ad.data.samples`).
        root: Folder of the dataset.
        channels: 1 (grey) or 3 (RGB); images are converted.
        window: Stored values that become black and white (see :mod:`cyclegan_ad.data.depth`).
        size_px: Height and width to which images are resized (bicubic).
        seed: Seed of the split, the pairing and the augmentation.
        batch_size: Training pairs per batch and device.
        copies_per_epoch: Times that each image of the larger class is used per epoch (9 in the
            paper).
        augmentation: ``dihedral``, ``affine``, ``flip`` or ``none``.
        classes: Classes that the training batches hold: ``normal``, ``abnormal`` or both.
        calibration_fraction: Fraction of the abnormal training images kept out of training; with
            ``normal_only``, of all images.
        tuning_fraction: Fraction of the training images of each class that is kept out of the
            training of networks, for what is fitted on top of them (``split.tuning``).
        max_abnormal: Largest number of abnormal images outside the test set that are used; None
            for all.
        normal_only: Whether the dataset has no abnormal images; its test images are then the normal
            ones kept out of training.
        exclude: Images left out, as relative paths or file names.
        skip_unreadable: Whether to skip images and ground-truth masks that cannot be read.
        storage: ``auto``, ``memory`` or ``disk``.
        memory_limit_mib: Size in MiB above which ``auto`` uses the disk.
        cache_dir: Folder of the disk storage.
        images_on: Where the training images are kept for training on a GPU: ``auto``, ``device`` or
            ``host`` (see :func:`cyclegan_ad.data.device_batches.choose_place`).
        progress: Returns a context manager that gives a callable of (images done, total).
        labelling: How images of the layout ``folder`` get labels, and all images groups.
        keep_copies_together: Whether files of equal content may not part over the subsets.
    """

    def __init__(
        self,
        *,
        name: str,
        layout: str,
        root: Path,
        channels: int,
        window: Window | None,
        size_px: int,
        seed: int,
        batch_size: int,
        copies_per_epoch: int,
        augmentation: str,
        classes: Sequence[str],
        calibration_fraction: float,
        normal_only: bool,
        exclude: Collection[str],
        skip_unreadable: bool,
        storage: str,
        memory_limit_mib: float,
        cache_dir: Path,
        images_on: str,
        progress: Callable[[str], Any] | None = None,
        labelling: Labelling = BY_THE_USUAL_NAMES,
        keep_copies_together: bool = False,
        tuning_fraction: float = 0.0,
        max_abnormal: int | None = None,
    ) -> None:
        super().__init__()
        self.dataset_name, self.layout, self.root = name, layout, Path(root)
        self.channels, self.window, self.size_px, self.seed = channels, window, size_px, seed
        self.batch_size, self.copies_per_epoch = batch_size, copies_per_epoch
        self.augmentation, self.exclude = augmentation, exclude
        self.classes, self.calibration_fraction = tuple(classes), calibration_fraction
        self.tuning_fraction, self.max_abnormal = tuning_fraction, max_abnormal
        self.normal_only, self.skip_unreadable = normal_only, skip_unreadable
        self.storage, self.memory_limit_mib = storage, memory_limit_mib
        self.cache_dir, self.images_on, self.progress = Path(cache_dir), images_on, progress
        self.labelling, self.keep_copies_together = labelling, keep_copies_together
        self.samples: list[Sample] = []
        self.masks = Masks({}, {}, [], [])  # ground truth of the test images
        self.split = Split((), ())
        self.sha256: list[str] = []
        self.groups: list[str] = []  # group of each image; of copies alone, the SHA-256
        self.unreadable: dict[str, str] = {}  # skipped image or mask -> reason
        self.other_sha256: dict[str, str] = {}  # of test masks and unreadable files
        self.ignored_files: Counter[str] = Counter()  # suffix -> number of files
        self.images = np.empty((0, size_px, size_px, channels), np.uint8)
        self.rows = np.empty(0, np.int64)  # rows of `images` that belong to `samples`

    def setup(self, stage: str | None = None) -> None:
        """List, decode and split the images; later calls do nothing.

        Raises:
            UserError: A class has fewer than 2 images; files cannot be read or need a window.
        """
        if self.samples:
            return
        samples = list_samples(
            self.layout, self.root, exclude=self.exclude, labelling=self.labelling
        )
        self.ignored_files = count_ignored_files(self.layout, self.root, self.labelling)
        require_classes(self, samples, samples)  # before any is decoded
        reading = f"reading {self.dataset_name}"
        with nullcontext() if self.progress is None else self.progress(reading) as report:
            cache = load_images(
                [self.root / sample.path for sample in samples],
                size_px=self.size_px,
                channels=self.channels,
                window=self.window,
                storage=self.storage,
                memory_limit_mib=self.memory_limit_mib,
                cache_dir=self.cache_dir,
                progress=report,
            )
        require_window(cache, self.window, self.root)
        bad = {samples[i].path: reason for i, reason in cache.unreadable.items()}
        if not self.skip_unreadable:
            require_readable(bad, len(samples), "images", self.root)
        good = [i for i in range(len(samples)) if i not in cache.unreadable]
        kept = [samples[i] for i in good]
        require_classes(self, samples, kept)
        self.sha256 = [cache.sha256[i] for i in good]
        if self.layout in OWN_LAYOUTS:
            require_one_class(kept, self.sha256, self.root)
        self.groups = group_images(kept, self.sha256)
        name, together = self.dataset_name, self.keep_copies_together
        groups = groups_to_split(kept, self.sha256, together, self.labelling, name)
        self.split = checked_split(self, kept, groups)
        # Masks of all images are read, so that damage is reported with the first seed.
        files = {i: (sample.path, sample.mask) for i, sample in enumerate(kept)}
        masks = read_masks(self.root, files, self.size_px)
        tested = {i: masks.truth[i] for i in self.split.test if i in masks.truth}
        self.masks = replace(masks, truth=tested)  # keep only those in memory
        if not self.skip_unreadable:
            n_files = sum(len(sample.mask) for sample in kept)
            require_readable(self.masks.unreadable, n_files, "ground-truth masks", self.root)
        self.unreadable = bad | self.masks.unreadable
        of_test = [path for i in self.split.test for path in kept[i].mask]
        named = list(dict.fromkeys([*of_test, *self.masks.unreadable]))
        hashes = hash_in_order([self.root / path for path in named])
        self.other_sha256 = dict(zip(named, hashes, strict=True))
        self.other_sha256 |= {samples[i].path: cache.sha256[i] for i in cache.unreadable}
        self.images, self.rows = cache.images, np.array(good)
        self.samples = kept

    def split_rows(self) -> list[tuple[str, str, int, str, str]]:
        """Return the rows of ``split.csv``: path, sha256, label, subset, group.

        The subset is train, test, calibration, tuning or unused; for other files, with label -1, it
        is ``mask`` (ground truth of test images) or ``unreadable`` (skipped images and masks). The
        group is empty if no groups were asked for.
        """
        subsets, rows = self.split.subsets(), []
        for i, sample in enumerate(self.samples):
            group = "" if sample.group is None else self.groups[i]
            rows.append((sample.path, self.sha256[i], sample.label, subsets[i], group))
        for path, sha256 in self.other_sha256.items():
            rows.append((path, sha256, -1, "unreadable" if path in self.unreadable else "mask", ""))
        return sorted(rows)

    @property
    def trained_labels(self) -> list[int]:
        """Labels of the classes that training batches hold."""
        return [_LABELS[name] for name in self.classes]

    def train_indices(self, label: int) -> list[int]:
        """Return the training images of a class, as indices into ``samples``."""
        return [i for i in self.split.train if self.samples[i].label == label]

    def train_dataloader(self) -> Iterable[Batch]:
        """Return the training batches; for a GPU, print where the images are kept."""
        if self.trainer is None:
            return self.training_batches(torch.device("cpu"))
        rank = self.trainer.global_rank
        return self.training_batches(
            self.trainer.strategy.root_device, self.trainer.world_size, rank, announce=rank == 0
        )

    def training_batches(
        self, device: torch.device, ranks: int = 1, rank: int = 0, *, announce: bool = False
    ) -> Iterable[Batch]:
        """Return unpaired batches, to be augmented by :meth:`augment`.

        Args:
            device: Device of the training; a GPU gets batches in its own memory.
            ranks: Number of processes that train together.
            rank: Rank of this process.
            announce: Whether to print where the images are kept for a GPU.

        Returns:
            Batches of ``<class>``, (N, C, H, W) uint8, and ``<class>_symmetry``, (N,) int64 (the
            code of a transformation with ``affine``), for each of ``classes``. One iteration is one
            epoch, that of its ``sampler``.

        Raises:
            UserError: With ``images_on=device``, if the images do not fit into its memory.
        """
        sampler = PairSampler(
            {name: np.array(self.train_indices(_LABELS[name])) for name in self.classes},
            copies=self.copies_per_epoch,
            augmentation=self.augmentation,
            batch_size=self.batch_size,
            seed=self.seed,
            ranks=ranks,
            rank=rank,
        )
        batches, place = make_batches(device, self.images, self.rows, sampler, self.images_on)
        if announce and place:
            print(f"{self.dataset_name}: {place}")
        return batches

    def augment(self, batch: Batch, dtype: torch.dtype = torch.float32) -> Batch:
        """Transform the images of a training batch and scale them to [-1, 1], on its device."""
        if self.augmentation == "affine":
            return {
                name: transform(to_signed_range(batch[name]), batch[f"{name}_symmetry"]).to(dtype)
                for name in self.classes
            }
        return {
            name: to_signed_range(dihedral(batch[name], batch[f"{name}_symmetry"])).to(dtype)
            for name in self.classes
        }

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment a training batch, in the precision of the weights."""
        if not all(f"{name}_symmetry" in batch for name in self.classes):
            return batch
        assert self.trainer is not None
        dtype: Any = self.trainer.lightning_module.dtype  # float64 with trainer.precision=64-true
        return self.augment(batch, dtype)

    def images_at(self, indices: Collection[int]) -> Tensor:
        """Return images by index into ``samples``, (N, C, H, W) float32 in [-1, 1]."""
        return to_signed_range(gather(self.images, self.rows[list(indices)]))

    def test_image_of_path(self, path: str) -> Tensor:
        """Return a test image by its path, (C, H, W) float32 in [-1, 1]."""
        return self.images_at([i for i in self.split.test if self.samples[i].path == path])[0]

    def ground_truth(self, index: int) -> np.ndarray | None:
        """Return the mask of an image, (H, W) bool, all False if it is normal; None if unknown."""
        if self.samples[index].label == 0:
            return np.zeros((self.size_px, self.size_px), bool)
        return self.masks.truth.get(index)
