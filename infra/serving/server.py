"""The process: one socket, one event loop, signals, and connections that may not stay silent for ever."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from infra.serving import log
from infra.serving.app import Server
from infra.serving.model import Model
from infra.serving.settings import Settings
from steps.errors import InputError

BACKLOG = 1024


class Protocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which waits for the rest of the headers, and for a client that does not read, for ever."""

    arrival_seconds = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        cycle = self.cycle
        if self._deadline is None and (cycle is None or cycle.response_complete):
            self._expect_headers()
        super().data_received(data)
        if self.cycle is not cycle:
            self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.arrival_seconds, self.transport.abort)  # if what was written is not read by then

    def _expect_headers(self) -> None:
        """Close the connection unless the headers of a request arrive in time."""
        self._deadline = self.loop.call_later(self.arrival_seconds, self.timeout_keep_alive_handler)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Uvicorn(uvicorn.Server):
    """Ends with exit code 0 after SIGTERM and SIGINT, when what was in progress is answered."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(
    model: Model,
    settings: Settings,
    show: Callable[[str], None],
    make: Callable[[Model, Settings], Server] = Server,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then end what is in progress.

    Args:
        show: is called with the address once it answers.
        make: makes the application.

    Raises:
        InputError: the address is not free.
    """
    log.connect_uvicorn()
    limits = settings.limits
    with _listener(settings) as listener:
        host, port = listener.getsockname()[:2]
        config: dict[str, Any] = {
            "http": type("TimedProtocol", (Protocol,), {"arrival_seconds": limits.arrival_seconds}),
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "lifespan": "off",
            "ws": "none",
            "loop": "asyncio",
            "limit_concurrency": limits.connections,
            "timeout_keep_alive": int(limits.idle_seconds),
            "timeout_graceful_shutdown": int(limits.drain_seconds),
        }
        try:
            server = make(model, settings)
        except OSError as error:
            raise InputError(f"{settings.capture}: cannot be written: {error.strerror or error}") from None
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

        def ready() -> None:
            log.write("ready", address=address, model=model.digest, task=model.schema["task"])
            show(address)

        _Uvicorn(uvicorn.Config(server.app, **config), ready).run(sockets=[listener])
        server.close()
        log.write("stopped")


def _listener(settings: Settings) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: the port is in use, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # with its protocol, since asyncio turns Nagle's algorithm off for no other socket, and each answer would take 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        advice = f"choose another port: --port {settings.port % 65535 + 1}"
        raise InputError(f"{settings.host}, port {settings.port}: {error.strerror or error}; {advice}") from None
