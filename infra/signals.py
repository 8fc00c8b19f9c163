"""Signals that end a process, handled like Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

TERMINATION = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill`` and a closed terminal. SIGINT too, since polars replaces Python's handler of it."""


@contextlib.contextmanager
def raise_keyboard_interrupt(numbers: Sequence[signal.Signals] = TERMINATION) -> Iterator[None]:
    """Raise KeyboardInterrupt for these signals within the block; signals that are ignored (nohup) stay ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # only the main thread may set handlers; other callers have their own
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
