"""The local cloud inside a process: moto's application, the journal, the emulator, the gateway before them, one server."""

from __future__ import annotations

import json
import logging
import os
import secrets
import string
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.emulator.api import Emulator
from infra.emulator.cloud import Cloud as Clients
from infra.emulator.gateway import Gateway
from infra.emulator.jobs import Options
from infra.emulator.journal import Journal

REGION, ACCOUNT = "us-east-1", "123456789012"


@dataclass(frozen=True)
class Address:
    """Where the local cloud of a workspace listens and who may talk to it."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int

    @property
    def clients(self) -> Clients:
        return Clients(self.endpoint, REGION, ACCOUNT, self.access_key, self.secret_key)


def address(place: Path) -> Address | None:
    """What the last process wrote; whether it lives is another question."""
    try:
        return Address(**json.loads((place / "server.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Server:
    """Listens on loopback from the moment it is made until :meth:`close`."""

    def __init__(self, place: Path, options: Options | None = None) -> None:
        from moto.moto_api._internal import mock_random

        began = time.monotonic()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = address(place)
        journal = Journal(place)
        moto = _moto()
        _seed_upload_ids(mock_random)
        self.replayed, self.lost = journal.replay(moto, mock_random.seed)
        access_key = before.access_key if before else "AKIA" + _some(string.ascii_uppercase + string.digits, 16)
        secret_key = before.secret_key if before else _some(string.ascii_letters + string.digits, 40)
        self.gateway = Gateway(moto, journal, mock_random.seed, access_key)
        self.server = _listen(self.gateway, int(before.endpoint.rpartition(":")[2]) if before else 0)
        port = self.server.port
        self.gateway.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.address = Address(f"http://127.0.0.1:{port}", access_key, secret_key, os.getpid())
        self.emulator = self.gateway.emulator = Emulator(self.address.clients, place, options)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        _write_private(place / "server.json", json.dumps(asdict(self.address), indent=1) + "\n")
        self.seconds = time.monotonic() - began

    @property
    def idle(self) -> float:
        """Seconds since anybody asked anything, none while a job runs."""
        if self.emulator.busy():
            self.gateway.last_request = time.monotonic()
        return time.monotonic() - self.gateway.last_request

    def close(self) -> None:
        self.emulator.shut_down()
        self.server.shutdown()
        self.server.server_close()


def _listen(gateway: Gateway, port: int) -> Any:
    """On the port of last time, so that whoever still knows it finds us again; else on any."""
    import contextlib
    import io

    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    handler = type("Handler", (MotoRequestHandler,), {"protocol_version": "HTTP/1.1"})
    for each in dict.fromkeys((port, 0)):
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # werkzeug speaks of a port in use before it gives up
                server: Any = make_server("127.0.0.1", each, gateway, threaded=True, request_handler=handler)
        except (OSError, SystemExit):
            continue
        server.daemon_threads = True
        return server
    raise OSError("no port of 127.0.0.1 can be listened on")


def _moto() -> Any:
    """moto's application; which service a host name stands for is remembered, since finding out lists its packages."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    application = DomainDispatcherApplication(create_backend_app)
    application.get_backend_for_host = cache(application.get_backend_for_host)  # type: ignore[method-assign]
    return application


def _seed_upload_ids(source: Any) -> None:
    """Have moto take the identifiers of multipart uploads, too, from the source that a replay can seed."""
    from moto.s3 import models

    class Seeded:
        urandom = staticmethod(source.randbytes)

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

    vars(models)["os"] = Seeded()


def _some(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _write_private(path: Path, content: str) -> None:
    """Whole or not at all, and for nobody else's eyes: whoever has the key may start jobs."""
    temporary = path.with_suffix(".part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)
