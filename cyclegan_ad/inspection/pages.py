"""What the page asks the inspector for, over HTTP: one function for each address."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.errors import UserError
from cyclegan_ad.inspection.flags import LABELS
from cyclegan_ad.inspection.images import InspectedImage
from cyclegan_ad.inspection.pictures import (
    LARGEST_PX,
    THUMBNAIL_PX,
    draw_heat,
    draw_image,
    draw_reconstruction,
)
from cyclegan_ad.inspection.session import Session
from cyclegan_ad.inspection.uploads import RefusedUpload
from cyclegan_ad.text import printable

R = TypeVar("R")
_LONGEST_NOTE = 1000
_JUDGED_TOGETHER = 4


class Pages:
    """Answers of the inspector.

    Everything that computes runs in one thread, in turn, so that the page stays responsive.

    Args:
        session: What the inspector knows.
        facts: What the page is told once: detector, known scores, limits, commands.
    """

    def __init__(self, session: Session, facts: dict[str, Any]) -> None:
        self.session, self._facts = session, facts
        self._computing = ThreadPoolExecutor(1, "inspector-computes")
        self._drawing = ThreadPoolExecutor(2, "inspector-draws")

    def close(self) -> None:
        """Forget what waits to be computed."""
        self._computing.shutdown(cancel_futures=True)
        self._drawing.shutdown(cancel_futures=True)

    async def judge_all(self) -> None:
        """Decide about the images to pick from that have no stored score, a few at a time."""
        waiting = [image for image in self.session.images.values() if not image.judged]
        for start in range(0, len(waiting), _JUDGED_TOGETHER):
            some = waiting[start : start + _JUDGED_TOGETHER]
            await self._compute(self.session.judge, some)

    async def _compute(self, function: Callable[..., R], *arguments: Any) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._computing, function, *arguments)

    async def _draw(self, function: Callable[..., R], *arguments: Any) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._drawing, function, *arguments)

    def _image(self, request: Request) -> InspectedImage:
        image = self.session.images.get(request.path_params["id"])
        if image is None:
            raise HTTPException(404, "This image is not known any more. Load the page again.")
        return image

    def _now(self) -> dict[str, Any]:
        """What changes while the page is open."""
        session = self.session
        return {
            "applied": _thresholds(session.decision),
            "saved": _thresholds(session.saved),
            "images": [
                session.describe(image)
                for image in list(session.images.values())  # another thread adds uploads
                if image.source != "upload"
            ],
            "flags": self._flags(),
            "drift": None if session.monitor is None else session.monitor.warning,
        }

    def _flags(self) -> list[dict[str, str]]:
        """Return the flags; bytes of a path that are not UTF-8 are escaped."""
        return [row | {"path": printable(row["path"])} for row in self.session.flags.rows()]

    async def state(self, request: Request) -> Response:
        """Answer with all that the page shows but pictures."""
        return JSONResponse(self._facts | self._now())

    async def now(self, request: Request) -> Response:
        """Answer with what changes."""
        return JSONResponse(self._now())

    async def picture(self, request: Request) -> Response:
        """Answer with a picture of an image: thumb, image, reconstruction or heat."""
        image, kind = self._image(request), request.path_params["kind"]
        preprocessing = self.session.detector.description["preprocessing"]
        size_px = {"thumb": THUMBNAIL_PX, "image": LARGEST_PX}.get(kind)
        content: bytes | None = None
        if size_px is not None:
            window = preprocessing["window"]
            how = (preprocessing["channels"], None if window is None else tuple(window), size_px)
            try:
                content = await self._draw(draw_image, image.path, *how)
            except UnreadableImage:
                content = None
        elif kind in ("reconstruction", "heat"):
            found = await self._compute(self.session.look, image)
            draw = draw_reconstruction if kind == "reconstruction" else draw_heat
            content = await self._draw(draw, found)
        if content is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(content, media_type="image/png")

    async def upload(self, request: Request) -> Response:
        """Decide about the file in the body; its name is in a header."""
        name = unquote(request.headers.get("x-file-name", "")) or "image"
        batch = request.query_params.get("batch")
        if batch is not None and not self.session.has_batch(batch):
            raise HTTPException(404, "This batch is not known any more. Load the page again.")
        data = await request.body()
        try:
            image = await self._compute(self.session.upload, data, name, batch)
        except RefusedUpload as error:
            raise HTTPException(422, f"{printable(name)} was not judged: {error}.") from error
        monitor = self.session.monitor
        drift = None if monitor is None else monitor.warning
        return JSONResponse(self.session.describe(image) | {"drift": drift})

    async def watch_anew(self, request: Request) -> Response:
        """Begin to watch for drift anew."""
        reset = (await _json(request)).get("reset")
        if reset not in ("reference", "images"):
            raise HTTPException(422, "Say whether the cause was removed or the change stays.")
        await self._compute(self.session.watch_anew, reset)
        return JSONResponse(self._now())

    async def begin_batch(self, request: Request) -> Response:
        """Begin a batch."""
        return JSONResponse({"id": self.session.begin_batch()})

    async def batch_table(self, request: Request) -> Response:
        """Answer with the decisions of a batch, as a file to download."""
        batch = request.path_params["id"]
        if not self.session.has_batch(batch):
            raise HTTPException(404, "This batch is not known any more. Load the page again.")
        return _download(self.session.batch_table(batch), "decisions.csv")

    async def apply(self, request: Request) -> Response:
        """Decide by another threshold, or by that of the detector again."""
        given = await _json(request)
        lower, upper = given.get("lower"), given.get("upper")
        if lower is None:
            self.session.apply(None)
        elif not _is_number(lower) or not (upper is None or (_is_number(upper) and upper >= lower)):
            raise HTTPException(422, "The threshold is not a number, or above the upper one.")
        else:
            self.session.apply(float(lower), None if upper is None else float(upper))
        return JSONResponse(self._now())

    async def flag(self, request: Request) -> Response:
        """Write that a decision is wrong."""
        image, given = self._image(request), await _json(request)
        label, note = given.get("label"), given.get("note", "")
        if label not in LABELS or not isinstance(note, str) or len(note) > _LONGEST_NOTE:
            raise HTTPException(
                422, f"A flag says normal or abnormal, with a note of {_LONGEST_NOTE} characters."
            )
        try:
            await self._draw(self.session.flag, image, label, printable(note))
        except (UserError, OSError) as error:
            raise HTTPException(500, f"The flag was not written: {error}.") from error
        return JSONResponse(self.session.describe(image) | {"flags": self._flags()})

    async def unflag(self, request: Request) -> Response:
        """Take a flag back."""
        if not await self._draw(self.session.flags.remove, request.path_params["sha256"]):
            raise HTTPException(404, "This flag was taken back before.")
        return JSONResponse(self._now())

    async def flags_table(self, request: Request) -> Response:
        """Answer with ``flags.csv``, as a file to download."""
        table = self.session.flags.table
        return _download(table.read_bytes() if table.is_file() else b"", "flags.csv")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _thresholds(decision: Decision) -> dict[str, float | None]:
    return {"lower": decision.threshold, "upper": decision.upper}


async def _json(request: Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise HTTPException(422, "The request is not an object of JSON.")
    return given


def _download(text: str | bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
