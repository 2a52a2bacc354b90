"""How the paper trained: sizes of its datasets (Table 1) and the settings behind its figures."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.settings import Settings, read_settings

# Of all methods but CycleGAN, which the paper has at two.
_RESOLUTION_PX = 256
# Where a default of this program is not what the paper did.
_OTHER_THAN_DEFAULT = ("trainer.precision=32-true", "dataset.embedding_images=null")


@dataclass(frozen=True, slots=True)
class PaperSizes:
    """How many images of a dataset the paper trains and tests on.

    Attributes:
        train_normal: As Table 1 prints it.
        train_abnormal: As Table 1 prints it.
        test_normal: As Table 1 prints it.
        test_abnormal: As Table 1 prints it.
        behind_table2: Test images of each class that the accuracies of Table 2 fit.
        note: Why the two differ, or how many images there are; may be empty.
    """

    train_normal: int
    train_abnormal: int
    test_normal: int
    test_abnormal: int
    behind_table2: int
    note: str


@cache
def paper_table1() -> dict[str, PaperSizes]:
    """Sizes of the paper by name of the dataset, in its order."""
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
    """All settings of a training as the paper did it, composed from ``conf/``.

    The defaults there are the paper's and, where its text is silent or says otherwise, those of
    its published code. It names no precision; float32 is what such code computes in.

    Args:
        method: ``cyclegan``, ``ganomaly``, ``padim`` or ``patchcore``.
        dataset: One of `paper_table1`.
        resolution: Side of the images in pixels; of CycleGAN only, the others have 256.
    """
    size_px = resolution if METHODS[method].row_per_resolution else _RESOLUTION_PX
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from cyclegan_ad.composing import conf_dir, register_resolvers, resolve

    register_resolvers()
    words = [f"method={method}", f"dataset={dataset}", f"resolution={size_px}"]
    # Within a command Hydra is initialised already, for the settings of that command.
    of_command = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), job_name="train", version_base="1.3"):
            composed = compose("train", [*words, *_OTHER_THAN_DEFAULT])
    finally:
        GlobalHydra.instance().hydra = of_command
    return read_settings(Settings, resolve(composed))
