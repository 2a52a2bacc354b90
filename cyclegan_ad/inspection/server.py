"""The web server of the inspector: its addresses, its limits, its start and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cyclegan_ad.errors import UserError
from cyclegan_ad.inspection.guard import Guard, KnownHost, served_names
from cyclegan_ad.inspection.pages import Pages
from cyclegan_ad.inspection.session import Session
from cyclegan_ad.text import printable

PAGE = Path(__file__).with_name("page")
_GRACE_S = 3


def build_app(
    session: Session, facts: dict[str, Any], *, host: str, max_upload_bytes: int
) -> Starlette:
    """Build the application.

    Args:
        session: What the inspector knows.
        facts: What the page is told once.
        host: Host that is served.
        max_upload_bytes: Largest body of a request.
    """
    pages = Pages(session, facts)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        judging = asyncio.create_task(pages.judge_all())
        yield
        judging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await judging
        pages.close()

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = error.detail
        if error.status_code == 413:
            message = f"The file is larger than {max_upload_bytes / 2**20:g} MiB."
        return JSONResponse({"error": message}, status_code=error.status_code)

    async def fail(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": printable(f"Not done: {error}.")}, status_code=500)

    async def index(_: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/state", pages.state),
            Route("/api/now", pages.now),
            Route("/api/images", pages.upload, methods=["POST"]),
            Route("/api/images/{id}/flag", pages.flag, methods=["POST"]),
            Route("/api/images/{id}/{kind}.png", pages.picture),
            Route("/api/refused", pages.refused, methods=["POST"]),
            Route("/api/batches", pages.begin_batch, methods=["POST"]),
            Route("/api/batches/{id}/decisions.csv", pages.batch_table),
            Route("/api/threshold", pages.apply, methods=["POST"]),
            Route("/api/drift", pages.restart_drift, methods=["POST"]),
            Route("/api/flags/{sha256}", pages.unflag, methods=["DELETE"]),
            Route("/api/flags.csv", pages.flags_table),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[
            Middleware(Guard),
            Middleware(KnownHost, names=served_names(host)),
        ],
        exception_handlers={HTTPException: refuse, OSError: fail, UserError: fail},
        lifespan=lifespan,
        max_body_size=max_upload_bytes,
    )


def listen(host: str, port: int) -> socket.socket:
    """Open the port before anything slow is done.

    Raises:
        UserError: If it is taken, or the host is none of this machine.
    """
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        opened = socket.socket(family)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"invalid port={port}: another program uses it (perhaps another inspector); use "
                "another number, or port=0 for any that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise UserError(f"invalid port={port}: not allowed; use a number above 1023") from error
        raise UserError(
            f"invalid host={host}: not an address of this machine ({error.strerror}); use "
            "host=127.0.0.1"
        ) from error
    return opened


def address_of(opened: socket.socket, host: str) -> str:
    """Return the address that a person types into a browser on this machine."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{opened.getsockname()[1]}/"


@contextlib.contextmanager
def serving(app: Starlette, opened: socket.socket) -> Iterator[threading.Event]:
    """Serve during the block, then end cleanly.

    Yields:
        Set when the server has ended, which it does early only after an error. To be waited for
        in place of its thread: Python before 3.13 takes a thread for ended if a signal interrupts
        ``join``.

    Raises:
        UserError: If the server has ended before the block.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    ended = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            server.run([opened])
        except BaseException as error:  # a thread would only print it
            errors.append(error)
        finally:
            ended.set()

    # In another thread, uvicorn leaves the signals to the command.
    thread = threading.Thread(target=run, name="inspector-serves")
    thread.start()
    try:
        yield ended
        if ended.is_set():
            why = "".join(f" ({type(error).__name__}: {error})" for error in errors)
            raise UserError(
                printable(f"the server of the inspector has ended{why}; run the command again")
            ) from (errors[0] if errors else None)
    finally:
        server.should_exit = True
        ended.wait(2 * _GRACE_S)
        thread.join()


def open_browser(address: str) -> None:
    """Open the page, where there is a desktop."""
    desktop = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if desktop:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
