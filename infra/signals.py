"""Handlers of signals: a signal that ends a process treated like Ctrl-C, or passed on to another process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from subprocess import Popen
from types import FrameType
from typing import Any

TERMINATION = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill`` and a closed terminal. SIGINT too, since polars replaces Python's handler of it."""

Handler = Callable[[int, FrameType | None], None]


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


def pass_on(process: Popen[bytes], number: signal.Signals = signal.SIGTERM) -> contextlib.AbstractContextManager[None]:
    """Send the signal on to another process within the block."""
    return handle({number: lambda received, _frame: process.send_signal(received)})
