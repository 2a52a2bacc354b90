"""Start a W&B run for one job: online or offline, without prompts, in the run directory.

By default W&B may prompt for a login, waits long for an unreachable server, and prints much.
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

# Time to wait for uploads at the end of a run; the data stays on disk.
_FINISH_TIMEOUT_S = 600.0


def choose_mode(mode: str) -> tuple[str, str]:
    """Resolve the mode of W&B, without network access.

    Args:
        mode: ``auto``, ``online``, ``offline`` or ``disabled``. ``auto`` follows ``WANDB_MODE`` or
            the settings file of W&B; by default it is online if an account is configured
            (``WANDB_API_KEY``, netrc or settings file) and offline otherwise.

    Returns:
        ``online``, ``offline`` or ``disabled``, and the reason.

    Raises:
        UserError: If WANDB_MODE or the settings file has an invalid mode, or if the mode is online
            without an account.
    """
    settings = _settings_files()
    reason = f"logger.mode={mode}"
    if mode == "auto":
        if os.environ.get("WANDB_MODE"):
            mode, reason = os.environ["WANDB_MODE"], f"WANDB_MODE={os.environ['WANDB_MODE']}"
        elif settings.get("mode"):
            mode, reason = settings["mode"], f"mode={settings['mode']} in W&B's settings file"
        elif _account_configured(settings):
            return "online", "an account is configured"
        else:
            return "offline", _NO_ACCOUNT
        mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)
        if mode not in MODES:
            raise UserError(f"invalid {reason}: expected one of {', '.join(MODES)}")
    if mode == "offline" and reason == "logger.mode=offline":  # may be a resolved auto
        variable = os.environ.get("WANDB_MODE")
        if variable in ("offline", "dryrun"):
            reason = f"WANDB_MODE={variable}"
        elif not _account_configured(settings):
            reason = _NO_ACCOUNT
    if mode == "online" and not _account_configured(settings):
        raise UserError(
            f"{reason}, but no W&B account is configured: run `wandb login`, set WANDB_API_KEY, or "
            "use logger.mode=offline"
        )
    return mode, reason


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
    """Start a W&B run, or resume the one of this run directory, and print its address.

    Its files go to ``wandb`` in the run directory. The mode ``online`` becomes ``offline`` if the
    server does not respond within 30 seconds or rejects the account; the ``reason`` for a mode is
    printed. The ``entity`` None is the default of the account.

    Returns:
        A separate run, even if others are active in this process.

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
            # Offline runs cannot be resumed; files with the same id are merged on upload.
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
        except Exception as error:  # wandb raises many kinds of errors
            # The id of a failed start stays in use until teardown.
            wandb.teardown()
            mode, reason = "offline", f"cannot go online: {cause_of(error)}"
        else:
            print(f"W&B: online, {run.url}", flush=True)
    if mode == "offline":
        try:
            run = init("offline")
        except Exception as error:
            wandb.teardown()
            raise UserError(f"cannot start W&B ({cause_of(error)}); use logger=csv") from error
        upload = f"wandb sync {shlex.quote(str(run_dir / 'wandb'))}/offline-run-*"
        print(f"W&B: offline ({reason}). To upload: {upload}", flush=True)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run


def was_logged(run_dir: Path) -> bool:
    """Whether a run directory has a W&B run."""
    return _id_file(run_dir).is_file()


def cause_of(error: Exception) -> str:
    """Extract the reason from an error of W&B, or of pydantic, which has it on the third line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[2] if isinstance(error, ValueError) and len(lines) > 2 else " ".join(lines)
    text = reason.partition(" [type=")[0] or type(error).__name__
    return textwrap.shorten(text, 200, placeholder="...")


def _run_id(run_dir: Path) -> str:
    """Return the W&B run id of a run directory, created and stored there on first use."""
    path = _id_file(run_dir)
    if not path.exists():
        write_text(path, secrets.token_hex(8))
    return path.read_text(encoding="ascii").strip()


def _id_file(run_dir: Path) -> Path:
    return run_dir / "wandb" / "run_id"


def _settings_files() -> dict[str, str]:
    """Read the W&B settings files; those of the working directory override that of the user."""
    config_dir = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    places = (config_dir, "wandb", ".wandb")
    parser = configparser.ConfigParser(interpolation=None)
    for place in places:
        try:
            parser.read(Path(place).expanduser() / "settings", encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{Path(place).expanduser() / 'settings'} cannot be read "
                f"({str(error).splitlines()[0]}); fix or remove it"
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
