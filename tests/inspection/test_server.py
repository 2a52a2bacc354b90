"""The inspector over HTTP: what it shows, decides, writes and refuses."""

import csv
import errno
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from errors import refuses
from inspected import OWN, SAME, png, session_of
from PIL import Image
from starlette.testclient import TestClient

from cyclegan_ad.detector.detect import Detector
from cyclegan_ad.detector.labelled_images import find_labelled
from cyclegan_ad.inspection import session as session_module
from cyclegan_ad.inspection import uploads as uploads_module
from cyclegan_ad.inspection.server import PAGE, address_of, build_app, listen, serving
from cyclegan_ad.inspection.session import Session
from cyclegan_ad.inspection.uploads import Uploads
from cyclegan_ad.runs.directory import RunDirectory

Finished = tuple[Path, RunDirectory, dict[str, Any]]
LIMIT = 200_000


@pytest.fixture
def opened(finished: Finished, tmp_path: Path) -> Iterator[tuple[TestClient, Session]]:
    session, facts = session_of(finished[1].path, tmp_path)
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with TestClient(app, base_url=OWN) as client:
        yield client, session


def no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def rows_of(session: Session) -> list[dict[str, str]]:
    """All uploads, as their table says."""
    table = session.flags.folder / "decisions.csv"
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def wait_until_judged(session: Session) -> None:
    deadline = time.monotonic() + 30
    while not all(image.judged for image in session.images.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def upload(client: TestClient, data: bytes, name: str = "a.png", batch: str = "") -> Any:
    place = f"/api/images?batch={batch}" if batch else "/api/images"
    return client.post(place, content=data, headers=SAME | {"x-file-name": quote(name)})


def test_the_page_is_told_all_that_it_shows(
    opened: tuple[TestClient, Session], finished: Finished
) -> None:
    client, session = opened
    state = client.get("/api/state").json()
    assert {image["source"] for image in state["images"]} == {"test"}
    assert len(state["images"]) == finished[2]["test_normal"] + finished[2]["test_abnormal"]
    assert state["applied"] == {"lower": session.decision.threshold, "upper": None}
    assert state["applied"] == state["saved"]
    assert state["reconstructs"] is True and state["trouble"] == ""
    ids = {image["id"] for image in state["images"]}
    for name in ("normal", "abnormal"):
        scores = [score for score, _ in state["known"][name]]
        assert scores == sorted(scores)
        assert all(found in ids for _, found in state["known"][name])
    values = [one["lower"] for one in state["thresholds"]]
    assert values == sorted(values) and state["decides"] in {
        one["name"] for one in state["thresholds"]
    }
    assert str(finished[0]) not in client.get("/api/now").text  # no path of an image


def test_pictures(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    colours = "RGB" if session.detector.description["preprocessing"]["channels"] == 3 else "L"
    for kind in ("thumb", "image", "reconstruction", "heat"):
        answer = client.get(f"/api/images/t0/{kind}.png")
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == (32, 32)
            assert picture.mode == ("RGBA" if kind == "heat" else colours)
    assert client.get("/api/images/t0/mask.png").status_code == 404
    assert client.get("/api/images/t999/thumb.png").status_code == 404


def test_an_upload_is_decided_about_as_predict_does(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    found = upload(client, png(square=True), "Ł <b>%.png").json()
    assert found["name"] == "Ł <b>%.png"  # it is sent escaped
    with Image.open(io.BytesIO(png(square=True))) as picture:
        expected = session.detector(picture)
    assert found["score"] == pytest.approx(expected.score, rel=1e-6)
    assert found["zone"] == expected.zone
    assert client.get(f"/api/images/{found['id']}/heat.png").status_code == 200
    [row] = csv.DictReader((session.flags.folder / "decisions.csv").open(encoding="utf-8"))
    assert (row["name"], row["zone"]) == (found["name"], found["zone"])
    assert float(row["score"]) == found["score"]


def test_what_is_no_image_is_refused_in_one_sentence(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    before = dict(session.images)
    for data, words in ((b"text", "not a PNG"), (b"", "empty file"), (png()[:30], "damaged")):
        answer = upload(client, data, "../../etc/notes.txt")
        assert answer.status_code == 422
        assert "../../etc/notes.txt was not judged" in answer.json()["error"]
        assert words in answer.json()["error"] and answer.json()["noted"]
    assert session.images == before
    assert {(row["zone"], row["name"]) for row in rows_of(session)} == {
        ("review", "../../etc/notes.txt")
    }


def test_a_damaged_image_is_for_review(opened: tuple[TestClient, Session]) -> None:
    found = upload(opened[0], png()[:-40]).json()  # its header is sound
    assert found["zone"] == "review" and found["score"] is None and "damaged" in found["reason"]


def test_too_large_a_body_is_refused(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    assert upload(client, png() + bytes(LIMIT)).status_code == 413
    chunks = (bytes(50_000) for _ in range(8))  # without a length
    answer = client.post("/api/images", content=chunks, headers=SAME)
    assert answer.status_code == 413 and "larger than" in answer.json()["error"]
    assert not [image for image in session.images.values() if image.source == "upload"]


def test_a_batch_and_its_table(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    batch = client.post("/api/batches", headers=SAME).json()["id"]
    sent = [("=1+1.png", png()), ("b.png", png(square=True)), ("c.txt", b"text")]
    codes = [upload(client, data, name, batch).status_code for name, data in sent]
    assert codes == [200, 200, 422]
    answer = client.get(f"/api/batches/{batch}/decisions.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["'=1+1.png", "b.png", "c.txt"]  # no formula
    assert (rows[2]["zone"], rows[2]["decision"], rows[2]["score"]) == ("review", "abnormal", "")
    assert "not a PNG" in rows[2]["reason"]
    assert [row["name"] for row in rows_of(session)] == [row["name"] for row in rows]
    for row in rows[:2]:
        passes = float(row["score"]) < float(row["threshold"])
        assert (row["zone"] == "pass") == passes == (row["decision"] == "normal")
    assert client.get("/api/batches/b9/decisions.csv").status_code == 404
    assert upload(client, png(), batch="b9").status_code == 404


def test_files_that_could_not_be_sent_are_noted_for_review(
    opened: tuple[TestClient, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, session = opened

    def note(**given: Any) -> Any:
        return client.post("/api/refused", json=given, headers=SAME)

    batch = client.post("/api/batches", headers=SAME).json()["id"]
    assert upload(client, png(), batch=batch).status_code == 200
    given = {"name": "big.png", "reason": "=it has\n900 MiB" + "!" * 999, "batch": batch}
    assert note(**given).json() == {"noted": True}
    assert note(name="b.png", reason="connection lost", batch=None).json() == {"noted": True}
    answer = client.get(f"/api/batches/{batch}/decisions.csv")
    [_, row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["name"], row["zone"], row["decision"]) == ("big.png", "review", "abnormal")
    assert row["reason"].startswith("'=it has\\n900 MiB!") and len(row["reason"]) < 400
    assert [row["name"] for row in rows_of(session)] == ["a.png", "big.png", "b.png"]
    assert len(session.images) == len({*session.images}) and "b.png" not in {
        image.name for image in session.images.values()
    }
    for wrong in ({"name": "a"}, {"name": 1, "reason": "x"}):
        assert note(**wrong).status_code == 422
    for unknown in ("b9", 3, {}):
        assert note(name="a", reason="b", batch=unknown).status_code == 404
    monkeypatch.setattr(uploads_module, "MOST_REFUSED", 2)
    assert note(name="c.png", reason="x").json() == {"noted": False}
    assert upload(client, b"text").json()["noted"] is False


@pytest.mark.parametrize("place", ["kept", "noted"])
def test_a_full_disk_is_said_and_the_file_is_for_review(
    opened: tuple[TestClient, Session], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    client, session = opened
    before = dict(session.images)
    batch = client.post("/api/batches", headers=SAME).json()["id"]
    if place == "kept":
        monkeypatch.setattr(Uploads, "keep", no_space)
    else:
        monkeypatch.setattr(session_module, "append", no_space)
    answer = upload(client, png(), "a.png", batch)
    assert answer.status_code == 500 and answer.json()["noted"]
    assert "a.png was not judged" in answer.json()["error"]
    assert "No space left" in answer.json()["error"]
    assert session.images == before  # what no table has is not shown
    answer = client.get(f"/api/batches/{batch}/decisions.csv")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["name"], row["zone"]) == ("a.png", "review") and "No space" in row["reason"]


def test_the_page_asks_for_what_has_changed(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    state = client.get("/api/state").json()
    now = client.get(f"/api/now?since={state['revision']}").json()
    assert now["images"] == [] and now["revision"] == state["revision"]
    sent = [upload(client, png(seed=seed)).json() for seed in range(2)]
    now = client.get(f"/api/now?since={state['revision']}").json()
    assert [image["id"] for image in now["images"]] == [image["id"] for image in sent]
    assert client.get(f"/api/now?since={now['revision']}").json()["images"] == []
    # A page that is loaded again has the uploads too.
    again = client.get("/api/state").json()["images"]
    assert len(again) == len(session.images) == len(state["images"]) + 2
    assert client.get("/api/now").json()["images"] == again


def test_thresholds_for_the_session(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    saved = session.decision
    highest = max(image.score or 0 for image in session.images.values())

    def apply(**given: Any) -> Any:
        return client.post("/api/threshold", json=given, headers=SAME)

    def zones() -> set[str]:
        return {image["zone"] for image in client.get("/api/state").json()["images"]}

    answer = apply(lower=2 * highest, upper=3 * highest).json()
    assert answer["saved"] == {"lower": saved.threshold, "upper": None}
    assert zones() == {"pass"}
    apply(lower=0, upper=2 * highest)
    assert zones() == {"review"}
    assert upload(client, png(square=True)).json()["zone"] == "review"
    # The image that a threshold lies on is caught, whatever rounding does to its score.
    exact = upload(client, png(square=True)).json()["score"]
    assert apply(lower=exact).json()["applied"]["lower"] == pytest.approx(exact * (1 - 1e-5))
    assert upload(client, png(square=True)).json()["zone"] == "reject"
    best = next(one for one in session.stored if one.name == "best_accuracy")
    apply(lower=best.threshold, upper=best.upper)
    assert session.decision in session.stored  # as it is, with what it rests on
    assert session.decision.threshold == best.threshold
    apply(lower=None)
    assert session.decision == saved
    for wrong in ({"lower": "x"}, {"lower": True}, {"lower": 2, "upper": 1}):
        assert apply(**wrong).status_code == 422
    for text in ('{"lower": NaN}', "[]", "{"):
        answer = client.post("/api/threshold", content=text, headers=SAME)
        assert answer.status_code == 422 and answer.json()["error"]


def test_no_upload_is_judged_by_a_detector_that_was_changed(
    finished: Finished, tmp_path: Path
) -> None:
    detector = tmp_path / "detector"
    shutil.copytree(finished[1].path / "detector", detector)
    session, facts = session_of(detector, tmp_path)
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with TestClient(app, base_url=OWN) as client:
        assert upload(client, png()).status_code == 200
        described = json.loads((detector / "detector.json").read_text())
        (detector / "detector.json").write_text(json.dumps(described | {"calibrations": [1]}))
        answer = upload(client, png())
    assert answer.status_code != 200 and "changed by another command" in answer.json()["error"]
    assert len(rows_of(session)) == 1


def test_a_reported_escape_never_passes(finished: Finished, tmp_path: Path) -> None:
    session, _ = session_of(finished[1].path, tmp_path)
    described = session.detector.description
    image = next(image for image in session.images.values() if image.truth == "abnormal")
    escape = {"sha256": image.sha256, "score": image.score, "label": "abnormal"}
    entry = {"time": "2026-11-26T00:00:00+00:00", "score": "sse", "escapes": [escape]}
    described = described | {"calibrations": [entry]}
    session.detector.backend.description = described
    detector = Detector(session.detector.backend, session.decision)
    uploads = Uploads(tmp_path / "uploads", 10_000)
    again = Session(detector, session.images.values(), session.flags, uploads)
    again.apply(1e9)
    assert {again.zone(one) for one in again.images.values() if one is not image} == {"pass"}
    assert again.zone(image) == "review" and "escaped defect on 2026-11-26" in image.doubt
    sent = again.upload(image.path.read_bytes(), "copy.png", None)
    assert again.zone(sent) == "review" and "escaped defect" in sent.doubt


def test_a_flag_is_written_and_taken_back(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    given = {"label": "abnormal", "note": "scratch,\nleft"}
    found = client.post("/api/images/t0/flag", json=given, headers=SAME).json()
    [row] = found["flags"]
    image = session.images["t0"]
    assert row["path"] == str(image.path) and row["sha256"] == image.sha256
    assert (row["label"], row["note"]) == ("abnormal", "scratch,\\nleft")
    assert (
        float(row["score"]) == image.score and float(row["threshold"]) == session.decision.threshold
    )
    assert row["zone"] == session.zone(image)
    assert client.get("/api/flags.csv").text == session.flags.table.read_text(encoding="utf-8")
    sent = upload(client, png(seed=3)).json()
    client.post(f"/api/images/{sent['id']}/flag", json={"label": "normal"}, headers=SAME)
    copy = Path(session.flags.rows()[1]["path"])
    assert copy.read_bytes() == png(seed=3) and copy.parent.name == "flagged"
    assert client.delete(f"/api/flags/{sent['sha256']}", headers=SAME).status_code == 200
    assert client.delete(f"/api/flags/{sent['sha256']}", headers=SAME).status_code == 404
    assert [one["sha256"] for one in session.flags.rows()] == [image.sha256]
    for wrong in ({"label": "odd"}, {}, {"label": "normal", "note": "x" * 1001}):
        assert client.post("/api/images/t0/flag", json=wrong, headers=SAME).status_code == 422


def test_flags_of_paths_that_are_not_utf8_are_shown(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    image = session.images["t0"]
    image.path = Path(f"/images/{chr(0xDCFF)}.png")
    given = {"label": "normal", "note": "=1+1"}
    [row] = client.post("/api/images/t0/flag", json=given, headers=SAME).json()["flags"]
    assert row["path"] == "/images/\\udcff.png" and row["note"] == "'=1+1"
    assert client.get("/api/state").json()["flags"] == [row]
    assert b"/images/\xff.png" in client.get("/api/flags.csv").content


def test_calibrate_reads_the_flags(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    sent = upload(client, png(square=True), "a, b.png").json()
    for name, label in (("t0", "normal"), (sent["id"], "abnormal")):
        given = {"label": label, "note": "seen, twice"}
        client.post(f"/api/images/{name}/flag", json=given, headers=SAME)
    found, _ = find_labelled(session.flags.table)
    assert {image.sha256: image.label for image in found} == {
        session.images["t0"].sha256: 0,
        sent["sha256"]: 1,
    }
    assert all(image.path.is_file() for image in found)


def test_no_path_leads_outside(opened: tuple[TestClient, Session]) -> None:
    client, _ = opened
    assert client.get("/page/main.js").status_code == 200
    for path in (
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e/server.py",
        "/page//etc/passwd",
        "/api/images/..%2f..%2fetc%2fpasswd/image.png",
        "/api/batches/..%2fout/decisions.csv",
    ):
        assert client.get(path).status_code == 404, path


def test_other_names_and_other_pages_are_refused(opened: tuple[TestClient, Session]) -> None:
    client, session = opened
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765"):
        assert client.get("/api/state", headers={"host": host}).status_code == 400
    assert client.get("/api/state", headers={"host": "localhost:1234"}).status_code == 200
    before = session.decision.threshold
    for headers in ({}, {"origin": "http://evil.example"}):
        answer = client.post("/api/threshold", json={"lower": 0}, headers=headers)
        assert answer.status_code == 403
    assert session.decision.threshold == before


def test_drift_sends_to_review_what_would_pass(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift = {"images_per_false_warning": 2}
    session, facts = session_of(
        finished[1].path, tmp_path, drift=drift, decide_by={"threshold": 1e9}
    )
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with TestClient(app, base_url=OWN) as client:
        for seed in range(60):
            found = upload(client, png(value=170, seed=seed), f"part_{seed}.png").json()
            if found["drift"]:
                break
        assert found["drift"].startswith("drift:") and found["zone"] == "review"
        assert "since about part_" in found["drift"]  # not the name of a temporary file
        # The page has buttons, and no settings.
        assert "The change stays" in found["drift"] and "drift.reset" not in found["drift"]
        assert client.get("/api/now").json()["drift"] == found["drift"]
        assert "would pass" in found["doubt"] and found["reason"] == ""
        assert upload(client, png(seed=99)).json()["zone"] == "review"
        client.post("/api/threshold", json={"lower": 1e-9}, headers=SAME)
        rejected = upload(client, png(seed=98)).json()
        assert rejected["zone"] == "reject" and rejected["doubt"].startswith("drift:")
        client.post("/api/threshold", json={"lower": 1e9}, headers=SAME)
        assert session.zone(session.images[rejected["id"]]) == "review"
        assert client.post("/api/drift", json={"reset": "now"}, headers=SAME).status_code == 422
        with monkeypatch.context() as patched:
            patched.setattr(session, "restart_drift", no_space)
            answer = client.post("/api/drift", json={"reset": "images"}, headers=SAME)
            assert answer.status_code == 500 and "No space left" in answer.json()["error"]
        answer = client.post("/api/drift", json={"reset": "images"}, headers=SAME).json()
        assert answer["drift"] is None
        assert upload(client, png(seed=99)).json()["zone"] == "pass"


def test_images_of_a_folder_are_judged_while_the_page_is_open(
    finished: Finished, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(6):
        (folder / f"{seed}.png").write_bytes(png(seed=seed))
    (folder / "broken.png").write_bytes(png()[:-40])
    session, facts = session_of(finished[1].path, tmp_path, images=str(folder))
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with TestClient(app, base_url=OWN) as client:
        wait_until_judged(session)
        images = client.get("/api/now").json()["images"]
        broken = next(image for image in images if image["name"] == "broken.png")
        assert broken["zone"] == "review" and "damaged" in broken["reason"]
        assert client.get(f"/api/images/{broken['id']}/thumb.png").status_code == 404
        assert client.get(f"/api/images/{broken['id']}/heat.png").status_code == 404
        assert sum(image["score"] is not None for image in images) == 6


def test_an_error_while_a_folder_is_judged_leaves_no_image_waiting(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(9):
        (folder / f"{seed}.png").write_bytes(png(seed=seed))
    session, facts = session_of(finished[1].path, tmp_path, images=str(folder))
    stream = session.detector.stream

    def fail(paths: list[Path], **given: Any) -> Any:
        if any(path.stem in "07" for path in paths):
            raise RuntimeError("out of\nmemory")
        return stream(paths, **given)

    monkeypatch.setattr(session.detector, "stream", fail)
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with TestClient(app, base_url=OWN) as client:
        wait_until_judged(session)
        now = client.get("/api/now").json()
    assert "RuntimeError: out of\\nmemory" in now["trouble"]
    unjudged = [image for image in now["images"] if image["score"] is None]
    assert len(unjudged) == 8  # two groups of four
    assert {image["zone"] for image in unjudged} == {"review"}
    assert all("out of\\nmemory" in image["reason"] for image in unjudged)
    assert capsys.readouterr().err.count("Traceback") == 1


def test_it_serves_until_it_is_told_to_end(finished: Finished, tmp_path: Path) -> None:
    session, facts = session_of(finished[1].path, tmp_path)
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)
    with listen("127.0.0.1", 0) as opened:
        address = address_of(opened, "127.0.0.1")
        port = opened.getsockname()[1]
        with refuses(setting="port", value=port, remedy="port=0"):
            listen("127.0.0.1", port)
        with serving(app, opened) as ended, socket.create_connection(("127.0.0.1", port)) as own:
            own.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert own.recv(4096).startswith(b"HTTP/1.1 200") and address.endswith(f":{port}/")
            assert not ended.is_set()
        assert ended.is_set()
    left = {one.name for one in threading.enumerate() if one.name.startswith("inspector")}
    assert not left
    with refuses(setting="host", value="no.such.host.invalid", remedy="host=127.0.0.1"):
        listen("no.such.host.invalid", 0)


def test_the_page_asks_for_nothing_outside() -> None:
    known = {"http://www.w3.org/2000/svg"}
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8")
        for name in known:
            text = text.replace(name, "")
        assert "http:" not in text and "https:" not in text and "//cdn" not in text, file.name
        assert "style=" not in text and "innerHTML" not in text and 'onclick="' not in text
