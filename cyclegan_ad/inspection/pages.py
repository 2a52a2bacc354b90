"""What the page asks the inspector for, over HTTP: one function for each address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.inspection.answers import as_download, is_number, read_json
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
        """What changes while the page is open, but images."""
        session = self.session
        return {
            "applied": _thresholds(session.decision),
            "saved": _thresholds(session.saved),
            "flags": self._flags(),
            "drift": self._drift(),
            "trouble": session.trouble,
        }

    def _images(self, since: int = -1) -> dict[str, Any]:
        """The images that changed after a revision, and the revision that they are of."""
        revision = self.session.revision  # read first: what changes meanwhile is sent again
        images = list(self.session.images.values())  # another thread adds uploads
        changed = [self.session.describe(image) for image in images if image.revision > since]
        return {"revision": revision, "images": changed}

    def _drift(self) -> str | None:
        monitor = self.session.monitor
        if monitor is None or monitor.warning is None:
            return None
        return f"{monitor.warning}, until you choose Cause removed or The change stays"

    def _flags(self) -> list[dict[str, str]]:
        """Return the flags; bytes of a path that are not UTF-8 are escaped."""
        return [row | {"path": printable(row["path"])} for row in self.session.flags.rows()]

    async def state(self, request: Request) -> Response:
        """Answer with all that the page shows but pictures."""
        return JSONResponse(self._facts | self._now() | self._images())

    async def now(self, request: Request) -> Response:
        """Answer with what changes, and the images that changed since a revision."""
        since = request.query_params.get("since", "")[:18]
        images = self._images(int(since) if since.isdecimal() else -1)
        return JSONResponse(self._now() | images)

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
        except (RefusedUpload, OSError) as error:
            reason = printable(str(error))
            said = {"error": f"{printable(name)} was not judged: {reason}."}
            said |= await self._refuse(name, reason, batch)
            return JSONResponse(said, 422 if isinstance(error, RefusedUpload) else 500)
        return JSONResponse(self.session.describe(image) | {"drift": self._drift()})

    async def _refuse(self, name: str, reason: str, batch: str | None) -> dict[str, Any]:
        """Note a file that was not judged; return whether the tables have it."""
        try:
            await self._compute(self.session.refuse, name, reason, batch)
        except (RefusedUpload, OSError) as error:
            return {"noted": isinstance(error, OSError) and batch is not None}
        return {"noted": True}

    async def refused(self, request: Request) -> Response:
        """Note a file that could not be sent: too large, or the connection was lost."""
        given = await read_json(request)
        name, reason, batch = (given.get(key) for key in ("name", "reason", "batch"))
        if not isinstance(name, str) or not isinstance(reason, str):
            raise HTTPException(422, "A refused file has a name and a reason.")
        if batch is not None and not (isinstance(batch, str) and self.session.has_batch(batch)):
            raise HTTPException(404, "This batch is not known any more. Load the page again.")
        return JSONResponse(await self._refuse(name or "image", reason, batch))

    async def restart_drift(self, request: Request) -> Response:
        """Restart drift monitoring."""
        reset = (await read_json(request)).get("reset")
        if reset not in ("reference", "images"):
            raise HTTPException(422, "Say whether the cause was removed or the change stays.")
        await self._compute(self.session.restart_drift, reset)
        return JSONResponse(self._now())

    async def begin_batch(self, request: Request) -> Response:
        """Begin a batch."""
        return JSONResponse({"id": self.session.begin_batch()})

    async def batch_table(self, request: Request) -> Response:
        """Answer with the decisions of a batch, as a file to download."""
        batch = request.path_params["id"]
        if not self.session.has_batch(batch):
            raise HTTPException(404, "This batch is not known any more. Load the page again.")
        return as_download(self.session.batch_table(batch), "decisions.csv")

    async def apply(self, request: Request) -> Response:
        """Decide by another threshold, or by that of the detector again."""
        given = await read_json(request)
        lower, upper = given.get("lower"), given.get("upper")
        if lower is None:
            self.session.apply(None)
        elif not is_number(lower) or not (upper is None or (is_number(upper) and upper >= lower)):
            raise HTTPException(422, "The threshold is not a number, or above the upper one.")
        else:
            self.session.apply(float(lower), None if upper is None else float(upper))
        return JSONResponse(self._now())

    async def flag(self, request: Request) -> Response:
        """Write that a decision is wrong."""
        image, given = self._image(request), await read_json(request)
        label, note = given.get("label"), given.get("note", "")
        if label not in LABELS or not isinstance(note, str) or len(note) > _LONGEST_NOTE:
            raise HTTPException(
                422, f"A flag says normal or abnormal, with a note of {_LONGEST_NOTE} characters."
            )
        await self._draw(self.session.flag, image, label, printable(note))
        return JSONResponse(self.session.describe(image) | {"flags": self._flags()})

    async def unflag(self, request: Request) -> Response:
        """Take a flag back."""
        if not await self._draw(self.session.flags.remove, request.path_params["sha256"]):
            raise HTTPException(404, "This flag was taken back before.")
        return JSONResponse(self._now())

    async def flags_table(self, request: Request) -> Response:
        """Answer with ``flags.csv``, as a file to download."""
        table = self.session.flags.table
        return as_download(table.read_bytes() if table.is_file() else b"", "flags.csv")


def _thresholds(decision: Decision) -> dict[str, float | None]:
    return {"lower": decision.threshold, "upper": decision.upper}
