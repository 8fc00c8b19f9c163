"""Chromium without a screen, driven by its debugging port: pages that are opened, what they ask for, pictures of them."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from browser import CHROMIUM, QUIET


class Browser:
    """A browser with one page, within a ``with`` block.

    Args:
        directory: where its profile is made.
        options: more of its command line.
    """

    def __init__(self, directory: Path, *options: str, width: int = 1280, height: int = 900) -> None:
        self.events: list[dict[str, Any]] = []
        """What the page reported: requests, dialogs, messages of its console."""
        self._count = 0
        profile = directory / "browser"
        command = [
            str(CHROMIUM), *QUIET, "--hide-scrollbars", f"--window-size={width},{height}", f"--user-data-dir={profile}",
            "--remote-debugging-port=0", *options, "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._socket = _connect(profile / "DevToolsActivePort")

    def __enter__(self) -> Self:
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(30)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._count += 1
        self._send(json.dumps({"id": self._count, "method": method, "params": parameters}).encode())
        while (message := self._receive()).get("id") != self._count:
            self.events.append(message)
            if message["method"] == "Page.javascriptDialogOpening":  # a dialog would stop everything
                self._send(b'{"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": true}}')
        if "error" in message:
            raise RuntimeError(message["error"])
        return dict(message["result"])

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address: str, text: str, patience: float = 60.0) -> str:
        """Open a page, wait until it shows a text, and return all that it shows."""
        self.call("Page.navigate", url=address)
        end = time.monotonic() + patience
        while text not in (visible := self.value("document.body ? document.body.innerText : ''") or ""):
            if time.monotonic() > end:
                raise TimeoutError(f"{address} does not show {text!r} but {visible[:500]!r}")
            time.sleep(0.2)
        return str(visible)

    def rest(self, seconds: float = 1.0, patience: float = 30.0) -> None:
        """Wait until the page has asked for nothing more for a while."""
        end, count, quiet = time.monotonic() + patience, -1, 0.0
        while quiet < seconds and time.monotonic() < end:
            time.sleep(0.2)
            self.value("1")  # which receives what was reported since
            quiet = quiet + 0.2 if len(self.events) == count else 0.0
            count = len(self.events)

    def requests(self) -> list[str]:
        """Return the address of every request so far."""
        requests = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [str(event["params"]["request"]["url"]) for event in requests]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _send(self, data: bytes) -> None:
        """Send a text frame (RFC 6455), masked as clients must."""
        length, mask = len(data), os.urandom(4)
        size = (
            bytes([0xFE]) + struct.pack(">H", length) if length < 1 << 16 else bytes([0xFF]) + struct.pack(">Q", length)
        )
        size = bytes([0x80 | length]) if length < 126 else size
        self._socket.sendall(b"\x81" + size + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(data)))

    def _receive(self) -> dict[str, Any]:
        whole = b""
        while True:
            first, second = self._read(2)
            length = second & 127
            if length > 125:
                length = struct.unpack(">H" if length == 126 else ">Q", self._read(2 if length == 126 else 8))[0]
            part = self._read(length)
            whole += part if first & 15 in (0, 1) else b""
            if first & 128 and first & 15 in (0, 1):
                return dict(json.loads(whole))

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise EOFError("the browser is gone")
            data += part
        return data


def _connect(port_file: Path) -> socket.socket:
    end = time.monotonic() + 60
    while not (port_file.exists() and port_file.read_text().count("\n")):
        if time.monotonic() > end:
            raise TimeoutError("the browser does not start")
        time.sleep(0.1)
    port = int(port_file.read_text().split()[0])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=60) as answer:
        page = next(page for page in json.load(answer) if page["type"] == "page")
    path = page["webSocketDebuggerUrl"].split("/", 3)[3]
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    answer_head = b""
    while not answer_head.endswith(b"\r\n\r\n"):
        answer_head += connection.recv(1)
    return connection
