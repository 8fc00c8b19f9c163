"""The server of the review page: loopback only, for whoever has the link's token, and over once something was signed.

The link has the token once; the answer to it sets a cookie, which only pages of this server send back (SameSite=Strict). A form is
accepted with the cookie, an ``Origin`` and a ``Host`` of this server, and a value that only its own page knows.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.approvals.keys import Signer
from infra.approvals.log import Entry
from infra.places import store_of
from infra.runs import records
from pipelines import approval
from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render as render_report
from pipelines.pages.review.page import Form, render
from steps.errors import FourscoreError, InputError

LONGEST = 1 << 17
"""Bytes of a form."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Review:
    """The review of one run by one signer."""

    def __init__(
        self, workspace: Path, run: str, signer: Signer | None, problem_of_signer: str, approvers: Path | None
    ) -> None:
        """Look at the candidate.

        Raises:
            InputError, GateRefused: the run has none.
        """
        self.workspace, self.run, self.signer, self.approvers = workspace, run, signer, approvers
        record = records.load(workspace, run)
        self.store = store_of(workspace, record)
        self.subject, self.current = approval.standing_of(self.store, record, approvers)
        self.facts = gather(workspace, run)
        self.approver, self.problem_of_signer = "", problem_of_signer
        if signer and not problem_of_signer:
            try:
                self.approver = approval.person_of(self.store, signer, self.subject).name
            except FourscoreError as error:
                self.problem_of_signer = str(error)
        self.token = secrets.token_urlsafe(24)
        self.entry: Entry | None = None
        self.ended: Callable[[], None] = lambda: None

    @property
    def csrf(self) -> str:
        return hmac.new(self.token.encode(), b"form", hashlib.sha256).hexdigest()

    def page(self, form: Form | None = None, outcome: str = "", next_step: str = "") -> str:
        """Return the page as it is now."""
        return render(
            self.facts,
            self.current,
            approver=self.approver,
            problem_of_signer=self.problem_of_signer,
            questions=self.subject.card.review.questions,
            reservations=self.subject.reservations,
            csrf=self.csrf,
            form=form,
            outcome=outcome,
            next_step=next_step,
        )

    def decide(self, fields: dict[str, str]) -> tuple[int, str]:
        """Sign what a form says; return the status and the page of the answer."""
        questions = self.subject.card.review.questions
        answers = {question: fields.get(f"answer-{number}", "").strip() for number, question in enumerate(questions, 1)}
        form = Form(fields.get("reason", "").strip(), answers)
        decision = fields.get("decision", "")
        if self.signer is None or self.problem_of_signer or decision not in ("approve", "reject"):
            return 400, self.page(replace(form, fault="The form is not one of this page."))
        if not form.reason:
            return 400, self.page(replace(form, fault="Write a reason."))
        try:
            self.entry, self.current = approval.decide(
                self.workspace,
                self.run,
                decision,
                form.reason,
                self.signer,
                answers=answers if decision == "approve" else {},
                anyway=fields.get("anyway") == "yes",
                approvers=self.approvers,
            )
        except FourscoreError as error:
            return 400, self.page(replace(form, fault=str(error)))
        outcome = f"{self.approver} {decision}s this model; statement {self.entry.digest[:12]}."
        missing = "; ".join(self.current.reasons)
        next_step = (
            missing or f"It is approved until {(self.current.expires or '')[:10]}: `fourscore promote {self.run}`."
        )
        return 200, self.page(outcome=outcome, next_step=next_step)


def application(review: Review, origin: str) -> Starlette:
    """Return the ASGI application of a review at an origin such as ``http://127.0.0.1:8123``."""
    host = origin.removeprefix("http://")
    cookie = f"fourscore-review-{host.rpartition(':')[2]}"

    def refusal(request: Request) -> Response | None:
        if request.headers.get("host") != host or request.headers.get("origin", origin) != origin:
            return _plain(403, "requests of other pages are refused")
        if not hmac.compare_digest(request.cookies.get(cookie, "").encode(), review.token.encode()):
            return _plain(401, "open the link that `fourscore review` printed")
        return None

    async def show(request: Request) -> Response:
        token = request.query_params.get("token", "")
        if request.headers.get("host") == host and hmac.compare_digest(token.encode(), review.token.encode()):
            answer = RedirectResponse("/", 303, _HEADERS)
            answer.set_cookie(cookie, review.token, httponly=True, samesite="strict")
            return answer
        return refusal(request) or HTMLResponse(review.page(), headers=_HEADERS)

    async def report(request: Request) -> Response:
        return refusal(request) or HTMLResponse(render_report(review.facts), headers=_HEADERS)

    async def decide(request: Request) -> Response:
        if refused := refusal(request):
            return refused
        if request.headers.get("origin") != origin:
            return _plain(403, "a decision is sent by the form of this page")
        try:
            content = await _body(request)
        except ClientDisconnect:
            content = None
        if content is None:
            return _plain(413, f"a form has at most {LONGEST:,} bytes")
        fields = {name: values[0] for name, values in parse_qs(content.decode("utf-8", "replace")).items()}
        if not hmac.compare_digest(fields.get("csrf", "").encode(), review.csrf.encode()):
            return _plain(403, "a decision is sent by the form of this page")
        if review.entry:
            return _plain(409, "this review is over")
        status, page = review.decide(fields)
        if review.entry:
            review.ended()
        return HTMLResponse(page, status, _HEADERS)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/report", report),
            Route("/decision", decide, methods=["POST"]),
        ]
    )


def serve(review: Review, port: int, show_link: Callable[[str], None]) -> None:
    """Show the page until something was signed, Ctrl-C or SIGTERM.

    Raises:
        InputError: the port is in use.
    """
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise InputError(f"port {port} of 127.0.0.1: {error.strerror}; choose another one: --port 0") from None
    with listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            application(review, origin), log_level="error", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=5, timeout_keep_alive=1,
        )  # fmt: skip
        server = uvicorn.Server(config)

        def end() -> None:
            server.should_exit = True

        review.ended = end
        show_link(f"{origin}/?token={review.token}")
        server.run(sockets=[listener])


async def _body(request: Request) -> bytes | None:
    """Return the body; None if it is too long."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LONGEST:
            return None
    return bytes(content)


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status, _HEADERS)
