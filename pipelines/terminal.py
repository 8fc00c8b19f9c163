"""The terminal: text that is safe to show, lines that fit, tables, and the conclusion of a run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from infra.runs.records import RunRecord
    from pipelines.pages.report.gather import Facts
    from steps.evaluation.document import Evaluation

UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing them: control characters, and those that change the direction."""


def plain(text: str) -> str:
    """Return text that may hold data, safe to write to a terminal; our own colours come after."""
    return UNSEEN.sub(_code, text.replace("\N{MINUS SIGN}", "-"))


def _code(character: re.Match[str]) -> str:
    code = ord(character.group())
    return " " if code == ord("\t") else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


COLOURS = {"ran": "green", "cached": "cyan", "refused": "yellow", "stopped": "yellow", "failed": "red"}


def columns(stream: TextIO) -> int:
    """Return the width of the terminal behind a stream, else of the one that the environment names."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without a terminal, or closed
        if width := os.get_terminal_size(stream.fileno()).columns:
            return width
    return shutil.get_terminal_size().columns


def fit(text: str, stream: TextIO) -> str:
    """Return text as it is shown on a stream: where that is a terminal, longer lines break between words."""
    if not stream.isatty():
        return text
    width = columns(stream)
    return "\n".join(line if len(click.unstyle(line)) <= width else wrap(line, width) for line in text.split("\n"))


def wrap(line: str, width: int) -> str:
    """Return a line broken between words; the parts after the first stand below its last column, or below its first word.

    A line with a word that is too long for that stays as it is: the word may be a path to copy.
    """
    starts = [gap.end() for gap in re.finditer(r"(?:^|(?<=\S)) {2,}(?:! )?(?=\S)", line) if gap.end() <= 2 * width // 3]
    below = " " * (starts[-1] if starts else 2)
    if max(map(len, line.split()), default=0) > width - len(below):
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Return rows of text as aligned columns."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


MINUTE, HOUR, DAY = 60, 3600, 86_400
VERDICT_COLOURS = {"pass": "green", "rejected": "yellow", "error": "red"}
REHEARSAL = "rehearsal ok"
"""The outcome of a smoke run that went through; nobody judges its numbers."""
SMOKE = "  smoke run on a small sample: promises are shown, not judged, and no model was registered"


def outcome(verdict: str, *, smoke: bool) -> str:
    """Return how a run ended, in a word or two; a smoke run passes nothing."""
    if not smoke:
        return verdict
    return REHEARSAL if verdict == "pass" else f"{verdict} (smoke)"


def conclusion(facts: Facts) -> str:
    """Return the decision first, then what it rests on, where to look and what to do next."""
    record, model, evaluation = facts.record, facts.model, facts.evaluation
    verdict = "interrupted" if record.status == "interrupted" else facts.verdict
    word = REHEARSAL if record.smoke and verdict == "pass" else verdict
    title = click.style(plain(word.upper()), fg=VERDICT_COLOURS.get(verdict), bold=True)
    lines = [f"  nothing ran now: this run was finished at {record.finished}"] if facts.is_reused else []
    if word != REHEARSAL or not evaluation:  # else the message says which promises were not kept
        lines += [f"  {line}" for line in record.message.splitlines()]
    lines += [f"  but nobody answers for it yet: write the {', '.join(facts.unwritten)}"] if facts.unwritten else []
    lines += [f"  but {clause}" for clause in facts.reservations]
    lines += [SMOKE] if record.smoke else []
    lines += _results(evaluation, judged=not record.smoke) if evaluation and evaluation.thresholds else []
    if model["path"]:
        lines.append(
            f"  model   {model['name']} version {model['version']}"
            if model["version"]
            else f"  model   {model['path']}"
        )
    if record.package:
        status = "registered as rejected" if facts.unwritten else "awaits approval"
        lines.append(f"  package {record.package}  ({status})")
    if facts.report_path.exists():
        lines.append(f"  report  {facts.report_path}")
    if record.finished and not facts.is_reused:
        took = datetime.fromisoformat(record.finished) - datetime.fromisoformat(record.started)
        lines.append(f"  took    {duration(max(took.total_seconds(), 0.0))}")
    if not record.smoke:
        from steps.evaluation.remarks import next_steps

        lines += [f"  try     {step}" for step in next_steps(evaluation)]
    if record.status != "interrupted":  # its message says how it goes on
        lines.append(f"  next    {_next(facts)}")
    return "\n".join([f"{title}  {plain(facts.run)}", *(plain(line) for line in lines)])


def _results(evaluation: Evaluation, *, judged: bool) -> list[str]:
    """Return the promises with their results, and the yardsticks in the first promise's metric."""
    from steps.evaluation.sentences import with_interval
    from steps.wording import number

    rows = [
        (promise.wanted, with_interval(promise), "not judged" if not judged else "kept" if promise.met else "NOT kept")
        for promise in evaluation.thresholds
    ]
    metric = evaluation.thresholds[0].metric
    yardsticks = [
        f"{name} {number(metrics[metric].value)}"
        for name, metrics in evaluation.yardsticks.items()
        if metric in metrics and metrics[metric].value is not None
    ]
    lines = [table(rows)]
    return lines + ([f"  yardsticks on the same rows, {metric}: {', '.join(yardsticks)}"] if yardsticks else [])


def _next(facts: Facts) -> str:
    record, verdict = facts.record, facts.verdict
    if record.status == "running" and record.execution:
        return f"watch it with 'fourscore attach {record.run}', stop it with 'fourscore stop {record.run}'"
    if verdict == "pass" and record.stages[-1].status == "skipped":
        return "run without --until to continue from here"
    if verdict == "pass" and record.pipeline == "monitoring":
        return "open the report; browse the tracking with 'fourscore ui'"
    if verdict == "pass" and not record.smoke:
        rank = f"sign for it with 'fourscore approve {record.run} --reason ...'"
        if facts.model["champion"]:
            rank = "it is the champion"
        elif facts.unwritten:
            rank = "write those fields in the problem file and run again to get a candidate"
        elif facts.reservations:
            anyway = f"'fourscore approve {record.run} --anyway --reason ...'"
            rank = f"consider what speaks against it; if it is right all the same, sign for it with {anyway}"
        return f"open the report; browse the tracking with 'fourscore ui'; {rank}"
    if verdict == "pass":
        return "run without --smoke"
    if verdict == "rejected":
        return "open the report for the promises and results"
    fix = "fix what the message describes and"
    if record.execution:
        retry = f"'fourscore retry {record.run}' to continue the same execution"
        return f"{fix} use {retry}, or 'fourscore run' to start another"
    return f"{fix} run the same command again; finished stages are reused"


def lineage(record: RunRecord) -> str:
    """Return the lineage of a run: stages with the causes of their status, then overrides, versions and keys."""
    stages = [(stage.name, stage.status, f"{stage.seconds:.1f} s", brief(stage.reason)) for stage in record.stages]
    facts = [("problem", record.problem_path), ("started", record.started), ("finished", record.finished or "not yet")]
    facts += [
        (what, value) for what, value in (("on", record.on), ("store", record.store)) if value not in (None, "local")
    ]
    facts += [("execution", record.execution)] if record.execution else []
    facts += [("jobs", ", ".join(f"{name} {status}" for name, status in record.jobs.items()))] if record.jobs else []
    facts += [("override", f"{key}={value}") for key, value in record.overrides.items()]
    facts += [("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items()))]
    facts += [("keys", ", ".join(f"{stage.name} {stage.key[:12]}" for stage in record.stages))]
    return plain(f"{table(stages)}\n{table(facts)}")


def brief(reason: str) -> str:
    """Return a cause with its digests cut to what tells them apart."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", reason)


def duration(seconds: float) -> str:
    """Return ``12 s``, ``3 min``, ``2 h`` or ``5 d``: a time of which the size matters."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    size, unit = next((size, unit) for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")) if seconds >= size)
    count = seconds / size
    return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"
