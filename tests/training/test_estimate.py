"""What is said of the time that a training takes."""

import pytest
from tiny import changed_all, check_settings, compose_settings

from cyclegan_ad.settings.train import Settings
from cyclegan_ad.training.estimate import describe_estimate
from cyclegan_ad.training.resolve_auto import resolve_auto


def resolved(*words: str) -> Settings:
    composed = compose_settings("train", ["dataset=screw", "trainer=cpu", "logger=none", *words])
    return resolve_auto(check_settings(composed))


def test_a_long_training_on_a_cpu_says_how_long_and_what_is_quicker() -> None:
    first, quicker = describe_estimate(resolved(), 36 * 3600.0)
    assert "about 36 h on this CPU (" in first and "thread" in first
    assert "+preset=cpu_quick" in quicker
    for change in ("16 instead of 64 channels", "1 instead of 9 copies", "100 instead of 200"):
        assert change in quicker
    # What it costs, beside the paper's figures.
    assert "58 % on screw (paper, full settings: 51 %)" in quicker
    assert "76 % on brain_mri (paper, full settings: 92 %)" in quicker


@pytest.mark.parametrize(
    ("words", "seconds", "lines"),
    [
        ((), 59.0, 0),
        ((), 61.0, 1),
        ((), 3600.0, 1),
        ((), 3601.0, 2),
        (("+preset=cpu_quick",), 1e6, 1),
        (("method=padim",), 1e6, 1),
    ],
)
def test_only_what_helps_is_said(words: tuple[str, ...], seconds: float, lines: int) -> None:
    assert len(describe_estimate(resolved(*words), seconds)) == lines


def test_a_gpu_is_not_told_of_settings_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = changed_all(resolved(), {"trainer.accelerator": "gpu"})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "NVIDIA H100")
    [line] = describe_estimate(settings, 1e6)
    assert "12 days on this NVIDIA H100" in line


def test_fewer_epochs_than_those_of_the_preset_are_kept() -> None:
    _, quicker = describe_estimate(resolved("dataset=retina_oct"), 1e6)
    assert "+preset=cpu_quick trainer.max_epochs=50 (" in quicker
    assert "epochs)" not in quicker and "copies" not in quicker


def test_ganomaly_has_the_preset_but_not_the_figures_of_another_method() -> None:
    _, quicker = describe_estimate(resolved("method=ganomaly"), 1e6)
    assert "+preset=cpu_quick" in quicker and "AUROC" not in quicker
