import hashlib
import io
import os
import socket
import urllib.error
import urllib.request
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import torch
from errors import refuses

from cyclegan_ad.errors import UserError
from cyclegan_ad.pretrained import inception_weights
from cyclegan_ad.pretrained.inception_weights import (
    build_inception,
    ensure_inception_weights,
    inception_weights_path,
)

NAME = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Cut the network off; gives the (url, time-out) of each attempt."""
    seen: list[tuple[str, float]] = []

    def refuse(request: urllib.request.Request) -> None:
        seen.append((request.full_url, socket.getdefaulttimeout() or 0.0))
        raise urllib.error.URLError("connection refused")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    return seen


def serve(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(io.BytesIO):
        def info(self) -> Message:
            return Message()

    monkeypatch.setattr(torch.hub, "urlopen", lambda request: Answer(content))


def files_under(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_present_file_needs_no_network(torch_home: Path, requests) -> None:
    path = ensure_inception_weights()
    assert path == inception_weights_path() and path.parent == torch_home / "hub" / "checkpoints"
    assert requests == []


def test_absent_file_without_network_says_what_to_do(empty_home: Path, requests) -> None:
    with refuses(
        file=empty_home / "hub" / "checkpoints",
        facts=(NAME, "connection refused", "mseitzer/pytorch-fid"),
        remedy=("score=sse", "score.extractor=efficientnet_lite0", "'efficientnet'"),
    ):
        ensure_inception_weights()
    ((url, timeout_s),) = requests
    assert url.endswith(NAME)
    assert 0 < timeout_s <= 15
    assert files_under(empty_home) == []


def test_download_is_checked_and_kept(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = inception_weights_path().read_bytes()
    url = f"https://example.org/weights-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(inception_weights, "_url", lambda: url)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    serve(content, monkeypatch)
    path = ensure_inception_weights()
    assert path.read_bytes() == content
    assert files_under(tmp_path) == [path.name]


def test_download_cut_short_leaves_nothing(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(b"the first bytes only", monkeypatch)
    with refuses(facts="invalid hash value"):
        ensure_inception_weights()
    assert files_under(empty_home) == []


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None])
def test_damaged_file_is_named(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests, content
) -> None:
    if content is None:  # a whole file without its end
        content = inception_weights_path().read_bytes()[:-1000]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = inception_weights_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with refuses(file=path):
        ensure_inception_weights()
    assert path.read_bytes() == content  # the user's file is theirs to delete
    assert requests == []


def place(content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a file, named after its hash, where the weights are looked for."""
    name = f"weights-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(inception_weights, "_url", lambda: f"https://localhost/{name}")
    monkeypatch.setenv("TORCH_HOME", str(folder))
    path = inception_weights_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def saved(content: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def test_weights_of_another_network_are_refused(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = torch.load(inception_weights_path(), weights_only=True)
    state["fc.weight"] = state["fc.weight"][:1000]  # torchvision's Inception
    for content in (state, [1, 2, 3]):
        place(saved(content), tmp_path, monkeypatch)
        with refuses(facts="damaged or truncated"):
            build_inception()


def test_a_whole_file_whose_hash_is_not_the_one_in_its_name_is_refused(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = inception_weights_path().read_bytes()
    path = place(content, tmp_path, monkeypatch)
    ensure_inception_weights()
    path.write_bytes(content + b" ")
    for use in (ensure_inception_weights, build_inception):
        with refuses(file=path, facts="SHA-256"):
            use()


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def zip_beside_pickle(state: object, attack: object) -> bytes:
    """A pickle with an archive behind it: readers that look at its end see the archive alone."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("weights.pth", saved(attack, _use_new_zipfile_serialization=False))
    return saved(state, _use_new_zipfile_serialization=False) + archive.getvalue()


@pytest.mark.parametrize("form", ["archive", "legacy", "both"])
def test_code_in_the_file_is_not_run(
    form: str, torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = torch.load(inception_weights_path(), weights_only=True)
    attack = Malicious(tmp_path / "mark")
    content = {
        "archive": lambda: saved(state | {"attack": attack}),
        "legacy": lambda: saved(state | {"attack": attack}, _use_new_zipfile_serialization=False),
        "both": lambda: zip_beside_pickle(state, attack),
    }[form]()
    place(content, tmp_path, monkeypatch)
    try:
        ensure_inception_weights()
        build_inception()
    except UserError as error:
        assert "damaged or truncated" in str(error)
    assert not (tmp_path / "mark").exists()
