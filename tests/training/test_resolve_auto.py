"""What auto stands for on a machine, and what of it a run that goes on keeps."""

from typing import Any

import pytest
import torch
from errors import refuses
from tiny import changed_all, check_settings, compose_settings

from cyclegan_ad.settings.train import Settings
from cyclegan_ad.training import resolve_auto as module
from cyclegan_ad.training.resolve_auto import resolve_auto


def job(method: str = "cyclegan", **trainer: Any) -> Settings:
    raw = compose_settings("train", ["dataset=screw", f"method={method}", "logger=csv"])
    return check_settings(
        changed_all(raw, {f"trainer.{name}": value for name, value in trainer.items()})
    )


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of them, which compute in bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(module, "missing_compiler", lambda device: None)


def test_nothing_is_left_to_be_decided_on_a_cpu() -> None:
    found = resolve_auto(job(accelerator="cpu", precision="32-true")).trainer
    assert (found.accelerator, found.processes, found.compile) == ("cpu", 1, False)
    assert found.precision == "32-true"
    assert resolve_auto(job(accelerator="cpu", compile=True)).trainer.compile is True


@pytest.mark.usefixtures("gpus")
def test_a_gpu_is_taken_with_bfloat16_and_compiled_networks() -> None:
    found = resolve_auto(job()).trainer
    assert (found.accelerator, found.precision, found.compile) == ("gpu", "bf16-mixed", True)
    baseline = resolve_auto(job("ganomaly")).trainer
    assert (baseline.precision, baseline.compile) == ("32-true", True)
    fitted = resolve_auto(job("padim", strategy="ddp", devices=4)).trainer
    assert (fitted.processes, fitted.compile) == (1, False)


@pytest.mark.usefixtures("gpus")
def test_a_compiler_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "missing_compiler", lambda device: "triton")
    assert resolve_auto(job()).trainer.compile is False


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"accelerator": "cpu", "strategy": "auto", "devices": 1}, 1),
        ({"accelerator": "cpu", "strategy": "auto", "devices": "auto"}, 1),
        ({"accelerator": "cpu", "strategy": "ddp", "devices": "auto"}, 1),
        ({"accelerator": "cpu", "strategy": "ddp", "devices": 3}, 3),
        ({"accelerator": "auto", "strategy": "ddp", "devices": "auto"}, 4),
        ({"accelerator": "gpu", "strategy": "ddp", "devices": 2}, 2),
    ],
)
def test_processes(trainer: dict[str, Any], expected: int) -> None:
    assert resolve_auto(job(**trainer)).trainer.processes == expected


@pytest.mark.usefixtures("gpus")
def test_more_processes_than_gpus() -> None:
    with refuses(setting="trainer.devices", value=5, facts="4 GPUs"):
        resolve_auto(job(accelerator="gpu", strategy="ddp", devices=5))


def test_a_run_keeps_the_precision_it_began_with() -> None:
    begun = job(accelerator="cpu", precision="64-true")
    asked = job(accelerator="cpu")
    assert resolve_auto(asked, begun).trainer.precision == "64-true"
    other = job(accelerator="cpu", precision="32-true")
    assert resolve_auto(other, begun).trainer.precision == "32-true"


def test_a_wandb_run_without_an_account_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose_mode", lambda mode: ("offline", "no account"))
    raw = compose_settings("train", ["dataset=screw", "logger=wandb", "trainer=cpu"])
    assert resolve_auto(check_settings(raw)).logger.as_dict()["mode"] == "offline"
