"""The API of the local cloud: moto's application, and before it the emulator for the calls that moto only fakes.

Requests go to moto one at a time, which makes its conditional writes (If-None-Match) as atomic as those of S3. Only
requests to this very address, with this cloud's own access key, are answered: a web page in a browser or another user
of the machine has neither.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from infra.emulator.answers import ApiError
from infra.emulator.api import Emulator
from infra.emulator.disturbances import Disturbance
from infra.emulator.journal import Application, Journal, call
from infra.emulator.requests import check_model_package
from steps.errors import InputError

READING = (
    "Describe",
    "List",
    "Get",
    "BatchGet",
    "BatchDescribe",
    "BatchCheck",
    "Search",
    "Filter",
    "Simulate",
    "Validate",
)
"""How operations begin that change nothing."""
OWN = "/fourscore/"
Answered = tuple[str, list[tuple[str, str]], bytes]
SLOW_DOWN: Answered = (
    "503 Slow Down",
    [("Content-Type", "application/xml")],
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
)


class Gateway:
    """A WSGI application."""

    def __init__(self, moto: Application, journal: Journal, seed: Any, access_key: str) -> None:
        self.moto, self.journal, self.seed, self.access_key = moto, journal, seed, access_key
        self.hosts: set[str] = set()
        self.emulator: Emulator | None = None
        self.lock = threading.Lock()
        self.last_request = time.monotonic()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.last_request = time.monotonic()
        status, headers, body = self._answer(environ)
        start_response(status, headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answered:
        body = _body(environ)
        if environ.get("HTTP_HOST") not in self.hosts:
            return of_error(ApiError("AccessDenied", "this host name is not that of the local cloud", 403))
        if environ["PATH_INFO"] == f"{OWN}health":
            return of_json({"pid": os.getpid()})
        if not self._is_ours(environ):
            return of_error(ApiError("InvalidClientTokenId", "the local cloud takes its own access key only", 403))
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        try:
            if environ["PATH_INFO"].startswith(OWN):
                return self._own(environ["PATH_INFO"], json.loads(body or b"{}"))
            if environ.get("HTTP_X_AMZ_TARGET", "").startswith("SageMaker.") and self.emulator:
                return self._sagemaker(environ, body, operation)
        except ApiError as error:
            return of_error(error)
        except InputError as error:
            return of_error(ApiError("ValidationException", str(error)))
        if (
            "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
            and self.emulator
            and self.emulator.disturbances.refuses()
        ):
            return SLOW_DOWN
        return self._moto(environ, body, operation)

    def _sagemaker(self, environ: dict[str, Any], body: bytes, operation: str) -> Answered:
        """From the emulator where it knows the call; else from moto, made as strict and as true as AWS is."""
        assert self.emulator is not None
        request = json.loads(body or b"{}")
        if operation in (calls := self.emulator.calls()):
            return of_json(calls[operation](request))
        name = str(request.get("PipelineName", "")).rpartition("/")[2]
        if (
            operation == "ListTags"
            and (tags := self.emulator.shelf.tags.get(request.get("ResourceArn", ""))) is not None
        ):
            return of_json({"Tags": tags})
        if operation in ("CreatePipeline", "UpdatePipeline"):
            self.emulator.check_pipeline(request)
        if operation in ("UpdatePipeline", "DeletePipeline"):
            self.emulator.pipeline(name)
        if operation == "CreateModelPackage":
            check_model_package(request)
        answered = self._moto(environ, body, operation)
        if operation == "DescribePipeline":
            return self._described(answered, name, request.get("PipelineVersionId"))
        if operation in ("CreatePipeline", "UpdatePipeline") and answered[0].startswith("2"):
            version = self.emulator.made_pipeline(name, first=operation == "CreatePipeline")
            return of_json({**json.loads(answered[2]), "PipelineVersionId": version})
        return answered

    def _described(self, answered: Answered, name: str, version: int | None) -> Answered:
        """DescribePipeline says ResourceNotFound where moto says ValidationException, and knows earlier versions."""
        assert self.emulator is not None
        if not answered[0].startswith("2"):
            raise ApiError("ResourceNotFound", f"Pipeline '{name}' does not exist.")
        if version is None:
            return answered
        return of_json({**json.loads(answered[2]), "PipelineDefinition": self.emulator.version(name, version)})

    def _is_ours(self, environ: Mapping[str, Any]) -> bool:
        signed = environ.get("HTTP_AUTHORIZATION", "")
        query = parse_qs(environ.get("QUERY_STRING", ""))
        presigned = [*query.get("X-Amz-Credential", []), *query.get("AWSAccessKeyId", [])]  # of links, new and old
        return f"Credential={self.access_key}/" in signed or self.access_key in [
            each.partition("/")[0] for each in presigned
        ]

    def _own(self, path: str, request: dict[str, Any]) -> Answered:
        """Calls that no AWS has."""
        assert self.emulator is not None
        if path == f"{OWN}disturb":
            self.emulator.disturb(Disturbance.of(request))
            return of_json({})
        return of_error(ApiError("NotFound", path, 404))

    def _moto(self, environ: dict[str, Any], body: bytes, operation: str) -> Answered:
        changes = _changes(environ, body, operation)
        before = dict(environ)
        with self.lock:
            number = self.journal.count + 1
            if changes:
                self.seed(number)
            answered = call(self.moto, environ)
            if changes and answered[0].startswith("2"):
                self.journal.add(number, before, body, answered[2])
        return answered


def _body(environ: Mapping[str, Any]) -> bytes:
    if environ.get("CONTENT_LENGTH"):
        content: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return content
    whole: bytes = environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else b""
    return whole


def _changes(environ: Mapping[str, Any], body: bytes, operation: str) -> bool:
    if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS"):
        return False
    if not operation and environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        operation = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    return not operation.startswith(READING)


def of_json(content: Any, status: str = "200 OK") -> Answered:
    body = json.dumps(content).encode()
    return status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))], body


def of_error(error: ApiError) -> Answered:
    status, headers, body = of_json({"__type": error.code, "message": error.message}, f"{error.status} Error")
    return status, [*headers, ("x-amzn-errortype", error.code)], body
