"""Commands that a signal, a reader that left or a parent that is gone ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import draw_folder, overrides

LIMIT_S = 200.0


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cyclegan_ad.train", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, command: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.is_file():
        assert time.monotonic() < deadline and command.poll() is None, command.communicate()
        time.sleep(0.02)


def processes_with(word: str) -> list[int]:
    """Processes that have a word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_a_line_with_its_status(number: signal.Signals) -> None:
    code = (
        "import os, time; from cyclegan_ad.endings import ends_in_words\n"
        "@ends_in_words\n"
        "def command():\n"
        f"    os.kill(os.getpid(), {number}); os.kill(os.getpid(), {number}); time.sleep(20)\n"
        "command()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + number
    assert done.stderr == f"terminated by {number.name}; type the same command again to resume\n"


def test_sigterm_ends_a_training_and_its_sweep_with_143(tmp_path: Path) -> None:
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    run = runs / "cyclegan-32" / "folder" / "seed0"
    words = overrides(root, runs, "trainer.max_epochs=400")
    ended = start([*words, "-m", "seed=0,1"])
    wait_for(run / "checkpoints" / "last.ckpt", ended)
    ended.terminate()
    out, err = ended.communicate(timeout=LIMIT_S)
    assert ended.returncode == 128 + signal.SIGTERM, out + err
    assert err.splitlines()[-1] == "terminated by SIGTERM; type the same command again to resume"
    assert "Traceback" not in err
    assert not (run / "metrics.json").exists()
    assert not run.with_name("seed1").exists()
    assert not list(runs.rglob("*.partial"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_processes_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    run = runs / "cyclegan-32" / "folder" / "seed0"
    words = overrides(root, runs, "trainer.max_epochs=400")
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    killed = start([*words, *ddp])
    wait_for(run / "checkpoints" / "last.ckpt", killed)
    workers = [pid for pid in processes_with("cyclegan_ad.ddp_worker") if pid != killed.pid]
    assert len(workers) >= 2
    killed.kill()
    killed.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers):
        alive = [p for p in workers if p in processes_with("cyclegan_ad.ddp_worker")]
        if not alive:
            break
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


@pytest.mark.parametrize("end", ["| head -c 1", ">&-", "2>&-"])
def test_output_that_nobody_reads_gives_no_traceback(end: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cyclegan_ad.train --cfg job --resolve {end}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
