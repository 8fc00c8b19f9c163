"""The server of the local cloud: S3 and SageMaker's API on loopback, in one process and at one address.

It takes requests to this very address with this cloud's own access key only: a web page in a browser and another user of
the machine have neither.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.emulator import s3
from infra.emulator.api import Api, ApiError
from infra.emulator.jobs import Machine
from infra.emulator.local_stack import BUCKET, REGION
from infra.s3.objects import PART
from steps.errors import InputError, install

ATTEMPTS = 3
"""How often a client sends a request: a local cloud that does not answer has ended."""
LONGEST_BODY = 2 * PART
"""Bytes of a request's body; larger files travel in parts."""
_JSON = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Address:
    """Where the local cloud of a workspace listens, and the key that it takes."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make any AWS SDK talk to this cloud and to no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """Return a client that talks to this cloud, whatever the environment or the user's profile say.

        Raises:
            InputError: boto3 is not installed.
        """
        try:
            import botocore.session  # boto3 itself brings its transfers along, a fifth of a plan's time
            from botocore.config import Config
        except ImportError:
            raise InputError(f"the local cloud needs boto3; {install('aws')}") from None
        profile = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
        return botocore.session.Session(profile).create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, max_pool_connections=12),
        )


class Server:
    """Listens from the moment it is made until :meth:`close`.

    Args:
        pace: what :class:`Machine` has in seconds, for tests.
    """

    def __init__(self, directory: Path, **pace: float) -> None:
        self.http = _Http(("127.0.0.1", 0), _Handler)
        endpoint = f"http://127.0.0.1:{self.http.server_port}"
        self.address = Address(endpoint, "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20), os.getpid())
        shutil.rmtree(directory / "containers", ignore_errors=True)  # of a local cloud that was killed
        (directory / "containers").mkdir()
        buckets = s3.Buckets(directory / "s3")
        (buckets.directory / BUCKET).mkdir(exist_ok=True)
        self.http.access_key = self.address.access_key
        self.http.api = self.api = Api(Machine(directory, buckets, self.address.environment, **pace))
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request; none while an execution runs."""
        if self.api.busy():
            self.http.last_request = time.monotonic()
        return time.monotonic() - self.http.last_request

    def close(self) -> None:
        self.api.kill_jobs()
        self.http.shutdown()
        self.http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    api: Api
    access_key = ""
    last_request = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds in which the rest of a request has to come
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        self.server.last_request = time.monotonic()
        try:
            self._check()
            reply = self._answer(self.rfile.read(self._length()))
        except ApiError as error:  # its body is not read, so nothing can follow it
            self.close_connection = True
            reply = _error(error)
        self.send_response(reply.status)
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815 -- the names that http.server calls

    def _check(self) -> None:
        """Check who asks, before anything of the body is read.

        Raises:
            ApiError: it is not a client of this local cloud.
        """
        if self.headers.get("Host") != f"127.0.0.1:{self.server.server_port}":
            raise ApiError("AccessDenied", "this host name is not that of the local cloud", 403)
        if f"Credential={self.server.access_key}/" not in self.headers.get("Authorization", ""):
            raise ApiError("InvalidClientTokenId", "the local cloud takes its own access key only", 403)

    def _length(self) -> int:
        """Return the length of the body.

        Raises:
            ApiError: the body is longer than any that our clients send, or its length is not said.
        """
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise ApiError("MissingContentLength", "the local cloud needs the length of a body", 411)
        if int(length) > LONGEST_BODY:
            raise ApiError("EntityTooLarge", f"the local cloud takes {LONGEST_BODY >> 20} MiB in one request", 413)
        return int(length)

    def _answer(self, body: bytes) -> s3.Reply:
        try:
            if target := self.headers.get("X-Amz-Target"):
                content = self.server.api.call(target.rpartition(".")[2], json.loads(body))
                return s3.Reply(200, {"Content-Type": _JSON}, json.dumps(content).encode())
            return self._answer_s3(body)
        except ApiError as error:
            return _error(error)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            return _error(ApiError("ValidationException", f"no such request is known: {type(error).__name__}: {error}"))
        except Exception as error:  # such as a full disk
            logging.getLogger(__name__).exception("%s %s", self.command, self.path)
            return _error(ApiError("InternalFailure", f"{type(error).__name__}: {error}", 500))

    def _answer_s3(self, body: bytes) -> s3.Reply:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return s3.answer(self.server.api.machine.buckets, s3.Request(self.command, bucket, key, query, headers, body))

    def log_message(self, *_: Any) -> None:
        """Say nothing of single requests."""


def _error(error: ApiError) -> s3.Reply:
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    return s3.Reply(error.status, {"Content-Type": _JSON, "x-amzn-errortype": error.code}, body)
