"""Sizes of the paper's datasets (Table 1) and the settings of its trainings."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.reference.table2 import RESOLUTION_PX
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings

# Settings of the paper that are not the defaults here.
_NOT_DEFAULT = ("trainer.precision=32-true", "dataset.embedding_images=null")


@dataclass(frozen=True, slots=True)
class PaperSizes:
    """Number of images of a dataset that the paper trains and tests on.

    Attributes:
        train_normal: Normal training images in Table 1.
        train_abnormal: Abnormal training images in Table 1.
        test_normal: Normal test images in Table 1.
        test_abnormal: Abnormal test images in Table 1.
        behind_table2: Test images of each class that the accuracies of Table 2 are fractions of.
        note: Reason of a difference, or the size of the dataset; may be empty.
    """

    train_normal: int
    train_abnormal: int
    test_normal: int
    test_abnormal: int
    behind_table2: int
    note: str


@cache
def paper_table1() -> dict[str, PaperSizes]:
    """Read the sizes of Table 1, by name of the dataset in the paper's order."""
    source = resources.files("cyclegan_ad") / "reference" / "paper_table1.csv"
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return {
        row["dataset"]: PaperSizes(
            train_normal=int(row["train_normal"]),
            train_abnormal=int(row["train_abnormal"]),
            test_normal=int(row["test_normal"]),
            test_abnormal=int(row["test_abnormal"]),
            behind_table2=int(row["test_per_class_behind_table2"]),
            note=row["note"],
        )
        for row in rows
    }


@cache
def paper_settings(method: str, dataset: str, resolution: int) -> Settings:
    """Compose all settings of a training in the paper from ``conf/``.

    The defaults there follow the paper and, where its text is silent or contradicts it, its
    published code. The paper names no precision; such code computes in float32.

    Args:
        method: ``cyclegan``, ``ganomaly``, ``padim`` or ``patchcore``.
        dataset: Name of a dataset in `paper_table1`.
        resolution: Side of the images in pixels; used for CycleGAN only, the others have 256.
    """
    size_px = resolution if METHODS[method].row_per_resolution else RESOLUTION_PX
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from cyclegan_ad.settings.composing import conf_dir, register_resolvers, resolve

    register_resolvers()
    words = [f"method={method}", f"dataset={dataset}", f"resolution={size_px}"]
    # Within a command, Hydra is already initialised with the settings of that command.
    of_command = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), job_name="train", version_base="1.3"):
            composed = compose("train", [*words, *_NOT_DEFAULT])
    finally:
        GlobalHydra.instance().hydra = of_command
    return read_settings(Settings, resolve(composed))
