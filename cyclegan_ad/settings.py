"""Typed, frozen settings of the commands, validated without accessing files.

Defaults are in ``conf/`` only. A field marked ``SAME_TRAINING`` may change when a run is resumed,
such as the folder of the images, whose hashes are in ``split.csv``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.methods.names import Method as MethodEntry
from cyclegan_ad.pretrained.names import (
    BACKBONES,
    EXTRACTOR_NAMES,
    check_features,
    check_layers,
)
from cyclegan_ad.scoring.names import (
    SCORE_PRECISIONS,
    TTA_NAMES,
    ScoreColumn,
    check_method_scores,
    check_score_names,
)
from cyclegan_ad.setting_types import (
    SAME_TRAINING,
    AboveZero,
    Count,
    FolderName,
    Folds,
    Group,
    PathSetting,
    Positive,
    Ratio,
    Seed,
    Share,
    ShareAboveZero,
    Strings,
    Weight,
    choice,
    expected,
    fields_of,
    read_settings,
)
from cyclegan_ad.text import as_typed

SMALLEST_SIZE_PX = 32  # the last layers of the discriminator need 2 x 2 patches

ProtocolName = Literal["paper", "crossfit", "calibrated"]
Accelerator = Literal["auto", "cpu", "gpu"]
if TYPE_CHECKING:
    Extractor: TypeAlias = str
    Tta: TypeAlias = str
    Precision: TypeAlias = str
    BackboneName: TypeAlias = str
    Channels: TypeAlias = int
    Compile: TypeAlias = Literal["auto"] | bool
else:
    Extractor = Literal[EXTRACTOR_NAMES]
    Tta = Literal[TTA_NAMES]
    Precision = Literal[SCORE_PRECISIONS]
    BackboneName = Literal[tuple(BACKBONES)]
    Channels = choice(1, 3)
    Compile = choice("auto", True, False)
ScoreNames = Annotated[Strings, AfterValidator(check_score_names)]


def residual_blocks_at(resolution: int) -> int:
    """Return the residual blocks of a generator: 9 from 256 px up, 6 below (Sec. 2.2).

    >>> residual_blocks_at(64), residual_blocks_at(128), residual_blocks_at(256)
    (6, 6, 9)
    """
    return 9 if resolution >= 256 else 6


def _size(size_px: int) -> int:
    if size_px % 4:
        raise ValueError(
            f"expected a multiple of 4 >= {SMALLEST_SIZE_PX} (the generator downsamples twice)"
        )
    return size_px


class Dataset(Group):
    """``dataset.*``: the images, their augmentation, batches and storage."""

    name: FolderName
    layout: Literal["mvtec", "brain_mri", "breast_ultrasound", "retina_oct", "folder"]
    root: Annotated[PathSetting | None, SAME_TRAINING]
    folders: Annotated[Strings, SAME_TRAINING]
    source: Annotated[str, SAME_TRAINING]
    channels: Channels
    augmentation: Literal["dihedral", "flip", "none"]
    copies_per_epoch: Positive
    batch_size: Positive
    exclude: Annotated[PathSetting | None, SAME_TRAINING]
    skip_unreadable: bool
    storage: Annotated[Literal["auto", "memory", "disk"], SAME_TRAINING]
    memory_limit_mib: Annotated[Count, SAME_TRAINING]
    images_on: Annotated[Literal["auto", "device", "host"], SAME_TRAINING]
    # Defaults of method.*, trainer.* and score.*, which are compared instead.
    max_epochs: Annotated[Positive, SAME_TRAINING]
    base_channels: Annotated[Positive, SAME_TRAINING]
    learning_rate: Annotated[Weight, SAME_TRAINING]
    embedding_images: Annotated[Positive | None, SAME_TRAINING]
    scores: Annotated[Strings, SAME_TRAINING]


class Generator(Group):
    """``method.generator.*``."""

    base_channels: Positive
    residual_blocks: Positive


class Discriminator(Group):
    """``method.discriminator.*``."""

    base_channels: Positive


class _Method(Group):
    scores: Annotated[Strings, SAME_TRAINING]


class _Gradient(_Method):
    learning_rate: Weight
    betas: Annotated[tuple[Share, Share], Field(strict=False)]


class CycleGAN(_Gradient):
    """``method.*`` with ``method=cyclegan``."""

    name: Literal["cyclegan"]
    generator: Generator
    discriminator: Discriminator
    adversarial_loss: Literal["least_squares", "log"]
    lambda_cyc: Weight
    lambda_ide: Weight
    decay_start_epoch: Count | None
    pool_size: Count


class GANomaly(_Gradient):
    """``method.*`` with ``method=ganomaly``."""

    name: Literal["ganomaly"]
    base_channels: Positive
    latent_size: Positive
    lambda_adv: Weight
    lambda_con: Weight
    lambda_enc: Weight


class _Embedding(_Method):
    backbone: BackboneName
    layers: Strings | None
    pretrained: bool
    weights_path: PathSetting | None
    max_train_images: Positive | None
    # Not a user setting: SHA-256 of the file weights_path, recorded by cli.preflight.
    weights_sha256: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.layers is not None:
            check_layers(BACKBONES[self.backbone], self.layers)
        if self.weights_path is not None and not self.pretrained:
            raise UserError(
                f"invalid method.weights_path={self.weights_path}: method.pretrained=false uses no "
                "weights; remove one of the two"
            )
        return self


class PaDiM(_Embedding):
    """``method.*`` with ``method=padim``."""

    name: Literal["padim"]
    n_features: Positive | None

    @model_validator(mode="after")
    def _check_features(self) -> Self:
        backbone = BACKBONES[self.backbone]
        check_features(backbone, self.layers or backbone.padim_layers, self.n_features)
        return self


class PatchCore(_Embedding):
    """``method.*`` with ``method=patchcore``."""

    name: Literal["patchcore"]
    coreset_ratio: Ratio
    n_neighbors: Positive


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


class Protocol(Group):
    """``protocol.*``: the images that the threshold is set on."""

    name: Annotated[ProtocolName, SAME_TRAINING]
    folds: Annotated[Folds, SAME_TRAINING]
    margin: Annotated[Share, SAME_TRAINING]
    confidence: Annotated[ShareAboveZero, SAME_TRAINING]
    calibration_fraction: Share

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name == "calibrated" and self.calibration_fraction == 0:
            raise UserError(
                "invalid protocol.calibration_fraction=0: protocol=calibrated needs calibration "
                "images; expected a number > 0 and < 1"
            )
        if self.name == "paper" and self.margin > 0:
            raise UserError(
                f"invalid protocol.margin={as_typed(self.margin)}: the thresholds of "
                "protocol=paper have no margin; use protocol=crossfit or protocol=calibrated"
            )
        return self


class Trainer(Group):
    """``trainer.*``: epochs, device, precision and speed of the training."""

    max_epochs: Positive
    accelerator: Annotated[Accelerator, SAME_TRAINING]
    devices: Literal["auto"] | Positive
    strategy: Annotated[Literal["auto", "ddp"], SAME_TRAINING]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true"]
    compile: Annotated[Compile, SAME_TRAINING]
    compile_mode: Annotated[Literal["default", "reduce-overhead", "max-autotune"], SAME_TRAINING]
    activation_checkpointing: Annotated[bool, SAME_TRAINING]
    log_every_n_steps: Annotated[Positive, SAME_TRAINING]
    checkpoint_every_n_epochs: Annotated[Positive, SAME_TRAINING]
    snapshot_every_n_epochs: Annotated[Count, SAME_TRAINING]

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


class LocalLogger(Group):
    """``logger.*`` with a logger that writes to the run directory only."""

    kind: Literal["csv", "tensorboard", "none"]


class Settings(Group):
    """All settings of a training command (``conf/train.yaml``).

    ``null`` values are replaced by the default of the method, so that setting this default
    explicitly does not change the training.
    """

    resolution: Annotated[int, Field(ge=SMALLEST_SIZE_PX, le=2**31 - 1), AfterValidator(_size)]
    seed: Seed
    data_dir: Annotated[PathSetting, SAME_TRAINING]
    cache_dir: Annotated[PathSetting, SAME_TRAINING]
    runs: Annotated[PathSetting, SAME_TRAINING]
    run_name: Annotated[FolderName | int | None, SAME_TRAINING]
    backbone: Annotated[BackboneName | None, SAME_TRAINING]
    overwrite: Annotated[bool, SAME_TRAINING]
    dataset: Dataset
    score: Annotated[Score, SAME_TRAINING]
    protocol: Protocol
    trainer: Trainer
    method: Annotated[CycleGAN | GANomaly | PaDiM | PatchCore, Field(discriminator="name")]
    logger: Annotated[WandbLogger | LocalLogger, Field(discriminator="kind"), SAME_TRAINING]

    @property
    def entry(self) -> MethodEntry:
        """Properties of the method."""
        return METHODS[self.method.name]

    @model_validator(mode="after")
    def _check(self) -> Self:
        trainer, name = self.trainer, self.method.name
        check_method_scores(name, self.score.names)
        if self.score.peak_sigma_px > self.resolution:
            raise UserError(
                f"invalid score.peak_sigma_px={as_typed(self.score.peak_sigma_px)}: expected a "
                f"number > 0 and <= resolution={self.resolution}"
            )
        if self.entry.fitted and trainer.max_epochs != 1:
            raise UserError(
                f"invalid trainer.max_epochs={trainer.max_epochs}: method={name} is fitted in one "
                "pass; remove the setting"
            )
        may_have_several = self.entry.fitted or trainer.strategy == "ddp"
        if not may_have_several and trainer.devices not in ("auto", 1):
            raise UserError(
                f"invalid trainer.devices={trainer.devices}: several devices need several "
                "processes; add trainer=ddp"
            )
        if trainer.accelerator == "cpu" and trainer.precision == "16-mixed":
            raise UserError(
                "invalid trainer.precision=16-mixed: it needs a GPU; use bf16-mixed or 32-true"
            )
        if isinstance(self.method, CycleGAN):
            start = self.method.decay_start_epoch
            if start is not None and start > trainer.max_epochs:
                raise UserError(
                    f"invalid method.decay_start_epoch={start}: expected null (the middle) or an "
                    f"integer from 0 to trainer.max_epochs={trainer.max_epochs}"
                )
        return self._with_defaults_of_method()

    def _with_defaults_of_method(self) -> Self:
        changes: dict[str, Any] = {}
        match self.method:
            case CycleGAN(decay_start_epoch=None):
                changes = {"decay_start_epoch": self.trainer.max_epochs // 2}
            case PaDiM(backbone=backbone, layers=layers, n_features=n_features):
                layers = layers or BACKBONES[backbone].padim_layers
                n_features = check_features(BACKBONES[backbone], layers, n_features)
                changes = {"layers": layers, "n_features": n_features}
            case PatchCore(backbone=backbone, layers=None):
                changes = {"layers": BACKBONES[backbone].patchcore_layers}
        if not changes:
            return self
        return self.model_copy(update={"method": self.method.model_copy(update=changes)})

    def training(self) -> dict[str, Any]:
        """Return the settings that are fixed when a run is resumed: dotted name -> value."""
        return {name: value for name, value in self.flat().items() if name in _TRAINING}


_TRAINING = frozenset(name for name, _, training in fields_of(Settings) if training)


def makes_another_training(name: str) -> bool:
    """Whether a setting is fixed when a run is resumed.

    >>> makes_another_training("seed"), makes_another_training("trainer.compile")
    (True, False)
    """
    return name in _TRAINING


def training_differences(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[str, object, object]]:
    """List the settings in which two trainings differ, as (name, old value, new value).

    Args:
        old: As returned by :meth:`Settings.training`.
        new: Likewise.
    """
    return [
        (key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


class ScoreChanges(Group):
    """``score.*`` of ``evaluate``; null: the value of the run."""

    names: ScoreNames | None
    extractor: Extractor | None
    peak_sigma_px: AboveZero | None
    tta: Tta | None
    precision: Precision | None
    batch_size: Positive | None


class ProtocolChanges(Group):
    """``protocol.*`` of ``evaluate``; null: the value of the run."""

    name: ProtocolName | None
    folds: Folds | None
    margin: Share | None
    confidence: ShareAboveZero | None
    calibration_fraction: Share | None


class EvaluateSettings(Group):
    """All settings of ``conf/evaluate.yaml``."""

    run: PathSetting
    data_dir: PathSetting | None
    root: PathSetting | None
    cache_dir: PathSetting | None
    accelerator: Accelerator
    score: ScoreChanges
    protocol: ProtocolChanges


class ReportProtocol(Group):
    """``protocol.*`` of ``report``."""

    name: ProtocolName | None

    @model_validator(mode="before")
    @classmethod
    def _drop_fraction(cls, values: dict[str, Any]) -> dict[str, Any]:
        # protocol=calibrated sets it; a report trains nothing.
        return {k: v for k, v in values.items() if k != "calibration_fraction"}


class ReportSettings(Group):
    """All settings of ``conf/report.yaml``."""

    runs: PathSetting
    out: PathSetting
    protocol: ReportProtocol


class DashboardSettings(Group):
    """All settings of ``conf/dashboard.yaml``."""

    entity: str | None
    project: str
    name: Annotated[str, Field(min_length=1)]
    columns: Annotated[Strings, Field(min_length=1)]
    dry_run: bool


COMMANDS: dict[str, type[Group]] = {
    "train": Settings,
    "evaluate": EvaluateSettings,
    "report": ReportSettings,
    "dashboard": DashboardSettings,
}


def read_command(name: str, raw: Mapping[str, Any]) -> Group:
    """Validate the settings of a command.

    Args:
        name: Name of the command, a key of ``COMMANDS``.
        raw: The settings as nested dictionaries, resolved.

    Raises:
        UserError: Naming the first invalid setting, its value and what was expected.
    """
    return read_settings(COMMANDS[name], raw)


# Settings whose value is a single string or path, which may contain commas.
STRINGS = frozenset(
    name
    for model in COMMANDS.values()
    for name, annotation, _ in fields_of(model)
    if "a string" in expected(annotation) or "a path" in expected(annotation)
)
