"""The server of the local cloud: SageMaker's API on loopback.

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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.emulator.api import Api, ApiError
from infra.emulator.jobs import Machine
from infra.emulator.local_cloud import Address

LONGEST_BODY = 4 << 20
"""Bytes of a request's body; a definition has a few thousand."""


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
        self.http.access_key = self.address.access_key
        self.http.api = self.api = Api(Machine(directory, **pace))
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
    disable_nagle_algorithm = True
    timeout = 60  # seconds in which the rest of a request has to come

    def do_POST(self) -> None:
        self.server.last_request = time.monotonic()
        try:
            self._check_sender()
            body = self.rfile.read(self._length())
        except ApiError as error:  # the body is not read, so no request can follow it
            self.close_connection = True
            self._send(error.status, error.document)
            return
        try:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            self._send(200, self.server.api.call(operation, json.loads(body)))
        except ApiError as error:
            self._send(error.status, error.document)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._send(400, ApiError("ValidationException", f"{type(error).__name__}: {error}").document)
        except Exception as error:  # such as a full disk
            logging.getLogger(__name__).exception("%s", self.headers["X-Amz-Target"])
            self._send(500, ApiError("InternalFailure", f"{type(error).__name__}: {error}").document)

    def _check_sender(self) -> None:
        """Check who asks.

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
        if int(length[:20]) > LONGEST_BODY:
            raise ApiError("EntityTooLarge", f"the local cloud takes {LONGEST_BODY >> 20} MiB in one request", 413)
        return int(length)

    def _send(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of single requests."""
