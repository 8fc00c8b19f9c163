"""The application behind ``fourscore ui``: MLflow's own, for those who have the link's token, and read-only by default.

MLflow itself asks nobody for a password, and answers pages of every ``http://localhost`` port. A page or another user of the
machine could move an alias, and the owner's next prediction would run a foreign model.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]

QUERY = re.compile(
    r"/graphql|/(ajax-)?api/\d\.\d/mlflow/[a-z-]+/(search|search-datasets|get-latest-versions|batchGetInfos|metrics)"
)
"""Paths whose POST requests only read; MLflow's page sends its searches so."""
LONGEST_QUERY, LONGEST_EDIT = 1 << 20, 1 << 25
"""Bytes of a request that only reads, and of one that may write; files alone may be longer."""
FILES = re.compile(r"/(ajax-)?api/\d\.\d/mlflow-artifacts/|/ajax-api/\d\.\d/mlflow/upload-artifact")
OUTWARD = re.compile(r"/(gateway|gateway-proxy|assistant|webhooks|jobs)(/|$)")
"""Parts of MLflow that call other servers or start programs; tracking needs none of them."""
CHOICES = {"mlflow.workflowType_v1": '"machine_learning"', "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}
"""What MLflow's page remembers in the browser: the view of trained models, and no chat that opens by itself."""
SCRIPT = f"""
for (const [name, value] of Object.entries({json.dumps(CHOICES)}))
  if (localStorage.getItem(name) === null) localStorage.setItem(name, value);
const query = new URLSearchParams(location.search);
query.delete("token");
location.replace("/?" + query + location.hash);
"""
"""Without its view MLflow's page goes back to the one for language models at the first click; what a person chose stays."""
ENTRANCE = f'<!doctype html><meta charset="utf-8"><title>MLflow</title><script>{SCRIPT}</script>'
POLICY = (
    f"default-src 'none'; script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)


class Guard:
    """An ASGI application that lets a request through to ``app`` if it has the token and may do what it asks.

    The link of ``fourscore ui`` has the token once, as ``?token=``; the answer to it sets a cookie and goes on to MLflow's
    page. Programs send it as ``Authorization: Bearer`` (``MLFLOW_TRACKING_TOKEN``). A browser says in ``Origin`` which page
    sends a request, so pages of other servers on this machine are refused though they share the cookie.
    """

    def __init__(self, app: Asgi, token: str, origin: str, *, write: bool = False) -> None:
        self.app, self.token, self.origin, self.write = app, token, origin, write
        self.cookie = "fourscore-ui-" + origin.rsplit(":", 1)[-1]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send) if scope["type"] == "lifespan" else None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._is_token(dict(query).get("token", "")) and scope["method"] == "GET":
            cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            html = {"content_type": "text/html; charset=utf-8", "content_security_policy": POLICY}
            return await _answer(send, 200, ENTRANCE, set_cookie=cookie, **html)
        if status := self._refuse(scope["method"], scope["path"], headers):
            return await _answer(send, *status)
        return await self.app(scope, receive, send)

    def _refuse(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and reason of a refusal, or None."""
        if headers.get("origin", self.origin) != self.origin:
            return 403, "requests of other pages are refused"
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if not self._is_token(_cookie(headers, self.cookie)) and not self._is_token(bearer):
            return 401, "open the link that `fourscore ui` printed; programs send its token in MLFLOW_TRACKING_TOKEN"
        if OUTWARD.search(path):
            return 403, "this part of MLflow is not served"
        only_reads = method in ("GET", "HEAD", "OPTIONS") or (method == "POST" and QUERY.fullmatch(path))
        if not self.write and not only_reads:
            return 403, "read-only; `fourscore ui --write` lets you edit"
        length, longest = headers.get("content-length", "0"), LONGEST_EDIT if self.write else LONGEST_QUERY
        if self.write and FILES.match(path):
            return None
        if "transfer-encoding" in headers or not length.isdigit() or int(length) > longest:
            return 413, f"a request has at most {longest >> 20} MiB, and says its length"
        return None

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


async def _answer(send: Any, status: int, text: str, **headers: str) -> None:
    lines = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", "referrer-policy": "no-referrer"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})


def create() -> Guard:
    """Return the guarded MLflow application, with the settings of ``mlflow_server.start`` in the environment."""
    from mlflow.server import constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = os.environ["MLFLOW_BACKEND_STORE_URI"]
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = os.environ["MLFLOW_DEFAULT_ARTIFACT_ROOT"]
    from mlflow.server.fastapi_app import app

    token, origin = os.environ["FOURSCORE_UI_TOKEN"], os.environ["FOURSCORE_UI_ORIGIN"]
    return Guard(app, token, origin, write=os.environ.get("FOURSCORE_UI_WRITE") == "1")
