"""What protects the inspector from other pages in the same browser."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cyclegan_ad.errors import UserError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_READING = ("GET", "HEAD")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str, allow_network: bool) -> None:
    """Check that other machines reach the page only if that was asked for.

    Raises:
        UserError: If they would without it.
    """
    if not is_loopback(host) and not allow_network:
        raise UserError(
            f"invalid host={host}: other machines would reach the page, which asks for no "
            "password; use host=127.0.0.1, or add allow_network=true if that is meant"
        )


def served_names(host: str) -> list[str]:
    """Return the names that a browser may ask for the page by, beside the address it has reached.

    Every other name is refused: the page of an attacker, whose name was made to point at this
    machine, could otherwise read what is shown here (DNS rebinding).
    """
    names = [*_LOCAL, f"[{host}]" if ":" in host else host]
    if host in ("0.0.0.0", "::"):
        names += [socket.gethostname(), socket.getfqdn()]
    return list(dict.fromkeys(name.lower() for name in names))


class KnownHost:
    """Refuses requests for other names than those served, and for addresses other than reached.

    The address by which a connection came in is no name that an attacker could choose.

    Args:
        app: The application.
        names: Names that are served.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app = app
        self._known = TrustedHostMiddleware(app, allowed_hosts=names, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        own = scope["type"] == "http" and _asks_for_reached(scope)
        await (self.app if own else self._known)(scope, receive, send)


def _asks_for_reached(scope: Scope) -> bool:
    reached = _address((scope.get("server") or ("",))[0])
    return reached is not None and reached == _address(
        _without_port(Headers(scope=scope).get("host", ""))
    )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address, IPv4 also if it is written as IPv6; None for a name."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped


class Guard:
    """Adds the headers of security, and refuses changes that another page asks for.

    A browser sends with each change the origin of the page that asks for it. It must be the one of
    the inspector itself.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        own = f"{scope['scheme']}://{headers.get('host', '')}"
        if scope["method"] not in _READING and headers.get("origin") != own:
            refusal = JSONResponse(
                {"error": "Refused: the request does not come from the page of the inspector."},
                status_code=403,
            )
            await refusal(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)
