"""Fixtures shared by the whole suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cyclegan_ad  # noqa: F401  (first: it lets torchvision be imported beside a CPU build of torch)

# Too large for tests/golden.
KEPT_BESIDE = ("training_step_rgb.npz",)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Path]:
    """Gives a file of numbers computed once with the paper authors' published code, by its name.

    What ``tests/golden`` does not hold may lie beside the checkout; where it does not, the test
    that asks for it is skipped.
    """
    tests = Path(__file__).resolve().parent
    beside = tests.parents[1] / "shared" / "golden"

    def find(name: str) -> Path:
        if (tests / "golden" / name).is_file():
            return tests / "golden" / name
        if name not in KEPT_BESIDE:
            pytest.fail(f"tests/golden/{name} is missing: this checkout is not complete")
        if not (beside / name).is_file():
            pytest.skip(f"{name} is not in ../shared/golden, beside the checkout")
        return beside / name

    return find


@pytest.fixture(scope="session")
def inception_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in place of pytorch-fid's; use them through ``torch_home``."""
    from experiments.random_inception import write_random_inception

    return write_random_inception(tmp_path_factory.mktemp("torch_home"))


@pytest.fixture
def torch_home(inception_stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make torch find the random Inception weights; gives the folder."""
    from experiments.random_inception import address_of

    home = inception_stand_in.parents[2]
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr("pytorch_fid.inception.FID_WEIGHTS_URL", address_of(inception_stand_in))
    return home
