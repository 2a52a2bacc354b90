"""Where W&B logs to, and that it never asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from errors import refuses

from cyclegan_ad.tracking import wandb_run
from cyclegan_ad.tracking.wandb_run import choose_mode, start_wandb_run

KEY = "0123456789" * 4


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory, without any W&B account."""
    wandb.teardown()  # a session keeps the environment it started in, and is named in it
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_an_account_it_is_offline() -> None:
    assert choose_mode("auto")[0] == "offline"


def test_each_place_of_an_account_makes_it_online(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as env:
        env.setenv("WANDB_API_KEY", KEY)
        assert choose_mode("auto")[0] == "online"
    netrc = home / ".netrc"
    netrc.write_text(f"machine api.wandb.ai\n  login user\n  password {KEY}\n")
    netrc.chmod(0o600)
    assert choose_mode("auto")[0] == "online"
    assert choose_mode("online")[0] == "online"

    settings = home / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nbase_url = https://wandb.example.org\n")
    assert choose_mode("auto")[0] == "offline", "the key is another server's"
    settings.write_text(f"[default]\napi_key = {KEY}\nbase_url = https://wandb.example.org\n")
    assert choose_mode("auto")[0] == "online"
    settings.write_text(f"[default]\napi_key = {KEY}\nmode = offline\n")
    assert choose_mode("auto")[0] == "offline"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("offline", "offline"), ("dryrun", "offline"), ("disabled", "disabled"), ("online", "online")],
)
def test_the_environment_decides_for_auto_only(
    monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", said)
    assert choose_mode("auto")[0] == meant
    assert choose_mode("offline")[0] == "offline"


def test_impossible_modes_are_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with refuses(remedy="wandb login"):
        choose_mode("online")
    monkeypatch.setenv("WANDB_MODE", "shared")
    with refuses(setting="WANDB_MODE", value="shared"):
        choose_mode("auto")


def test_a_server_out_of_reach_makes_it_offline(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(wandb_run, "_INIT_TIMEOUT_S", 2.0)
    run = start_wandb_run(
        home / "run",
        mode="online",
        reason="an account is configured",
        project="p",
        entity=None,
        group="g",
        name="n",
        tags=[],
        config={"seed": 0},
    )
    try:
        assert run.offline
        assert run.id == (home / "run" / "wandb" / "run_id").read_text()
        out = capsys.readouterr().out
        assert "W&B: offline (cannot go online: " in out
        assert f"wandb sync {home}/run/wandb/offline-run-*" in out
    finally:
        run.finish()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_at_a_terminal_without_an_account_there_is_no_question(home: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from cyclegan_ad.tracking.wandb_run import choose_mode, start_wandb_run\n"
        "mode, reason = choose_mode('auto')\n"
        "run = start_wandb_run(Path('run'), mode=mode, reason=reason, project='p', entity=None,\n"
        "    group='g', name='n', tags=['t'], config={})\n"
        "run.finish()\n"
    )
    root = Path(__file__).resolve().parents[2]
    master, terminal = os.openpty()
    try:
        # A question would wait for an answer for ever: nobody types at this terminal.
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(root), "TERM": "xterm"},
            check=False,
        )
        said = os.read(master, 65536).decode()
    finally:
        os.close(master)
        os.close(terminal)
    assert done.returncode == 0, said
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    assert lines[0].startswith("W&B: offline (no account is configured")
