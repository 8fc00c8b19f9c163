"""A terminal without a screen: a pseudoterminal of a width, and what a person sees after the output in it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

CONTROL_C = b"\x03"


class Screen:
    """Lines as a terminal shows them: a carriage return goes back, an erased line is empty, long lines wrap."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.column = 0
        self.live: list[str] = []
        """Every text that the last line had when something erased it."""
        self.wrapped = 0
        """How many lines the terminal had to break, in the middle of words perhaps."""

    def write(self, text: str) -> None:
        for piece in re.findall(r"\x1b\[[?0-9;]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", text):
            if piece == "\n":
                self.lines.append("")
                self.column = 0
            elif piece == "\r":
                self.column = 0
            elif piece == "\x1b[K":
                self.live += [self.lines[-1]] if self.lines[-1] else []
                self.lines[-1] = self.lines[-1][: self.column]
            elif not piece.startswith("\x1b"):
                line = self.lines[-1]
                self.lines[-1] = line[: self.column] + piece + line[self.column + len(piece) :]
                self.column += len(piece)
                self.wrapped += self.column > self.columns


def resize(descriptor: int, columns: int) -> None:
    """Give a pseudoterminal its width."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def in_terminal(
    command: Sequence[str],
    columns: int,
    *,
    cwd: Path,
    interrupt_when: Callable[[], bool] = lambda: False,
    patience: float = 120.0,
) -> tuple[int, Screen]:
    """Run a command in a terminal; return its exit code and the screen.

    Args:
        interrupt_when: as soon as it is true, Ctrl-C is pressed, once.
    """
    process, descriptor = pty.fork()
    if process == 0:
        resize(0, columns)
        os.chdir(cwd)
        os.execvpe(command[0], list(command), {**os.environ, "TERM": "xterm"})  # noqa: S606  no shell is wanted
    output, pressed, end = b"", False, time.monotonic() + patience
    try:
        while time.monotonic() < end:
            if not pressed and interrupt_when():
                os.write(descriptor, CONTROL_C)
                pressed = True
            if not select.select([descriptor], [], [], 0.1)[0]:
                continue
            try:
                received = os.read(descriptor, 65_536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not received:
                break
            output += received
        else:
            os.kill(process, 9)
    finally:
        os.close(descriptor)
        _, status = os.waitpid(process, 0)
    screen = Screen(columns)
    screen.write(output.decode(errors="replace"))
    return os.waitstatus_to_exitcode(status), screen
