"""Commands in processes of their own, for tests that end them half-way."""

import subprocess
import sys
import time
from pathlib import Path

LIMIT_S = 300


def start_training(words: list[str]) -> subprocess.Popen[str]:
    """A training command with these words; its output is kept."""
    return subprocess.Popen(
        [sys.executable, "-m", "cyclegan_ad.train", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, command: subprocess.Popen[str]) -> None:
    """Wait until a file is there; an error if the command ends before."""
    deadline = time.monotonic() + LIMIT_S
    while not path.is_file():
        assert time.monotonic() < deadline and command.poll() is None, command.communicate()
        time.sleep(0.02)
