"""Anomaly detection with a CycleGAN, for the case where no defect may be missed.

A CycleGAN is trained between normal and abnormal images; a test image is translated to its normal
version, the difference is scored, and the threshold is set so that no abnormal image passes.

Importing the package loads neither torch nor any other heavy library, so ``--help`` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cyclegan_ad.torchvision_compat import install_import_hook

if TYPE_CHECKING:
    from cyclegan_ad.detector.detect import Detector
    from cyclegan_ad.detector.load import load_detector
    from cyclegan_ad.detector.prediction import Prediction
    from cyclegan_ad.errors import UserError
    from cyclegan_ad.finished_run import Run, read_run
    from cyclegan_ad.train import train

__version__ = "0.1.0"
__all__ = ["Detector", "Prediction", "Run", "UserError", "load_detector", "read_run", "train"]

_MODULES = {
    "Detector": "detector.detect",
    "Prediction": "detector.prediction",
    "Run": "finished_run",
    "UserError": "errors",
    "load_detector": "detector.load",
    "read_run": "finished_run",
}

install_import_hook()


def __getattr__(name: str) -> Any:
    """Import a name of the package on first use; ``train`` is a module that can be called."""
    if name == "train":
        return import_module("cyclegan_ad.train")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"cyclegan_ad.{_MODULES[name]}"), name)
