"""Typed settings ``method.*`` of each method."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from cyclegan_ad.errors import UserError
from cyclegan_ad.pretrained.names import BACKBONES, INCEPTION, check_features, check_layers
from cyclegan_ad.scoring.names import Tta
from cyclegan_ad.settings.types import (
    SAME_TRAINING,
    AboveZero,
    Count,
    Folds,
    Group,
    PathSetting,
    Positive,
    Ratio,
    Share,
    Strings,
    Weight,
)

if TYPE_CHECKING:
    BackboneName: TypeAlias = str
    ProbeBackboneName: TypeAlias = str
else:
    BackboneName = Literal[tuple(BACKBONES)]
    ProbeBackboneName = Literal[(*BACKBONES, INCEPTION)]


class Generator(Group):
    """``method.generator.*``."""

    base_channels: Positive
    residual_blocks: Positive


class Discriminator(Group):
    """``method.discriminator.*``."""

    base_channels: Positive


class _Method(Group):
    scores: Annotated[Strings, SAME_TRAINING]
    tta: Annotated[Tta, SAME_TRAINING]


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
    def _with_defaults(self) -> Self:
        backbone = BACKBONES[self.backbone]
        layers = self.layers or backbone.padim_layers
        n_features = check_features(backbone, layers, self.n_features)
        return self.model_copy(update={"layers": layers, "n_features": n_features})


class PatchCore(_Embedding):
    """``method.*`` with ``method=patchcore``."""

    name: Literal["patchcore"]
    coreset_ratio: Ratio
    n_neighbors: Positive

    @model_validator(mode="after")
    def _with_defaults(self) -> Self:
        layers = self.layers or BACKBONES[self.backbone].patchcore_layers
        return self.model_copy(update={"layers": layers})


class LinearProbe(_Method):
    """``method.*`` with ``method=linear_probe``."""

    name: Literal["linear_probe"]
    backbone: ProbeBackboneName
    weights_path: PathSetting | None
    strengths: Annotated[tuple[AboveZero, ...], Field(strict=False, min_length=1)]
    folds: Folds
    peak_fraction: Ratio
    max_train_images: Positive | None
    # Not a user setting: SHA-256 of the file weights_path, recorded by cli.preflight.
    weights_sha256: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights_path is not None and self.backbone == INCEPTION:
            raise UserError(
                f"invalid method.weights_path={self.weights_path}: method.backbone={INCEPTION} has "
                "the weights of pytorch-fid; remove one of the two"
            )
        return self
