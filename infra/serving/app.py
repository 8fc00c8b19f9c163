"""The HTTP side: routes, limits, request ids and the log. Bad input is 4xx, too much at once is 503, and both say why."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from infra.serving import counts, log, openapi, page
from infra.serving.capture import Capture
from infra.serving.model import Model, Reply
from infra.serving.refusals import Refusal
from infra.serving.settings import Settings

ANSWER = "/invocations"
LOOPBACK = ["127.0.0.1", "localhost"]
"""The names of this machine; a page elsewhere that lets its own name lead here could otherwise read answers."""
IDS = ("x-request-id", "x-amzn-sagemaker-inference-id")
"""The headers by which a client names its request, and an answer names it again."""
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
"""The header in which SageMaker hands over what has no place in a body, such as ``intervals=0.95``."""
_SAFE = re.compile(r"[A-Za-z0-9._:/=+@-]{1,128}")
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_SMALL = 16 << 10
"""Bytes of a body that is read at once: a thread would take longer than reading it."""


class Server:
    """The application of one model; ``app`` is its ASGI side."""

    def __init__(self, model: Model, settings: Settings) -> None:
        """Take a loaded model."""
        self._model, self.settings, self.limits = model, settings, settings.limits
        self.counts = counts.Counts()
        self._capture = Capture(settings.capture, self.counts) if settings.capture else None
        model.keeps_evidence = self._capture is not None
        self._openapi = openapi.document(model.schema, model.digest, settings.limits)
        self._threads = ThreadPoolExecutor(min(cpu_count() or 1, 4), thread_name_prefix="answer")
        self._page = page.html(model.schema, model.digest).encode() if settings.page else b""
        self.app = Starlette(
            routes=[
                Route("/ping", self.ping),
                Route(ANSWER, self.answer, methods=["POST"]),
                Route("/execution-parameters", self.parameters),
                Route("/metrics", self.metrics),
                Route("/openapi.json", self.description),
                *([Route("/", self.page)] if settings.page else []),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)] if settings.host in LOOPBACK else [],
            exception_handlers={HTTPException: self.unknown_route},
        )

    @property
    def model(self) -> Model:
        """The model that is served now."""
        return self._model

    async def ping(self, request: Request) -> Response:
        """Say that the model is loaded; its digest says which one."""
        return self._document(200, {"status": "ok", "model": self.model.digest}, _request_id(request))

    async def parameters(self, request: Request) -> Response:
        """Say to batch transform how much it may send at once."""
        mebibytes = max(self.limits.body_bytes >> 20, 1)
        most = {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": min(mebibytes, 25)}
        return self._document(200, most, _request_id(request))

    async def page(self, _request: Request) -> Response:
        """Show the page to try the model."""
        headers = {**_HEADERS, "content-security-policy": page.policy(), "referrer-policy": "no-referrer"}
        return Response(self._page, media_type="text/html", headers=headers)

    async def description(self, request: Request) -> Response:
        return self._document(200, self._openapi, _request_id(request))

    def close(self) -> None:
        """Write what is captured and not yet on the disk."""
        if self._capture:
            self._capture.close()

    async def metrics(self, _request: Request) -> Response:
        return Response(self.counts.text(self.model.digest), media_type=counts.CONTENT_TYPE)

    async def unknown_route(self, request: Request, error: Exception) -> Response:
        """Answer an unknown path or method."""
        assert isinstance(error, HTTPException)
        advice = "send rows to POST /invocations; GET /ping, /metrics and /openapi.json say more"
        refusal = Refusal(error.status_code, f"{error.detail}: {advice}", headers=error.headers)
        self.counts.answered("other", refusal.status, 0.0)
        return self._refused(refusal, _request_id(request))

    async def answer(self, request: Request) -> Response:
        """Answer rows; whatever happens, the client gets a status that says whose turn it is."""
        started, request_id, read = time.perf_counter(), _request_id(request), 0
        fields: dict[str, object] = {}
        self.counts.in_progress += 1
        try:
            self._admit()
            content = await self._body(request)
            read = len(content)
            reply = await self._reply(request, content)
            self.counts.rows += reply.rows
            if self._capture and reply.evidence:
                self._capture.keep(request_id, reply.evidence)
            self.counts.unlike.update(reply.unlike)
            fields = {"rows": reply.rows, **({"unlike": reply.unlike} if reply.unlike else {})}
            response = Response(reply.content, media_type=reply.media, headers=_headers(request_id))
        except Refusal as refusal:
            response = self._refused(refusal, request_id)
        except ClientDisconnect:
            response = self._refused(Refusal(400, "the client went away"), request_id)
        except Exception as error:  # noqa: BLE001 - a client is answered whatever broke
            fields = log.failure(error)
            reason = "something broke here; the log of the server names the place by this request id"
            response = self._refused(Refusal(500, reason), request_id)
        finally:
            self.counts.in_progress -= 1
        seconds = time.perf_counter() - started
        self.counts.answered(ANSWER, response.status_code, seconds)
        log.write(
            "answer", request_id=request_id, status=response.status_code, milliseconds=round(seconds * 1e3, 3), bytes=read, **fields
        )  # fmt: skip
        return response

    def model_of(self, request: Request) -> Model:
        """Return the model that answers a request."""
        return self.model

    def _admit(self) -> None:
        """Let a request in.

        Raises:
            Refusal: 503, as many as the limit are in progress.
        """
        if self.counts.in_progress > self.limits.requests:
            raise _busy(f"{self.limits.requests} requests are in progress")

    async def _body(self, request: Request) -> bytes:
        """Return the body; of one that is too long the rest is read and dropped, so that the client reads the refusal.

        Raises:
            Refusal: 408, it does not arrive in time; 413, it is too long.
        """
        most, seconds = self.limits.body_bytes, self.limits.arrival_seconds
        content, total = bytearray(), int("expect" in request.headers and _length(request))
        try:
            async with asyncio.timeout(seconds):
                if total <= most:  # else a client that waits for leave to send gets none
                    total = 0
                    async for part in request.stream():
                        total += len(part)
                        if total <= most:
                            content += part
        except TimeoutError:
            if total <= most:
                close = {"connection": "close"}
                raise Refusal(408, f"the body did not arrive in {seconds:g} seconds", headers=close) from None
        if total > most:
            raise Refusal(413, f"a body may have {most:,} bytes", headers={"connection": "close"})
        return bytes(content)

    async def _reply(self, request: Request, content: bytes) -> Reply:
        """Return the model's reply; what may take more than a millisecond has a thread.

        Raises:
            Refusal: the request is wrong, or its answer takes too long.
        """
        headers, model = request.headers, self.model_of(request)
        question = partial(
            model.question,
            content,
            headers.get("content-type", ""),
            headers.get("accept", ""),
            most_rows=self.limits.rows,
            level=request.query_params.get("intervals", _attribute(headers.get(ATTRIBUTES, ""), "intervals")),
        )
        if len(content) > _SMALL or "parquet" in headers.get("content-type", "").lower():
            return await self._in_thread(lambda: model.reply(question()))
        small = question()
        return model.quick_reply(small) or await self._in_thread(lambda: model.reply(small))

    async def _in_thread(self, work: Callable[[], Reply]) -> Reply:
        """Return the result of work that others must not wait for.

        Raises:
            Refusal: 503, it takes too long.
        """
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise _busy(f"no answer within {self.limits.answer_seconds:g} seconds") from None

    def _refused(self, refusal: Refusal, request_id: str) -> Response:
        return self._document(refusal.status, refusal.document(request_id), request_id, refusal.headers)

    def _document(
        self, status: int, document: object, request_id: str, headers: dict[str, str] | None = None
    ) -> Response:
        all_headers = {**_headers(request_id), **(headers or {})}
        return Response(orjson.dumps(document), status, media_type="application/json", headers=all_headers)


def _busy(why: str) -> Refusal:
    return Refusal(503, f"{why}; send this again in a second", headers={"retry-after": "1"})


def _headers(request_id: str) -> dict[str, str]:
    return {**_HEADERS, **dict.fromkeys(IDS, request_id)}


def _request_id(request: Request) -> str:
    """Return the client's name of the request if it is safe to repeat, or a new one."""
    names = (request.headers.get(name, "") for name in IDS)
    return next(filter(_SAFE.fullmatch, names), None) or uuid.uuid4().hex


def _length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _attribute(text: str, key: str) -> str | None:
    """Return the value of a key in ``key=value,key=value``."""
    pairs = (part.partition("=") for part in re.split("[,;]", text))
    return next((value.strip() for name, _, value in pairs if name.strip() == key), None)
