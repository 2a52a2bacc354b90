"""The command inspector: its line, its end, and what it refuses before torch is loaded."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from errors import assert_error, refuses
from inspected import inspector_settings

from cyclegan_ad import inspector, optional_packages
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.lock import locked_folder

Finished = tuple[Path, RunDirectory, dict[str, Any]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cyclegan_ad.inspector", "open_browser=false", *words]


@pytest.mark.slow
def test_it_serves_and_ends_cleanly(finished: Finished, tmp_path: Path) -> None:
    words = (f"detector={finished[1].path}", f"out={tmp_path / 'out'}", "port=0", "accelerator=cpu")
    process = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # Tests that run in the background of a shell would hand it an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        address = None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                address = found[0]
                break
        assert address is not None
        with urllib.request.urlopen(address) as answer:
            assert b"<title>Inspector</title>" in answer.read()
        # A browser keeps its connection open.
        with socket.create_connection(
            ("127.0.0.1", int(address.rstrip("/").split(":")[-1]))
        ) as own:
            own.sendall(b"GET /api/now HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert own.recv(100).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGINT)
            said, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and errors == ""
    assert said.startswith("Inspector stopped") and str(tmp_path / "out") in said
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("cyclegan_ad_inspector_*/u*"))


def test_other_machines_and_wrong_places_are_refused(finished: Finished, tmp_path: Path) -> None:
    def run(**changes: Any) -> None:
        inspector.run_inspector(inspector_settings(finished[1].path, tmp_path / "out", **changes))

    with refuses(setting="host", value="0.0.0.0", remedy="allow_network=true"):
        run(host="0.0.0.0", port=0)
    with refuses(setting="detector"):
        settings = inspector_settings(tmp_path / "none", tmp_path / "out", port=0)
        inspector.run_inspector(settings)
    with refuses(file=tmp_path / "empty"):
        (tmp_path / "empty").mkdir()
        run(images=str(tmp_path / "empty"), port=0)
    with (
        locked_folder(tmp_path / "out", "out"),
        refuses(setting="out", value=tmp_path / "out", remedy="out=PATH"),
    ):
        run(port=0)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").write_text("")
    with refuses(setting="out", value=tmp_path / "out", remedy="folder"):
        run(port=0)


def test_a_server_that_ends_by_itself_is_an_error(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = inspector_settings(finished[1].path, tmp_path / "out", port=0)

    def fail(*_: Any) -> None:
        raise RuntimeError("no event loop")

    for run in (fail, lambda *_: None):
        monkeypatch.setattr(uvicorn.Server, "run", run)
        with refuses(facts="server of the inspector has ended", remedy="again") as caught:
            inspector.run_inspector(settings)
        if run is fail:
            assert_error(caught.value, facts="RuntimeError: no event loop")


def test_the_extra_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda name: None)
    with refuses(facts=("starlette", "uvicorn"), remedy="cyclegan-ad[inspector]") as caught:
        optional_packages.ensure_inspector()
    assert_error(caught.value, facts="inspector")
