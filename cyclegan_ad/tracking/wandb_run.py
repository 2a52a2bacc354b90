"""Start a W&B run for one job: online or offline, never with a question, in the run's folder.

W&B's own way to start may ask for a login, waits long for a server out of reach, and speaks much.
"""

import configparser
import netrc
import os
import secrets
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

MODES = ("online", "offline", "disabled")

_NO_ACCOUNT = "no account is configured; `wandb login` sets one up"

_INIT_TIMEOUT_S = 30.0

# How long the end of a run waits for uploads that do not get through; the data stays on disk.
_FINISH_TIMEOUT_S = 600.0


def choose_mode(mode: str) -> tuple[str, str]:
    """Decide where W&B logs to, without contacting anything.

    Args:
        mode: ``auto``, ``online``, ``offline`` or ``disabled``. ``auto`` follows ``WANDB_MODE`` or
            W&B's settings file; where neither says, it is online if an account is configured
            (``WANDB_API_KEY``, netrc or settings file) and offline otherwise.

    Returns:
        ``online``, ``offline`` or ``disabled``, and the reason in plain words.

    Raises:
        UserError: if WANDB_MODE or the settings file names no mode, or online is asked for without
            an account.
    """
    settings = _settings_files()
    said_by = f"logger.mode={mode}"
    if mode == "auto":
        if os.environ.get("WANDB_MODE"):
            mode, said_by = os.environ["WANDB_MODE"], f"WANDB_MODE={os.environ['WANDB_MODE']}"
        elif settings.get("mode"):
            mode, said_by = settings["mode"], f"mode={settings['mode']} in W&B's settings file"
        elif _account_configured(settings):
            return "online", "an account is configured"
        else:
            return "offline", _NO_ACCOUNT
        mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)
        if mode not in MODES:
            raise UserError(f"{said_by} is not possible; choose one of {', '.join(MODES)}")
    if mode == "offline" and said_by == "logger.mode=offline":  # perhaps of auto, resolved before
        said = os.environ.get("WANDB_MODE")
        if said in ("offline", "dryrun"):
            said_by = f"WANDB_MODE={said}"
        elif not _account_configured(settings):
            said_by = _NO_ACCOUNT
    if mode == "online" and not _account_configured(settings):
        raise UserError(
            f"{said_by}, but no W&B account is configured: run `wandb login` or set "
            "WANDB_API_KEY, or choose logger.mode=offline"
        )
    return mode, said_by


def start_wandb_run(
    run_dir: Path,
    *,
    mode: str,
    reason: str,
    project: str,
    entity: str | None,
    group: str,
    name: str,
    tags: Sequence[str],
    config: Mapping[str, Any],
) -> "Run":
    """Start a W&B run, or go on with the one of this run directory; say in a line where it goes.

    Args:
        run_dir: the run's directory; W&B's files go to ``wandb`` in it.
        mode: ``online`` or ``offline``. A server that does not answer within half a minute, or
            turns the account down, makes it offline.
        reason: why that mode, for the line.
        project: W&B project.
        entity: user or team, None for the account's default.
        group: what the dashboard groups by.
        name: shown name of the run.
        tags: labels to filter by.
        config: resolved settings, plain containers.

    Returns:
        A run of its own, even if others are active in this process.

    Raises:
        UserError: If not even an offline run starts.
    """
    import wandb

    def init(mode: Literal["online", "offline"]) -> "Run":
        settings = wandb.Settings(
            quiet=True,
            show_info=False,
            console="off",
            init_timeout=_INIT_TIMEOUT_S,
            finish_timeout=_FINISH_TIMEOUT_S,
        )
        wandb.setup(settings=settings)
        return wandb.init(
            dir=str(run_dir),
            id=_run_id(run_dir),
            mode=mode,
            # Offline there is nothing to ask; files of one id are joined when they are uploaded.
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            project=project,
            entity=entity,
            group=group,
            name=name,
            tags=list(tags),
            config=dict(config),
            settings=settings,
        )

    run_dir.mkdir(parents=True, exist_ok=True)
    if mode == "online":
        try:
            run = init("online")
        except Exception as error:  # its service has errors of all kinds
            # W&B keeps the id of a failed start in use until it is torn down.
            wandb.teardown()
            mode, reason = "offline", f"online did not work: {cause_of(error)}"
        else:
            print(f"W&B: online, {run.url}", flush=True)
    if mode == "offline":
        try:
            run = init("offline")
        except Exception as error:
            wandb.teardown()
            raise UserError(f"W&B did not start ({cause_of(error)}); use logger=csv") from error
        upload = f"wandb sync {shlex.quote(str(run_dir / 'wandb'))}/offline-run-*"
        print(f"W&B: offline ({reason}). To upload: {upload}", flush=True)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run


def cause_of(error: Exception) -> str:
    """The reason of an error of W&B, or of pydantic, which puts it into the third line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[2] if isinstance(error, ValueError) and len(lines) > 2 else " ".join(lines)
    text = said.partition(" [type=")[0] or type(error).__name__
    return textwrap.shorten(text, 200, placeholder="...")


def _run_id(run_dir: Path) -> str:
    """Give the W&B run id of a run directory, made up the first time and kept in it."""
    path = run_dir / "wandb" / "run_id"
    if not path.exists():
        write_text(path, secrets.token_hex(8))
    return path.read_text(encoding="ascii").strip()


def _settings_files() -> dict[str, str]:
    """Read W&B's settings files: the user's, then those of the working directory over it."""
    config_dir = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    places = (config_dir, "wandb", ".wandb")
    parser = configparser.ConfigParser(interpolation=None)
    for place in places:
        try:
            parser.read(Path(place).expanduser() / "settings", encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{Path(place).expanduser() / 'settings'} cannot be read: mend or remove it "
                f"({str(error).splitlines()[0]})"
            ) from error
    return dict(parser["default"]) if parser.has_section("default") else {}


def _account_configured(settings: Mapping[str, str]) -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    if settings.get("api_key"):
        return True
    base_url = os.environ.get("WANDB_BASE_URL") or settings.get("base_url")
    host = urlsplit(base_url or "https://api.wandb.ai").netloc
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        entry = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return False
    return entry is not None and bool(entry[2])
