"""One command at a time works on a run, and none beside the processes of a killed one."""

import threading
import time
from pathlib import Path

import pytest
from errors import refuses

from cyclegan_ad.runs.lock import locked_by_command, locked_by_process, locked_folder


def test_a_command_waits_for_the_processes_of_a_killed_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run, order = tmp_path / "seed0", []

    def second() -> None:
        with locked_by_command(run):
            order.append("command")

    with locked_by_process(run), locked_by_process(run):  # they do not exclude each other
        other = threading.Thread(target=second, daemon=True)
        other.start()
        said, deadline = "", time.monotonic() + 60
        while "\n" not in said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            said += capfd.readouterr().out
        order.append("processes")
    other.join(timeout=60)
    assert order == ["processes", "command"]
    assert said == f"{run}: waiting until the processes of a killed command end\n"


def test_a_command_and_its_own_processes_hold_a_run_together(tmp_path: Path) -> None:
    with locked_by_command(tmp_path / "seed0"), locked_by_process(tmp_path / "seed0"):
        pass


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "seed0"
    left = [run / "checkpoints" / ".last.ckpt.abc.partial", run / ".ddp.x.partial" / "a.json"]
    kept = [run / "notes.partial", run / ".hidden", run / "checkpoints" / "last.ckpt"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with locked_by_command(run):
        assert not any(path.exists() for path in (*left, left[1].parent))
    assert all(path.is_file() for path in kept)


def test_a_folder_of_a_command_is_refused_to_a_second_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        locked_folder(out, "out"),
        refuses(setting="out", value=out, remedy="out=PATH"),
        locked_folder(out, "out"),
    ):
        pass
    with locked_folder(out, "out"):  # free again
        pass
    (tmp_path / "file").touch()
    with (
        refuses(file=tmp_path / "file", remedy="out=PATH"),
        locked_folder(tmp_path / "file", "out"),
    ):
        pass
