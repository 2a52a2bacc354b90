"""Commands that a signal, a reader that left or a parent that is gone ends."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from errors import assert_error
from started import LIMIT_S, start_training, wait_for
from tiny import draw_folder, overrides

from cyclegan_ad.endings import Terminated, exit_cleanly, raise_on_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def workers_of(command: int) -> list[int]:
    """Training processes that a command started, by its process id, whoever their parent is now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue  # it has ended
        if b"cyclegan_ad.processes.worker" in words and words[-1] == str(command).encode():
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_a_line_with_its_status(number: signal.Signals) -> None:
    code = (
        "import os, signal, time; from cyclegan_ad.endings import exit_cleanly\n"
        f"signal.signal({number}, signal.SIG_DFL)\n"  # under nohup SIGHUP is ignored
        "@exit_cleanly\n"
        "def command():\n"
        f"    os.kill(os.getpid(), {number}); os.kill(os.getpid(), {number}); time.sleep(20)\n"
        "command()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + number
    assert_error(done.stderr, facts=f"terminated by {number.name}", remedy="again to continue")


@pytest.mark.slow
def test_sigterm_ends_a_training_and_its_sweep_with_143(tmp_path: Path) -> None:
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    run = runs / "cyclegan-32" / "folder" / "seed0"
    words = overrides(root, runs, "trainer.max_epochs=400")
    ended = start_training([*words, "-m", "seed=0,1"])
    wait_for(run / "checkpoints" / "last.ckpt", ended)
    ended.terminate()
    out, err = ended.communicate(timeout=LIMIT_S)
    assert ended.returncode == 128 + signal.SIGTERM, out + err
    assert_error(err.splitlines()[-1], facts="terminated by SIGTERM", remedy="again to continue")
    assert "Traceback" not in err
    assert not (run / "metrics.json").exists()
    assert not run.with_name("seed1").exists()
    assert not list(runs.rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_processes_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    root, runs = draw_folder(tmp_path / "data"), tmp_path / "runs"
    run = runs / "cyclegan-32" / "folder" / "seed0"
    words = overrides(root, runs, "trainer.max_epochs=400")
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    killed = start_training([*words, *ddp])
    wait_for(run / "checkpoints" / "last.ckpt", killed)
    assert len(workers_of(killed.pid)) == 2
    killed.kill()
    killed.communicate(timeout=LIMIT_S)
    deadline = time.monotonic() + 30
    while alive := workers_of(killed.pid):
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


@pytest.mark.parametrize("end", ["| head -c 1", ">&-", "2>&-"])
def test_output_that_nobody_reads_gives_no_traceback(end: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m cyclegan_ad.train --cfg job --resolve {end}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


# ---- in this process


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals are ignored at the end of a process; not so of this one."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:  # a shell in the background lets some be ignored
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_unwinds_and_later_ones_do_not_disturb(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound = []

    @exit_cleanly
    def command() -> None:
        try:
            send(number)
        finally:
            for again in SIGNALS:
                send(again)
            unwound.append(number)

    with pytest.raises(SystemExit) as left:
        command()
    assert (left.value.code, unwound) == (128 + number, [number])
    name = "interrupted" if number == signal.SIGINT else f"terminated by {number.name}"
    assert_error(capsys.readouterr().err, facts=name, remedy="again to continue")
    send(number)  # the interpreter shuts down, still undisturbed


@pytest.mark.usefixtures("handlers")
def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    with raise_on_signals():
        send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.usefixtures("handlers")
def test_a_signal_during_an_import_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        "import os, signal\n"
        "done = False\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except BaseException: pass\n"  # modules do such things
        "done = True\n"
    )
    (tmp_path / "swallows_what_is_raised.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Terminated), raise_on_signals():
        assert importlib.import_module("swallows_what_is_raised").done
        time.sleep(60)


# ---- in processes of their own

STUCK = """
import ctypes
from cyclegan_ad.endings import raise_on_signals
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
with raise_on_signals(grace_s={grace_s}):
    library.pthread_mutex_lock(mutex)
    print("ready", flush=True)
    library.pthread_mutex_lock(mutex)  # outside of Python and for ever
"""
PRINTS = """
from cyclegan_ad.endings import exit_cleanly
from cyclegan_ad.display.terminal import standard_error

class Out:
    print = staticmethod(print)

@exit_cleanly
def command():
    stream = {stream}
    for i in range(10**6):
        stream.print(i)

command()
"""


def run_code(code: str, *, unbuffered: bool = False, **streams: Any) -> subprocess.Popen[str]:
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    flags = ["-u"] if unbuffered else []
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code], env=environment, text=True, **streams
    )


@pytest.mark.skipif(sys.platform != "linux", reason="a mutex of Linux")
@pytest.mark.parametrize("grace_s", [0, 0.3])
def test_a_process_that_waits_outside_of_python_ends(grace_s: float) -> None:
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = run_code(STUCK.format(grace_s=grace_s), **piped)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.01)  # it is not there yet
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    if grace_s:
        assert_error(err, facts="terminated by SIGTERM", remedy="again to continue")
    else:
        assert err == ""


@pytest.mark.parametrize("stream", ["Out", "standard_error()"])
@pytest.mark.parametrize("unbuffered", [True, False])
def test_a_reader_that_leaves_ends_the_command_silently(stream: str, unbuffered: bool) -> None:
    reading, writing = os.pipe()
    read_from = "stdout" if stream == "Out" else "stderr"
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {read_from: writing}
    process = run_code(PRINTS.format(stream=stream), unbuffered=unbuffered, **kept)
    os.close(writing)
    assert os.read(reading, 1) == b"0"
    os.close(reading)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out or "", err or "") == (141, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("unbuffered", [True, False])
def test_a_full_device_is_told_in_one_line(unbuffered: bool) -> None:
    code = PRINTS.format(stream="Out")
    with open("/dev/full", "w") as full:
        kept = {"stdout": full, "stderr": subprocess.PIPE}
        process = run_code(code, unbuffered=unbuffered, **kept)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert_error(err, facts="No space left on device")
