"""Earlier runs of a problem: the last one that was judged, what changed since, and promises that were made easier.

A run is judged if its model was evaluated on the whole data. Rehearsals and runs that were refused, failed or stopped
before that promised nothing that could be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.runs.records import RunRecord
from steps.wording import digits

MUST_BEAT = "evaluate.must_beat"
PROMISE = "success: "


@dataclass(frozen=True)
class Change:
    """One field of the problem that differs from an earlier run."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Easing(Change):
    """A promise that asks less of the model than the strictest judged run of the problem."""

    run: str
    """The run that promised more."""
    reason: str = ""
    """Why, as a person wrote it in the problem file; empty until then."""

    @property
    def statement(self) -> str:
        """The key under ``eased`` in the problem file that acknowledges this easing and no other one."""
        if self.path == MUST_BEAT:
            return f"{self.path} {self.old} removed"
        new = digits(self.new) if isinstance(self.new, int | float) else self.new or "removed"
        return f"{self.path.removeprefix(PROMISE)} {new}"


@dataclass(frozen=True)
class History:
    """What the earlier runs of a problem in this workspace say about a run."""

    previous: RunRecord | None = None
    """The last one that was judged."""
    unjudged: Sequence[RunRecord] = ()
    """Those that were not, the newest first."""
    changes: Sequence[Change] = ()
    """Fields of the problem that differ from the previous run."""
    easings: Sequence[Easing] = field(default=())


def history(record: RunRecord, every: Iterable[RunRecord]) -> History:
    """Return what runs of the same problem that began before this one say about it; nothing about a rehearsal.

    Args:
        every: all runs of the workspace, the newest first.
    """
    if record.smoke:
        return History()
    earlier = [
        other
        for other in every
        if other.problem_name == record.problem_name and (other.started, other.run) < (record.started, record.run)
    ]
    judged = [other for other in earlier if is_judged(other)]
    return History(
        previous=judged[0] if judged else None,
        unjudged=tuple(other for other in earlier if not is_judged(other)),
        changes=tuple(changes(judged[0].problem, record.problem)) if judged else (),
        easings=tuple(_easings(judged, record.problem)),
    )


def is_judged(record: RunRecord) -> bool:
    """Return whether a model of this run was judged on the whole data."""
    evaluating = record.producer("evaluation")
    return not record.smoke and evaluating is not None and evaluating.status in ("ran", "cached")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield every field that differs, in the order of the new problem; thresholds are matched by metric, bound and slice.

    Fields that only repeat what is written elsewhere, as records of earlier releases have them, are left out.
    """
    from pipelines.problem.definition import SHARED

    before, after = dict(leaves(old)), dict(leaves(new))
    for path in dict.fromkeys([*after, *before]):
        is_written = SHARED.get(path.partition(".")[2], path) == path
        if before.get(path) != after.get(path) and is_written:
            yield Change(path, before.get(path), after.get(path))


def _easings(judged: Sequence[RunRecord], problem: Mapping[str, Any]) -> Iterator[Easing]:
    """Yield the promises of a problem that are easier than the strictest ones of judged runs."""
    strictest: dict[tuple[str, object], Easing] = {}
    now = dict(_promises(problem))
    for record in reversed(judged):
        for key, value in _promises(record.problem):
            promise = Easing(key[0], value, now.get(key), record.run)
            if key not in strictest or is_easier(key[0], value, strictest[key].old):
                strictest[key] = promise
    reasons = problem.get("eased") or {}
    for easing in strictest.values():
        if is_easier(easing.path, easing.old, easing.new):
            yield replace(easing, reason=str(reasons.get(easing.statement, "")))


def _promises(problem: Mapping[str, Any]) -> Iterator[tuple[tuple[str, object], Any]]:
    """Yield each promise of a problem as ((path, rival), value); the rivals to beat are one promise each."""
    for path, value in leaves(problem):
        if path == MUST_BEAT and isinstance(value, list | tuple):
            yield from (((path, rival), rival) for rival in value)
        elif path.startswith(PROMISE):
            yield (path, None), value


def is_easier(path: str, old: object, new: object) -> bool:
    """Return whether the new promise asks less of the model: a lower bar, an estimate for its interval, one rival fewer."""
    if path == MUST_BEAT:
        return new is None
    if (old, new) == ("interval", "value"):
        return True
    if not isinstance(old, int | float):
        return False
    if not isinstance(new, int | float):
        return new is None
    return new < old if " at_least" in path else new > old


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a problem as (dotted path, value); None is the same as absent."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else str(name))
    elif path == "success" and isinstance(value, Sequence):
        for item in value:
            yield from _flat_threshold(item)
    elif value is not None and value not in ([], ()):
        yield path, value


def _flat_threshold(threshold: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(threshold, Mapping):
        return
    where = f" on {threshold['slice']}" if threshold.get("slice") else ""
    for bound in ("at_least", "at_most"):
        if threshold.get(bound) is not None:
            path = f"{PROMISE}{threshold.get('metric')} {bound}{where}"
            yield path, threshold[bound]
            yield f"{path} judged on", threshold.get("on", "interval")
