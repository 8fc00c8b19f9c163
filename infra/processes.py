"""Modules run as processes of their own, beside this process or after it; signals handled, or passed on to them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

TERMINATION = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill`` and a closed terminal. SIGINT too, since polars replaces Python's handler of it."""

Handler = Callable[[int, FrameType | None], None]


def spawn_module(
    module: str,
    *arguments: str,
    directory: Path,
    log: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    piped: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a module in a session of its own, which Ctrl-C and a closed terminal do not reach.

    Args:
        directory: the working directory; the process finds our packages where this one did, wherever it starts.
        log: the file to which its output is appended; None: its output is that of this process.
        environment: variables beside those of this process.
        piped: whether its standard input is a pipe from this process, which ends when this process ends.
    """
    path = [str(Path(__file__).absolute().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") if log else contextlib.nullcontext() as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path)},
            cwd=directory,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,
        )


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that :func:`spawn_module` started and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left of the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def handle(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle these signals within the block; signals that are ignored (nohup) stay ignored."""
    previous: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # only the main thread may set handlers; other callers have their own
        for number, handler in handlers.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    raise KeyboardInterrupt


def raise_keyboard_interrupt(
    numbers: Sequence[signal.Signals] = TERMINATION,
) -> contextlib.AbstractContextManager[None]:
    """Raise KeyboardInterrupt for these signals within the block."""
    return handle(dict.fromkeys(numbers, interrupt))


def pass_on(process: subprocess.Popen[bytes]) -> contextlib.AbstractContextManager[None]:
    """Send SIGTERM on to another process within the block."""
    return handle({signal.SIGTERM: lambda received, _frame: process.send_signal(received)})
