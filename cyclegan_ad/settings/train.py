"""Typed, frozen settings of a training, validated without accessing files.

Defaults are in ``conf/`` only. A field marked ``SAME_TRAINING`` may change when a run is resumed,
such as the folder of the images, whose hashes are in ``split.csv``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import FUSED, METHODS, NORMAL_ONLY
from cyclegan_ad.methods.names import Method as MethodEntry
from cyclegan_ad.pretrained.names import Extractor
from cyclegan_ad.scoring.names import (
    Precision,
    ScoreColumn,
    Tta,
    check_method_scores,
    check_score_names,
)
from cyclegan_ad.settings.dataset import Dataset
from cyclegan_ad.settings.method import (
    CycleGAN,
    GANomaly,
    LinearProbe,
    PaDiM,
    PatchCore,
    ProbeBackboneName,
)
from cyclegan_ad.settings.protocol import Protocol
from cyclegan_ad.settings.types import (
    SAME_TRAINING,
    SAME_TYPE,
    AboveZero,
    Count,
    FolderName,
    Group,
    PathSetting,
    Positive,
    Seed,
    Strings,
    fields_of,
)
from cyclegan_ad.text import as_typed

SMALLEST_SIZE_PX = 32  # the last layers of the discriminator need 2 x 2 patches

Accelerator = Literal["auto", "cpu", "gpu"]
ScoreNames = Annotated[Strings, AfterValidator(check_score_names)]


def _size(size_px: int) -> int:
    if size_px % 4:
        raise ValueError(
            f"expected a multiple of 4 >= {SMALLEST_SIZE_PX} (the generator downsamples twice)"
        )
    return size_px


class Score(Group):
    """``score.*``: the anomaly scores."""

    names: ScoreNames
    extractor: Extractor
    peak_sigma_px: AboveZero
    tta: Tta
    precision: Precision
    batch_size: Positive

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """The columns of ``scores.csv`` to compute."""
        return tuple(
            ScoreColumn.of(
                name,
                extractor=self.extractor,
                peak_sigma_px=self.peak_sigma_px,
                tta=self.tta,
                precision=self.precision,
            )
            for name in self.names
        )


class Trainer(Group):
    """``trainer.*``: epochs, device, precision and speed of the training."""

    max_epochs: Positive
    accelerator: Annotated[Accelerator, SAME_TRAINING]
    devices: Literal["auto"] | Positive
    strategy: Annotated[Literal["auto", "ddp"], SAME_TRAINING]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true"]
    compile: Annotated[Literal["auto", True, False], SAME_TYPE, SAME_TRAINING]
    compile_mode: Annotated[Literal["default", "reduce-overhead", "max-autotune"], SAME_TRAINING]
    activation_checkpointing: Annotated[bool, SAME_TRAINING]
    log_every_n_steps: Annotated[Positive, SAME_TRAINING]
    checkpoint_every_n_epochs: Annotated[Positive, SAME_TRAINING]
    snapshot_every_n_epochs: Annotated[Count, SAME_TRAINING]
    auroc_every_n_epochs: Annotated[Count, SAME_TRAINING]

    @property
    def processes(self) -> int:
        """Number of training processes, once ``auto`` is resolved."""
        assert self.devices != "auto"
        return self.devices


class WandbLogger(Group):
    """``logger.*`` with ``logger=wandb``."""

    kind: Literal["wandb"]
    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline", "disabled"]
    log_detector: bool


class LocalLogger(Group):
    """``logger.*`` with a logger that writes to the run directory only."""

    kind: Literal["csv", "tensorboard", "none"]


class Settings(Group):
    """All settings of a training command (``conf/train.yaml``).

    ``null`` values of ``method.*`` are replaced, so that a default may be given explicitly.
    """

    resolution: Annotated[int, Field(ge=SMALLEST_SIZE_PX, le=2**31 - 1), AfterValidator(_size)]
    seed: Seed
    data_dir: Annotated[PathSetting, SAME_TRAINING]
    cache_dir: Annotated[PathSetting, SAME_TRAINING]
    runs: Annotated[PathSetting, SAME_TRAINING]
    run_name: Annotated[FolderName | int | None, SAME_TRAINING]
    backbone: Annotated[ProbeBackboneName | None, SAME_TRAINING]
    overwrite: Annotated[bool, SAME_TRAINING]
    dataset: Dataset
    score: Annotated[Score, SAME_TRAINING]
    protocol: Protocol
    trainer: Trainer
    method: Annotated[
        CycleGAN | GANomaly | PaDiM | PatchCore | LinearProbe, Field(discriminator="name")
    ]
    logger: Annotated[WandbLogger | LocalLogger, Field(discriminator="kind"), SAME_TRAINING]

    @property
    def entry(self) -> MethodEntry:
        """Properties of the method."""
        return METHODS[self.method.name]

    @property
    def tuning_fraction(self) -> float:
        """Share of the training images kept out of the training of networks."""
        return self.method.tuning_fraction if isinstance(self.method, CycleGAN) else 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        trainer = self.trainer
        check_method_scores(self.method.name, self.score.names)
        if self.tuning_fraction == 0 and any(name in FUSED for name in self.score.names):
            raise UserError(
                f"invalid score.names={as_typed(self.score.names)}: a fused score is fitted to "
                "images that the networks did not train on, and method.tuning_fraction=0 keeps "
                "none; train with method.tuning_fraction=0.25, as method=cyclegan_plus does, "
                "or use score=signals"
            )
        if self.protocol.normal_only and "abnormal" in self.entry.train_classes:
            raise UserError(
                f"invalid protocol=quantile: method={self.method.name} trains on abnormal images "
                f"too, and this protocol has none; use method={NORMAL_ONLY}"
            )
        if self.protocol.normal_only and self.dataset.max_abnormal is not None:
            raise UserError(
                f"invalid dataset.max_abnormal={self.dataset.max_abnormal}: protocol=quantile is "
                "for datasets without abnormal images; remove one of the two"
            )
        if (
            self.protocol.name == "crossval"
            and "abnormal" in self.entry.train_classes
            and not self.entry.refits
        ):
            raise UserError(
                f"invalid protocol=crossval: method={self.method.name} trains on abnormal images "
                "and takes too long to be trained again without some of them; use "
                "protocol=calibrated, or another method"
            )
        if self.score.peak_sigma_px > self.resolution:
            raise UserError(
                f"invalid score.peak_sigma_px={as_typed(self.score.peak_sigma_px)}: expected a "
                f"number > 0 and <= resolution={self.resolution}"
            )
        if self.entry.fitted and trainer.max_epochs != 1:
            raise UserError(
                f"invalid trainer.max_epochs={trainer.max_epochs}: method={self.method.name} is "
                "fitted in one pass; remove the setting"
            )
        one = not self.entry.fitted and trainer.strategy != "ddp"
        if one and trainer.devices not in ("auto", 1):
            raise UserError(
                f"invalid trainer.devices={trainer.devices}: several devices need several "
                "processes; add trainer=ddp"
            )
        if trainer.accelerator == "cpu" and trainer.precision == "16-mixed":
            raise UserError(
                "invalid trainer.precision=16-mixed: it needs a GPU; use bf16-mixed or 32-true"
            )
        if not isinstance(self.method, CycleGAN):
            return self
        side = self.resolution / self.method.downsampling
        if side < SMALLEST_SIZE_PX or side % 4:
            raise UserError(
                f"invalid method.downsampling={self.method.downsampling} with resolution="
                f"{self.resolution}: expected a divisor that leaves a multiple of 4 >= "
                f"{SMALLEST_SIZE_PX}"
            )
        start = self.method.decay_start_epoch
        if start is None:
            start = trainer.max_epochs // 2
        elif start > trainer.max_epochs:
            raise UserError(
                f"invalid method.decay_start_epoch={start}: expected null (the middle) or an "
                f"integer from 0 to trainer.max_epochs={trainer.max_epochs}"
            )
        changes = {"method": self.method.model_copy(update={"decay_start_epoch": start})}
        return self.model_copy(update=changes)

    def training(self) -> dict[str, Any]:
        """Return the settings that are fixed when a run is resumed: dotted name -> value."""
        return {name: value for name, value in self.flat().items() if name in _TRAINING}


_TRAINING = frozenset(name for name, _, training in fields_of(Settings) if training)


def makes_another_training(name: str) -> bool:
    """Whether a setting is fixed when a run is resumed."""
    return name in _TRAINING


def training_differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[str, object, object]]:
    """List the differences of two :meth:`Settings.training`: (name, old value, new value)."""
    pairs = [(key, old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys())]
    return [pair for pair in pairs if pair[1] != pair[2]]
