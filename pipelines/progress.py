"""The progress of a run: a line for each finished stage and, in a terminal, one live line below them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

import click

from pipelines.terminal import COLOURS, columns, duration, fit, plain
from steps.journal import Event

TICK = 0.5
"""Seconds between two drawings of the live line."""
ERASE, NO_WRAP, WRAP = "\r\033[K", "\033[?7l", "\033[?7h"


class Progress:
    """Receives every event of a run and shows the important ones.

    Where someone watches, a live line says what goes on, for how long, and about how long the run takes yet.
    Within a ``with`` block the line ticks; at its end it is erased.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.clock = clock
        self.start = clock()
        self.expected: dict[str, float | None] = {}
        """Seconds that the stages to come took in earlier runs; None for one that never ran."""
        self.stage, self.began = "", self.start
        self.now: Event = {}
        """The last progress of the stage that runs."""
        self.at_work = self.start
        """When that stage reported its first progress; before it, libraries are loaded."""
        self.seconds = 0.0
        """Seconds that the whole stage takes, by what is finished of it; 0 where nothing is."""
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        if self.watched:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Erase the live line for good."""
        if self.watched and not self._over.is_set():
            self._over.set()
            self._thread.join()
            self._write(ERASE)

    def expect(self, stages: Mapping[str, float | None]) -> None:
        """Take the stages that will run, with the seconds that each took before, None where it never ran."""
        self.expected = dict(stages)

    def __call__(self, stage: str, event: Event) -> None:
        kind = event["kind"]
        if kind == "progress":
            self._progress(stage, event)
        elif kind == "stage":
            self._stage(stage, event)
        elif kind == "note" and event["level"] == "warning":
            self.say(click.style(fit(plain(f"    ! {event['text']}"), sys.stderr), fg="yellow"))
        elif kind == "note":
            self.say(fit(plain(f"    {event['text']}"), sys.stderr))

    def _stage(self, stage: str, event: Event) -> None:
        status = plain(event["status"])
        if status == "running":
            self._turn_to(stage)
            return
        self.expected.pop(stage, None)
        if stage == self.stage:
            self._turn_to("")
        seconds = f"{event['seconds']:7.1f} s" if status in ("ran", "refused") else " " * 9
        self.say(f"  {plain(stage):<9} {click.style(f'{status:<8}', fg=COLOURS.get(status))}{seconds}")

    def _turn_to(self, stage: str) -> None:
        if stage != self.stage:
            self.stage, self.began, self.now, self.seconds = stage, self.clock(), {}, 0.0
        self._draw()

    def _progress(self, stage: str, event: Event) -> None:
        self._turn_to(stage)
        share = event.get("share", 0.0)
        if not self.now:
            self.at_work = self.clock()
        if share and share != self.now.get("share"):
            self.seconds = self.at_work - self.began + (self.clock() - self.at_work) / share
        self.now = event

    def say(self, text: str) -> None:
        """Print a line that stays, above the live line."""
        with self._lock:
            click.echo(f"{ERASE}{text}" if self.watched else text, err=True)
        self._draw()

    def _tick(self) -> None:
        while not self._over.wait(TICK):
            self._draw()

    def _draw(self) -> None:
        if self.watched and not self._over.is_set():
            self._write(f"{ERASE}{NO_WRAP}{self.line(columns(sys.stderr) - 1)}{WRAP}")

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text)
            sys.stderr.flush()

    def line(self, width: int) -> str:
        """Return the live line, as much of it as the width has room for."""
        now = self.now
        what = plain(f"  {self.stage:<9} {now.get('what', 'starting')}")
        count = f", {now['done']:,.0f} of {now['total']:,.0f}" if now.get("total", 0) > 1 else ""
        so_far = f", {plain(now['so_far'])}" if now.get("so_far") else ""
        minutes, seconds = divmod(int(self.clock() - self.start), 60)
        clock = f"  {minutes}:{seconds:02}"
        remaining = self.remaining()
        estimate = f", {remaining}" if remaining else ""
        for parts in ((count, so_far), ("", so_far), ("", "")):
            text = "".join((what, *parts))
            if len(text) + len(clock) + len(estimate) <= width:
                break
        room = width - len(clock) - len(estimate)
        if len(text) > room:
            text = text[: room - 1].rsplit(" ", 1)[0] + "\N{HORIZONTAL ELLIPSIS}"
        return f"{text}{clock}{estimate}"

    def remaining(self) -> str:
        """Return about how long the run takes yet, in words; nothing where that is not known."""
        seconds = 0.0
        for stage, usual in self.expected.items():
            if stage == self.stage:
                seconds += max((usual or self.seconds) - (self.clock() - self.began), 0.0)
            else:
                seconds += usual or 0.0
        return f"about {duration(seconds)} to go" if seconds >= 1 else ""
