"""What the stages of monitoring publish: how training looked, how each window of requests differs from it, and what follows."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from steps.documents import Document, Section
from steps.evaluation.document import Estimate, ThresholdResult

Kind = Literal["number", "category", "moment"]
Role = Literal["feature", "answer"]
State = Literal["quiet", "watch", "alarm"]
Outcome = Literal["kept", "broken", "undecided"]
Measure = Literal["distribution", "missing", "new values", "unreadable", "errors", "slow"]


class Reference(Section):
    """How a column was distributed in the rows that requests are compared with; no value of a single row."""

    name: str
    kind: Kind
    role: Role = "feature"
    rows: int
    missing: int = 0
    new: int = 0
    """About how many of so many further rows have a value that these rows have not: the values that one row alone has."""
    edges: tuple[float, ...] = ()
    """Of numbers: where a bin ends and the next begins, with four digits."""
    names: tuple[str, ...] = ()
    """Of categories: the frequent ones; all others are in the last bin."""
    counts: tuple[int, ...] = ()
    """Rows by bin; missing values are in none."""


class Baseline(Document):
    """The columns of the training rows, and the answers on the test rows."""

    artifact: ClassVar[str] = "baseline"
    file: ClassVar[str] = "baseline.json"

    columns: tuple[Reference, ...]


class Traffic(Document):
    """The captured requests, in numbers."""

    artifact: ClassVar[str] = "traffic"
    file: ClassVar[str] = "capture.json"

    files: int
    requests: int
    rows: int
    """That can be read."""
    unreadable: dict[str, int] = Field(default={})
    """Column -> its values that cannot be read."""
    of_other_models: int = 0
    """Requests that another model answered; they do not count."""
    broken_lines: int = 0
    broken: tuple[str, ...] = ()
    """The first of them, as ``file:line: why``."""


class Series(Section):
    """One measure of a column, or of the requests, over all windows; a number is None where too few rows were there."""

    measure: Measure
    column: str | None = None
    role: Role | None = None
    memory: bool = False
    """Whether a window is looked at with those before it, the nearer the heavier: what drifts slowly shows here."""
    margin: float
    """What is too little to matter, in the unit of ``effects``."""
    effects: tuple[float | None, ...]
    """Of a distribution Cohen's w, about the shift of a mean in standard deviations; else the share, minus that of training."""
    beyond: tuple[float | None, ...]
    """p-values of an effect that is no larger than the margin."""
    half: tuple[float | None, ...]
    """p-values of an effect that is no larger than half of it."""


class Window(Section):
    """The requests between two moments."""

    start: str
    """ISO 8601, UTC."""
    rows: int
    requests: int = 0
    seconds: float | None = None
    """99 of 100 requests took less."""
    errors: int = 0
    """Requests that the server failed to answer."""
    refused: int = 0
    """Requests that it refused, since they were wrong."""


class Comparison(Document):
    """Each window beside training."""

    artifact: ClassVar[str] = "comparison"
    file: ClassVar[str] = "comparison.json"

    hours: float
    """The length of a window."""
    windows: tuple[Window, ...]
    series: tuple[Series, ...]


class Finding(Section):
    """What differs in a window."""

    state: State
    measure: Measure
    column: str | None = None
    role: Role | None = None
    memory: bool = False
    effect: float
    text: str


class Day(Section):
    """The state of a window, and why."""

    start: str
    rows: int
    state: State
    findings: tuple[Finding, ...] = ()


class Episode(Section):
    """Windows after one another in which the same thing differs; three quiet ones end it."""

    state: State
    """The worst."""
    measure: Measure
    column: str | None = None
    role: Role | None = None
    since: str
    alarm: str | None = None
    """The first window of state alarm."""
    until: str
    ongoing: bool
    effect: float
    """The largest."""
    text: str


class PromiseInUse(Section):
    """A promise of the evaluation on labelled requests."""

    promised: ThresholdResult
    """As it was met on the test rows."""
    result: ThresholdResult
    outcome: Outcome


class Block(Section):
    """The labelled requests of some days."""

    first: str
    last: str
    rows: int
    promises: tuple[PromiseInUse, ...] = ()
    metrics: dict[str, Estimate] = Field(default={})


class Performance(Document):
    """What the answers were worth, as far as labels have arrived."""

    artifact: ClassVar[str] = "performance"
    file: ClassVar[str] = "performance.json"

    labels: int = 0
    joined: int = 0
    """Captured rows that have a label of the right form, and an answer."""
    blocks: tuple[Block, ...] = ()
    """The latest one last."""
    notes: tuple[str, ...] = ()


class Proposal(Document):
    """Whether to train again, and why; nothing follows from it by itself."""

    artifact: ClassVar[str] = "proposal"
    file: ClassVar[str] = "proposal.json"

    retrain: bool
    columns: tuple[str, ...] = ()
    """That have drifted."""
    since: str | None = None
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


class Judgement(Document):
    """The state of every window, and what lasted how long."""

    artifact: ClassVar[str] = "judgement"
    file: ClassVar[str] = "judgement.json"

    state: State
    """Of the last window, and alarm where a promise is broken."""
    broken: tuple[str, ...] = ()
    """The promises that the latest labels say are broken, as sentences."""
    days: tuple[Day, ...] = ()
    episodes: tuple[Episode, ...] = ()
    level: float
    """The chance of a false alarm in a window, all measures together."""
    alarms_per_quarter: float
    """How many false alarms this allows."""
