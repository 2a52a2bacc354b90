import hashlib
import io
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch

from cyclegan_ad import inception_weights
from cyclegan_ad.errors import UserError
from cyclegan_ad.inception_weights import ensure_inception_weights, inception_weights_path

NAME = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Cut the network off; gives the (url, time-out) of each attempt."""
    seen: list[tuple[str, float]] = []

    def refuse(url: str, timeout: float) -> None:
        seen.append((url, timeout))
        raise urllib.error.URLError("connection refused")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return seen


def serve(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(content))


def files_under(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_present_file_needs_no_network(torch_home: Path, requests) -> None:
    path = ensure_inception_weights()
    assert path == torch_home / "hub" / "checkpoints" / NAME == inception_weights_path()
    assert requests == []


def test_absent_file_without_network_says_what_to_do(empty_home: Path, requests) -> None:
    with pytest.raises(UserError) as caught:
        ensure_inception_weights()
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        str(empty_home / "hub" / "checkpoints"),
        NAME,
        "connection refused",
        "mseitzer/pytorch-fid",
        "score=sse",
        "score.extractor=efficientnet_lite0",
        "'efficientnet'",
    ):
        assert part in message
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
    with pytest.raises(UserError, match="cut short or another file"):
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
    with pytest.raises(UserError, match="damaged or cut short") as caught:
        ensure_inception_weights()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content  # the user's file is theirs to delete
    assert requests == []


def test_weights_of_another_network_are_refused(
    torch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = inception_weights_path()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = inception_weights_path()
    path.parent.mkdir(parents=True)
    shutil.copy(original, path)
    state = torch.load(path, weights_only=True)
    state["fc.weight"] = state["fc.weight"][:1000]  # torchvision's Inception
    torch.save(state, path)
    with pytest.raises(UserError, match=r"no fc.weight of shape \(1008, 2048\)"):
        ensure_inception_weights()
    torch.save([1, 2, 3], path)
    with pytest.raises(UserError, match="not pytorch-fid's Inception"):
        ensure_inception_weights()
