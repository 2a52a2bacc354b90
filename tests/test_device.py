"""The choice of a device, and denormal numbers."""

import pytest
import torch
from errors import refuses

from cyclegan_ad.device import choose_device, describe_device, prepare_process


def test_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with refuses(facts="GPU"):
        choose_device("gpu")
    assert choose_device("auto") == torch.device("cpu")


def test_gpu_is_taken_unless_the_cpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("gpu") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


def test_a_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert describe_device(cpu) == "CPU (2 threads)"
    assert describe_device(cpu, 4) == "CPU (4 processes)"
    assert (describe_device(gpu), describe_device(gpu, 4)) == ("NVIDIA H100", "4 x NVIDIA H100")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert describe_device(cpu) == "CPU (1 thread)"


def test_denormal_numbers_become_zero() -> None:
    try:
        prepare_process()
        assert (torch.tensor([1e-40]) * 1.0).item() == 0.0
    finally:
        torch.set_flush_denormal(False)
