"""Who may ask for the page: no name but its own, no other page, no other machine unasked."""

from collections.abc import Sequence

import pytest
from errors import refuses
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from cyclegan_ad.inspection.guard import (
    Guard,
    KnownHost,
    check_host,
    is_loopback,
    served_names,
)


def application() -> Starlette:
    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/", answer, methods=["GET", "POST", "DELETE"])])


def client() -> TestClient:
    return TestClient(Guard(application()), base_url="http://127.0.0.1:8765")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8765"],
)
def test_changes_come_from_the_page_itself(method: str, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = client().request(method, "/", headers=headers)
    assert answer.status_code == 403 and "Refused" in answer.json()["error"]
    own = {"origin": "http://127.0.0.1:8765"}
    assert client().request(method, "/", headers=own).text == "done"


def test_every_answer_keeps_the_page_to_itself() -> None:
    for answer in (client().get("/"), client().get("/no"), client().post("/")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_other_machines_only_if_asked_for() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9"):
        assert is_loopback(host)
        check_host(host, False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with refuses(setting="host", value=host, remedy=("host=127.0.0.1", "allow_network=true")):
            check_host(host, False)
        check_host(host, True)


def test_names_that_the_page_is_asked_for_by() -> None:
    assert served_names("127.0.0.1") == ["localhost", "127.0.0.1", "[::1]"]
    assert served_names("::2")[-1] == "[::2]"
    assert served_names("Line7")[-1] == "line7"
    assert "*" not in "".join(served_names("0.0.0.0"))


@pytest.mark.parametrize(
    ("reached", "hosts"),
    [
        ("192.168.1.5", ["192.168.1.5", "192.168.1.5:8765"]),
        ("::ffff:192.168.1.5", ["192.168.1.5:8765"]),  # IPv4 on a socket of IPv6
        ("fd00::5", ["[fd00::5]:8765", "[FD00:0::5]"]),
    ],
)
def test_an_address_that_was_reached_is_served(reached: str, hosts: Sequence[str]) -> None:
    app = KnownHost(application(), served_names("0.0.0.0"))
    place = f"[{reached}]" if ":" in reached else reached
    with TestClient(app, base_url=f"http://{place}:8765") as visitor:
        for host in (*hosts, "localhost:8765", "127.0.0.1"):
            assert visitor.get("/", headers={"host": host}).status_code == 200, host
        for host in ("evil.example", "192.168.1.6", "192.168.1.5.evil.example", "[fd00::6]", ""):
            assert visitor.get("/", headers={"host": host}).status_code == 400, host
