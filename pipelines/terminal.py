"""What a person sees while a run goes on: one line per stage on standard error, a progress bar under long work."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from steps.journal import Event

if TYPE_CHECKING:
    from infra.runs.records import RunRecord

UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing: control characters but the newline, and what turns the direction of text."""


def plain(text: str) -> str:
    """Text that may hold what came from data, safe to write to a terminal; our own colours come after."""
    return UNSEEN.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    code = ord(found.group())
    return " " if code == ord("\t") else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


COLOURS = {"ran": "green", "cached": "cyan", "refused": "yellow", "failed": "red"}


class Progress:
    """Hears everything a run says and shows what matters; bars only where someone watches."""

    def __init__(self) -> None:
        self.watched = sys.stderr.isatty()
        self.bar: Any = None

    def __call__(self, stage: str, event: Event) -> None:
        kind = event["kind"]
        if kind == "progress":
            self._progress(stage, event)
        elif kind == "stage":
            self._stage(stage, event)
        elif kind == "note" and event["level"] == "warning":
            self._say(click.style(plain(f"    ! {event['text']}"), fg="yellow"))
        elif kind == "note" and not stage:
            self._say(plain(f"    {event['text']}"))

    def _stage(self, stage: str, event: Event) -> None:
        self._close_bar()
        stage, status = plain(stage), plain(event["status"])
        if status == "running":
            if self.watched:
                click.echo(f"  {stage:<9} ...", err=True, nl=False)
            return
        seconds = f"{event['seconds']:7.1f} s" if status in ("ran", "refused") else " " * 9
        self._say(f"  {stage:<9} {click.style(f'{status:<8}', fg=COLOURS.get(status))}{seconds}")

    def _progress(self, stage: str, event: Event) -> None:
        if not self.watched:
            return
        if self.bar is None or self.bar.total != event["total"] or self.bar.what != event["what"]:
            from tqdm import tqdm

            self._close_bar()
            said = plain(f"  {stage:<9} {event['what']}")
            self.bar = tqdm(total=event["total"], desc=said, leave=False, file=sys.stderr)
            self.bar.what = event["what"]
        self.bar.update(event["done"] - self.bar.n)

    def _say(self, text: str) -> None:
        self._close_bar()
        if self.watched:
            click.echo("\r\033[K", err=True, nl=False)
        click.echo(text, err=True)

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Columns of text, aligned."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


VERDICT_COLOURS = {"pass": "green", "rejected": "yellow", "error": "red"}
NOT_CANDIDATES = ("smoke run: thresholds are shown, not judged; nothing was made a candidate",)


def conclusion(document: dict[str, Any]) -> str:
    """The decision first, what it rests on, where to look, what to do next."""
    verdict = document["verdict"]
    first = (
        f"{click.style(plain(verdict.upper()), fg=VERDICT_COLOURS.get(verdict), bold=True)}  {plain(document['run'])}"
    )
    lines = []
    if document["message"]:
        lines += [f"  {line}" for line in str(document["message"]).splitlines()]
    if document["smoke"]:
        lines += [f"  {line}" for line in NOT_CANDIDATES]
    if document["thresholds"]:
        lines.append(
            table(
                [
                    (each["wanted"], _estimate(each), "met" if each["met"] else "NOT met")
                    for each in document["thresholds"]
                ]
            )
        )
        headline = document["thresholds"][0]["metric"]
        rivals = [
            (name, f"{headline} {metrics[headline]:.4g}")
            for name, metrics in document["yardsticks"].items()
            if metrics.get(headline) is not None
        ]
        lines.append(
            table(
                [("yardsticks on the same rows:", ", ".join(f"{name} {value}" for name, value in rivals))]
                if rivals
                else []
            )
        )
    model = document["model"]
    if model["path"]:
        lines.append(
            f"  model   {model['path']}"
            + (f"  ({model['name']} version {model['version']})" if model["version"] else "")
        )
    if document["package"]:
        lines.append(f"  package {document['package']}  (waits for approval)")
    if document["report"]:
        lines.append(f"  report  {document['report']}")
    lines.append(f"  next    {_next(document)}")
    return "\n".join([first, *(plain(line) for line in lines if line)])


def _estimate(threshold: dict[str, Any]) -> str:
    low, high = threshold["interval"]
    if threshold["value"] is None:
        return "no value"
    return f"{threshold['value']:.4g}" + (f" [{low:.4g}, {high:.4g}]" if low is not None and high is not None else "")


def _next(document: dict[str, Any]) -> str:
    if document["status"] == "running" and document["execution"]:
        return f"'fourscore attach {document['run']}' watches it, 'fourscore stop {document['run']}' stops it"
    if document["verdict"] == "pass" and document["stages"][-1]["status"] == "skipped":
        return "run without --until to go on from here"
    if document["verdict"] == "pass" and not document["smoke"]:
        promote = f"'fourscore promote {document['run']} --yes' makes it champion"
        rank = "it is the champion" if document["model"]["champion"] else promote
        return f"open the report; 'fourscore ui' shows the tracking; {rank}"
    if document["verdict"] == "pass":
        return "run without --smoke"
    if document["verdict"] == "rejected":
        return "open the report for what was wanted and what was found"
    if document["execution"]:
        return f"mend what the message names; 'fourscore retry {document['run']}' goes on with the same execution, 'run' starts another"
    return "mend what the message names and run the same command again; what was finished is kept"


def lineage(record: RunRecord, document: dict[str, Any]) -> str:
    """What a run was made of: stages with their keys, versions, overrides."""
    stages = [
        (stage["name"], stage["status"], f"{stage['seconds']:.1f} s", stage["key"][:12], stage["reason"])
        for stage in document["stages"]
    ]
    facts = [("problem", record.problem_path), ("started", record.started), ("finished", record.finished or "not yet")]
    facts += [
        (what, value) for what, value in (("on", record.on), ("store", record.store)) if value not in (None, "local")
    ]
    facts += [("execution", record.execution)] if record.execution else []
    facts += [("jobs", ", ".join(f"{name} {status}" for name, status in record.jobs.items()))] if record.jobs else []
    facts += [("override", f"{key}={value}") for key, value in record.overrides.items()]
    facts += [("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items()))]
    return plain(f"{table(stages)}\n{table(facts)}")
