"""The choice of a device, and denormal numbers."""

import pytest
import torch

from cyclegan_ad.device import choose_device, prepare_process
from cyclegan_ad.errors import UserError


def test_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch finds none here"):
        choose_device("gpu")
    assert choose_device("auto") == torch.device("cpu")


def test_gpu_is_taken_unless_the_cpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("gpu") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


def test_denormal_numbers_become_zero() -> None:
    try:
        prepare_process()
        assert (torch.tensor([1e-40]) * 1.0).item() == 0.0
    finally:
        torch.set_flush_denormal(False)
