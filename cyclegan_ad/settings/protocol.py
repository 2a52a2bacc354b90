"""Settings ``protocol.*``: the images that thresholds are set on."""

from typing import Annotated, Literal, Self

from pydantic import model_validator

from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.types import SAME_TRAINING, Folds, Group, Share, ShareAboveZero
from cyclegan_ad.text import as_typed

ProtocolName = Literal["paper", "crossfit", "calibrated", "crossval", "quantile"]
TestedProtocol = Literal["paper", "crossfit", "calibrated", "crossval"]
"""Protocols with abnormal test images, which have accuracies."""
TrainingFolds = Folds | Literal["leave_one_out"]

# Why protocol.calibration_fraction may not be 0.
_HELD_OUT = {
    "calibrated": "calibration images",
    "quantile": "normal images kept out of training",
}


class Protocol(Group):
    """``protocol.*``: the images that the threshold is set on."""

    name: Annotated[ProtocolName, SAME_TRAINING]
    folds: Annotated[Folds, SAME_TRAINING]
    margin: Annotated[Share, SAME_TRAINING]
    confidence: Annotated[ShareAboveZero, SAME_TRAINING]
    calibration_fraction: Share
    false_alarm_rate: Annotated[ShareAboveZero, SAME_TRAINING]
    crossval_folds: Annotated[TrainingFolds, SAME_TRAINING]

    @property
    def normal_only(self) -> bool:
        """Whether the dataset has no abnormal images, so that there is no test."""
        return self.name == "quantile"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name in _HELD_OUT and self.calibration_fraction == 0:
            raise UserError(
                f"invalid protocol.calibration_fraction=0: protocol={self.name} needs "
                f"{_HELD_OUT[self.name]}; expected a number > 0 and < 1"
            )
        if self.name in ("paper", "quantile") and self.margin > 0:
            raise UserError(
                f"invalid protocol.margin={as_typed(self.margin)}: the thresholds of "
                f"protocol={self.name} have no margin; use protocol=crossfit, calibrated or "
                "crossval"
            )
        return self
