"""What a person sees while a run goes on: one line per stage on standard error, a progress bar under long work."""

from __future__ import annotations

import sys
from typing import Any

import click

from steps.journal import Event

COLOURS = {"ran": "green", "cached": "cyan", "refused": "yellow", "failed": "red"}


class Progress:
    """Hears everything a run says and shows what matters; bars only where someone watches."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.watched = sys.stderr.isatty()
        self.bar: Any = None
        self.facts: dict[str, str] = {}

    def __call__(self, stage: str, event: Event) -> None:
        kind = event["kind"]
        if kind == "progress":
            self._progress(stage, event)
        elif kind == "stage":
            self._stage(stage, event)
        elif kind == "note" and event["level"] == "warning":
            self._say(click.style(f"    ! {event['text']}", fg="yellow"))
        elif kind == "note" and not stage:
            self._say(f"    {event['text']}")

    def _stage(self, stage: str, event: Event) -> None:
        self._close_bar()
        status = event["status"]
        if status == "running":
            if self.watched and not self.quiet:
                click.echo(f"  {stage:<9} ...", err=True, nl=False)
            return
        seconds = f"{event['seconds']:7.1f} s" if status in ("ran", "refused") else " " * 9
        self._say(f"  {stage:<9} {click.style(f'{status:<8}', fg=COLOURS.get(status))}{seconds}")

    def _progress(self, stage: str, event: Event) -> None:
        if self.quiet or not self.watched:
            return
        if self.bar is None or self.bar.total != event["total"] or self.bar.what != event["what"]:
            from tqdm import tqdm

            self._close_bar()
            self.bar = tqdm(total=event["total"], desc=f"  {stage:<9} {event['what']}", leave=False, file=sys.stderr)
            self.bar.what = event["what"]
        self.bar.update(event["done"] - self.bar.n)

    def _say(self, text: str) -> None:
        if self.quiet:
            return
        self._close_bar()
        if self.watched:
            click.echo("\r\033[K", err=True, nl=False)
        click.echo(text, err=True)

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def table(rows: list[tuple[str, ...]], indent: str = "  ") -> str:
    """Columns of text, aligned."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
