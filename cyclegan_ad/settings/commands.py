"""Typed settings of ``evaluate``, ``report`` and ``dashboard``; the settings of each command."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from cyclegan_ad.errors import UserError
from cyclegan_ad.optional_packages import EXPORT_SUFFIXES
from cyclegan_ad.pretrained.names import Extractor
from cyclegan_ad.scoring.names import Precision, Tta
from cyclegan_ad.settings.protocol import ProtocolName, TestedProtocol, TrainingFolds
from cyclegan_ad.settings.train import Accelerator, ScoreNames, Settings
from cyclegan_ad.settings.types import (
    AboveZero,
    Folds,
    Group,
    PathSetting,
    Positive,
    Share,
    ShareAboveZero,
    Strings,
    expected,
    fields_of,
)
from cyclegan_ad.text import as_typed


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
    false_alarm_rate: ShareAboveZero | None
    crossval_folds: TrainingFolds | None


class EvaluateSettings(Group):
    """All settings of ``conf/evaluate.yaml``."""

    run: PathSetting
    data_dir: PathSetting | None
    root: PathSetting | None
    table: PathSetting | None
    cache_dir: PathSetting | None
    accelerator: Accelerator
    score: ScoreChanges
    protocol: ProtocolChanges


class DecideBy(Group):
    """``decide_by.*`` of several commands, also typed without ``decide_by.``."""

    score: str | None
    protocol: str | None
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.threshold is not None and self.protocol is not None:
            raise UserError(
                f"invalid threshold={as_typed(self.threshold)} with protocol={self.protocol}: use "
                "one of the two"
            )
        return self


class DriftSettings(Group):
    """``drift.*`` of ``predict`` and ``inspector``."""

    enabled: bool
    images_per_false_warning: Positive
    reset: Literal["reference", "images"] | None

    @model_validator(mode="before")
    @classmethod
    def _is_group(cls, values: Any) -> Any:
        if isinstance(values, bool):
            typed = as_typed(values)
            raise UserError(f"invalid drift={typed}: use drift.enabled={typed}")
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reset is not None and not self.enabled:
            raise UserError(
                f"invalid drift.reset={self.reset} with drift.enabled=false: leave one of them out"
            )
        return self


class PredictSettings(Group):
    """All settings of ``conf/predict.yaml``."""

    detector: PathSetting
    images: PathSetting
    out: PathSetting
    decide_by: DecideBy
    overlays: Literal["none", "abnormal", "all", "nearest"]
    nearest: Positive
    watch: bool
    watch_interval_s: AboveZero
    watch_stop_after_s: AboveZero | None
    overwrite: bool
    drift: DriftSettings
    accelerator: Accelerator


class ExportSettings(Group):
    """All settings of ``conf/export.yaml``."""

    detector: PathSetting
    format: Literal["onnx", "openvino", "torch_export"]
    out: PathSetting | None
    images: PathSetting | None
    decide_by: DecideBy

    @model_validator(mode="after")
    def _check(self) -> Self:
        suffix = EXPORT_SUFFIXES[self.format]
        if self.out is not None and self.out.suffix != suffix:
            raise UserError(
                f"invalid out={as_typed(str(self.out))} with format={self.format}: expected a name "
                f"that ends in {suffix}"
            )
        return self


class CalibrateSettings(Group):
    """All settings of ``conf/calibrate.yaml``."""

    detector: PathSetting
    images: PathSetting | None
    withdraw: Annotated[str, Field(min_length=1)] | None
    miss_rate: ShareAboveZero | None
    false_alarm_rate: ShareAboveZero | None
    confidence: ShareAboveZero
    reject_normal: Share | None
    prevalence: ShareAboveZero | None
    allow_weaker_bound: bool
    dry_run: bool
    decide_by: DecideBy
    accelerator: Accelerator

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.images is None and self.withdraw is None:
            raise UserError(
                "invalid images=null: expected labelled images, images=PATH; or withdraw an escape "
                "that was reported by mistake, withdraw=FILE"
            )
        if self.images is not None and self.withdraw is not None:
            raise UserError(
                f"invalid withdraw={self.withdraw} with images={as_typed(str(self.images))}: use "
                "one of the two; withdraw first"
            )
        if self.miss_rate is not None and self.false_alarm_rate is not None:
            raise UserError(
                f"invalid miss_rate={as_typed(self.miss_rate)} with false_alarm_rate="
                f"{as_typed(self.false_alarm_rate)}: one threshold has one aim; use one of the two"
            )
        return self


class InspectorSettings(Group):
    """All settings of ``conf/inspector.yaml``."""

    detector: PathSetting
    images: PathSetting | None
    out: PathSetting
    decide_by: DecideBy
    drift: DriftSettings
    prevalence: ShareAboveZero
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=0, le=65535)]
    allow_network: bool
    open_browser: bool
    max_upload_bytes: Positive
    max_pixels: Positive
    accelerator: Accelerator


class ReportProtocol(Group):
    """``protocol.*`` of ``report``."""

    name: TestedProtocol | None

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
    columns: Annotated[Strings, Field(min_length=1)] | None
    runs: PathSetting
    dry_run: bool


COMMANDS: dict[str, type[Group]] = {
    "train": Settings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "export": ExportSettings,
    "calibrate": CalibrateSettings,
    "inspector": InspectorSettings,
    "report": ReportSettings,
    "dashboard": DashboardSettings,
}


# Settings whose value is a single string or path, which may contain commas.
STRINGS = frozenset(
    name
    for model in COMMANDS.values()
    for name, annotation, _ in fields_of(model)
    if "a string" in expected(annotation) or "a path" in expected(annotation)
)
