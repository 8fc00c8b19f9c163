"""The documents of a monitoring run as one self-contained HTML file: no script, nothing that is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from infra.files import write_atomically
from pipelines.pages.report import figures
from pipelines.pages.report.page import environment
from pipelines.pages.report.plots import Figure
from steps import wording
from steps.evaluation import sentences
from steps.monitoring.document import Baseline, Comparison, Judgement, Performance, Proposal, Series, State, Traffic

DRAWN = 8
"""Columns that have a figure: those that differ most."""
LISTED = 200
"""Columns and episodes that have a line."""
TITLES: dict[State, str] = {
    "quiet": "Quiet: requests and answers look like training.",
    "watch": "Watch: there are differences, none of them clearly large.",
    "alarm": "Alarm: requests, answers or results are clearly different.",
}
KINDS: dict[State, str] = {"quiet": "pass", "watch": "reserved", "alarm": "rejected"}
SYMBOLS: dict[State, str] = {"quiet": "\N{CHECK MARK}", "watch": "!", "alarm": "\N{MULTIPLICATION X}"}


@dataclass(frozen=True)
class Facts:
    """What the stages of monitoring published."""

    run: str
    trained: str
    """The run that made the model."""
    command: str
    """What trains again."""
    traffic: Traffic
    baseline: Baseline
    comparison: Comparison
    performance: Performance
    judgement: Judgement
    proposal: Proposal


@dataclass(frozen=True)
class ColumnLine:
    """A column in the last window and in the worst one."""

    name: str
    role: str
    now: float | None
    largest: float
    missing: float | None
    new: float | None
    state: State


def write_page(facts: Facts, path: Path) -> Path:
    """Write the page, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render(facts))
    return path


def render(facts: Facts) -> str:
    """Return the page."""
    template = environment(Path(__file__).parent).get_template("monitoring.html")
    judgement = facts.judgement
    page = template.render(
        facts=facts,
        title=TITLES[judgement.state],
        kind=KINDS[judgement.state],
        symbol=SYMBOLS[judgement.state],
        strip=strip(facts),
        reasons=reasons(judgement),
        episodes=sorted(judgement.episodes, key=lambda episode: (not episode.ongoing, episode.since), reverse=False)[
            :LISTED
        ],
        columns=columns(facts)[:LISTED],
        more=max(0, len(facts.baseline.columns) - LISTED),
        plots=list(plots(facts)),
        results=list(results(facts)),
        service=list(service(facts)),
        bound=bound,
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def reasons(judgement: Judgement) -> list[str]:
    """Return why the state is what it is: broken promises, then what the last window shows."""
    last = judgement.days[-1].findings if judgement.days else ()
    return [*judgement.broken, *(finding.text for finding in last)]


def bound(promise: object) -> str:
    """Return what a promise asks for, such as ``at least 0.8``."""
    low, high = getattr(promise, "at_least", None), getattr(promise, "at_most", None)
    return f"at least {wording.exact(low)}" if low is not None else f"at most {wording.exact(high or 0.0)}"


def columns(facts: Facts) -> list[ColumnLine]:
    """Return a line for each column, those that differ most first."""
    lines = []
    worst = {"quiet": 0, "watch": 1, "alarm": 2}
    last = (
        {finding.column: finding.state for finding in reversed(facts.judgement.days[-1].findings)}
        if facts.judgement.days
        else {}
    )
    for reference in facts.baseline.columns:
        own = {
            entry.measure: entry.effects
            for entry in facts.comparison.series
            if entry.column == reference.name and entry.role == reference.role and not entry.memory
        }
        drift, missing, new = ([*own.get(measure, ()), None] for measure in ("distribution", "missing", "new values"))
        lines.append(
            ColumnLine(
                reference.name,
                reference.role,
                now=_last(drift),
                largest=max((value for value in drift if value is not None), default=0.0),
                missing=_last(missing),
                new=_last(new),
                state=last.get(reference.name, "quiet"),
            )
        )
    return sorted(lines, key=lambda line: (-worst[line.state], -line.largest, line.name))


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def strip(facts: Facts) -> Markup:
    """Return all windows side by side: high and dark where there is an alarm, half as high to watch, low and pale when quiet."""
    days = facts.judgement.days
    heights: dict[State, tuple[str, int]] = {"quiet": ("quiet", 8), "watch": ("watch", 18), "alarm": ("alarm", 30)}
    width = 720 / max(1, len(days))
    bars = []
    for position, day in enumerate(days):
        kind, height = heights[day.state]
        shape = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>')
        size = f"{max(0.4, width - min(1.0, width / 5)):.2f}"
        bars.append(shape.format(kind, f"{position * width:.2f}", 30 - height, size, height, day.start[:16], day.state))
    counted = wording.listed(
        f"{sum(day.state == state for day in days)} {state}" for state in ("quiet", "watch", "alarm")
    )
    start = Markup('<svg class="strip" role="img" aria-label="{}" viewBox="0 0 720 30" preserveAspectRatio="none">')
    return start.format(f"{wording.count(len(days), 'window')}: {counted}") + Markup("").join(bars) + Markup("</svg>")


def plots(facts: Facts) -> Iterator[Figure]:
    """Yield the columns and answers that differ most, over time beside their margin."""
    drifts = [
        entry
        for entry in facts.comparison.series
        if entry.measure in ("distribution", "missing", "new values") and not entry.memory and len(_present(entry)) > 1
    ]
    drifts.sort(key=lambda entry: -max(abs(effect) for _, effect in _present(entry)) / entry.margin)
    moments = [datetime.fromisoformat(window.start).timestamp() for window in facts.comparison.windows]
    for entry in drifts[:DRAWN]:
        points = _present(entry)
        at = [moments[position] for position, _ in points]
        name = wording.cut(entry.column or "", 40)
        what = {
            "distribution": "effect size",
            "missing": "more missing than in training",
            "new values": "share of new values",
        }
        series = [
            (what[entry.measure], at, [effect for _, effect in points]),
            ("margin", [moments[0], moments[-1]], [entry.margin, entry.margin]),
        ]
        plot = figures.curves(f"{name}: {entry.measure}", series, "window", what[entry.measure], dates=True)
        yield f"{'Answer' if entry.role == 'answer' else 'Column'} {name}: {entry.measure}", _caption(entry), plot
    rows = [float(window.rows) for window in facts.comparison.windows]
    if len(rows) > 1:
        yield (
            "Rows",
            "How many rows there were in each window.",
            figures.curves("Rows", [("rows", moments, rows)], "window", "rows", dates=True),
        )


def _present(entry: Series) -> list[tuple[int, float]]:
    return [(position, effect) for position, effect in enumerate(entry.effects) if effect is not None]


def _caption(entry: Series) -> str:
    if entry.measure == "distribution":
        return "Cohen's w: about the shift of a mean in standard deviations. Clearly above the margin is an alarm."
    return "As a difference of shares. Clearly above the margin is an alarm."


def results(facts: Facts) -> Iterator[Figure]:
    """Yield the metrics on labelled requests over time."""
    blocks = facts.performance.blocks
    for metric in dict.fromkeys(name for block in blocks for name in block.metrics):
        measured = [
            (datetime.fromisoformat(block.last).timestamp(), block.metrics[metric])
            for block in blocks
            if metric in block.metrics
        ]
        ended = [(at, e.value, e.low, e.high) for at, e in measured if None not in (e.value, e.low, e.high)]
        if len(ended) > 1:
            at, value, low, high = zip(*ended, strict=True)
            lines = [("estimate", at, value), ("lower end", at, low), ("upper end", at, high)]
            name = sentences.metric_name(metric)
            yield (
                name,
                "On labelled requests, with 95 % intervals.",
                figures.curves(name, lines, "last request", metric, dates=True),
            )


def service(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Yield what the server did: label, number, remark."""
    windows, traffic = facts.comparison.windows, facts.traffic
    yield "Requests", wording.number(traffic.requests), f"{wording.number(traffic.rows)} rows that can be read"
    unreadable = sum(traffic.unreadable.values())
    yield (
        "Values that cannot be read",
        wording.number(unreadable),
        wording.listed(map(wording.isolate, list(traffic.unreadable)[:3])),
    )
    errors, refused = (sum(getattr(window, field) for window in windows) for field in ("errors", "refused"))
    yield "Requests that failed", wording.number(errors), f"and {wording.number(refused)} that the server refused"
    slowest = max((window.seconds for window in windows if window.seconds is not None), default=None)
    if slowest is not None:
        yield "99 of 100 requests took less than", f"{1000 * slowest:,.0f} ms", "in the slowest window"
