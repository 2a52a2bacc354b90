"""What requests of the page hold, and forms of answers."""

from __future__ import annotations

import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


def is_number(value: object) -> bool:
    """Return whether a value of JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


async def read_json(request: Request) -> dict[str, Any]:
    """Return the object of JSON in the body of a request.

    Raises:
        HTTPException: If it holds none.
    """
    try:
        given = await request.json()
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise HTTPException(422, "The request is not an object of JSON.")
    return given


def as_download(text: str | bytes, name: str) -> Response:
    """Answer with a CSV file that the browser stores under a name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
