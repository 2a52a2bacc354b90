"""What W&B would refuse is told before a job reads or writes anything."""

import os
from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from tiny import draw_folder, settings

from cyclegan_ad.cli.preflight import check_training
from cyclegan_ad.tracking.wandb_checks import RunLabels, check_run, check_variables, labels_of_run


@pytest.fixture(autouse=True)
def without_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def job(tmp_path: Path, *words: str) -> dict[str, Any]:
    return settings(tmp_path / "data", tmp_path / "runs", "logger=wandb", *words)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        *(
            (f"logger.project='{project}'", f"logger.project={project}")
            for project in ("team/project", "a\\b", "a#b", "a?b", "a%b", "a:b", "", " ")
        ),
        (f"logger.project={'x' * 129}", f"logger.project={'x' * 60}..."),
        ("logger.entity=team/project", "logger.entity=team/project"),
        ("logger.entity=''", "logger.entity="),
        (f"dataset.name={'x' * 65}", f"dataset.name={'x' * 60}..."),
        (f"run_name={'x' * 120}", f"run_name={'x' * 60}..."),
    ],
)
def test_what_wandb_refuses(tmp_path: Path, word: str, told: str) -> None:
    draw_folder(tmp_path / "data", 3, 3)
    with refuses(setting=told, facts=("W&B" if "logger." in told else "logger=wandb")):
        check_training(job(tmp_path, word))
    assert not (tmp_path / "runs").exists()
    check_run(job(tmp_path, word, "logger.mode=disabled"))


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("WANDB_RESUME", "perhaps", "Input should be 'allow', 'must', 'never' or 'auto'"),
        ("WANDB_INIT_TIMEOUT", "soon", "Input should be a valid number"),
        ("WANDB_PROJECT", "a/b", "Invalid project name 'a/b'"),
        ("WANDB_TAGS", "x" * 65, "Value error, Tag 'xxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxx'"),
        ("WANDB_BASE_URL", "nonsense", "Input should be a valid URL"),
        ("WANDB_MODE", "odd", None),
    ],
)
def test_a_variable_that_wandb_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, cause: str | None
) -> None:
    monkeypatch.setenv(name, value)
    told = ("online", "offline") if cause is None else cause
    with refuses(setting=name, facts=told):
        check_run(job(tmp_path))
        check_variables()


def test_what_is_as_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_SILENT", "true")
    made = job(tmp_path, f"run_name={'x' * 100}", "logger.entity=a-team", "logger.project='my one'")
    check_run(made)
    check_variables()
    group = f"{'x' * 100}/folder"
    assert labels_of_run(made) == RunLabels(
        group, f"{group}/seed0", ("cyclegan", "folder", "32px", "seed0")
    )
