"""The sentences of the report about a run: what was decided, what limits the numbers, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipelines.pages.report.gather import Facts, Stage
from pipelines.pages.report.history import PROMISE, Easing
from pipelines.pages.report.markup import exact
from steps.cards.document import ProblemCard
from steps.documents import Document
from steps.evaluation import remarks, sentences
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.labeling.document import LabelReport
from steps.splitting.document import ColumnProfiles, Finding, SplitReport
from steps.training.document import TrainingRecord
from steps.wording import count, isolate, listed, percent

MANY_READINGS = 3
MUCH_DRIFT, LISTED_DRIFTS = 0.1, 3
ELLIPSIS, CROSS, CHECK = "\N{HORIZONTAL ELLIPSIS}", "\N{MULTIPLICATION X}", "\N{CHECK MARK}"

RERUN = "Run the same command again: finished stages are not repeated."
AFTER_ROT = (
    "Do not rely on anything on this page that comes from these files. `fourscore doctor` lists what is broken in the "
    "store; move those executions away and run the same command again: they are rebuilt."
)
AFTER_REFUSAL: dict[type[Document], str] = {
    ProblemCard: "Make the thresholds in the problem file measurable and free of contradiction, then run again.",
    ValidationResults: (
        "Look at the failing expectations below, in the rows that are named. Fix the data at its source; or, where the "
        "expectation is wrong, change it in the suite, and run again."
    ),
    LabelReport: "Label more rows, or declare in the problem file what happens to unlabelled ones, then run again.",
    SplitReport: (
        "Decide about each finding below: a column that gives the answer away gets the role `ignore` or "
        "`available: later`; a column that legitimately predicts this well goes under `split.allow_proxies` with the "
        "reason; rows that belong together are split `by: group` or `by: time`."
    ),
}


_AFTER_REJECTION = (
    "Look at the weakest segments and the yardsticks: if gradient boosting does no better, the data may be the limit.",
    "If a promise was too strict, its owner can relax it in the problem file; the next report shows the change.",
)
"""What is advised where the evaluation has no next steps of its own."""


@dataclass(frozen=True)
class Verdict:
    """The first thing that a reader sees."""

    kind: str
    """pass | reserved | rejected | refused | error | unfinished: the style of the banner."""
    symbol: str
    title: str
    reasons: Sequence[str] = field(default_factory=tuple)
    next_steps: Sequence[str] = field(default_factory=tuple)


def verdict(facts: Facts) -> Verdict:
    """Return what was decided, why, and what to do now."""
    status, stopped = facts.record.status, facts.stopped_at
    reasons = lines(facts.record.message)
    if facts.rotten:
        title = "No verdict: files of this run are not what it published."
        return Verdict("error", "!", title, tuple(facts.rotten), (AFTER_ROT,))
    if stopped and stopped.record.status == "refused":
        return _refused(facts, stopped)
    if status in ("error", "interrupted", "killed"):
        return _broken(facts, reasons)
    if status == "running":
        return Verdict("unfinished", ELLIPSIS, "Still running: this page shows what is finished so far.", reasons)
    if (evaluation := facts.evaluation) is None:
        ended = [stage.record.name for stage in facts.stages if stage.record.status in ("ran", "cached")]
        title = f"No verdict yet: the run ended after stage {ended[-1] if ended else 'none'}, as requested."
        return Verdict("unfinished", ELLIPSIS, title, (), ("Run it without `--until` to get a verdict.",))
    return _judged(facts, evaluation)


def lines(message: str) -> tuple[str, ...]:
    """Return a message's statements; an indented line goes on with the one before it."""
    return tuple(part.strip() for part in re.sub(r"\n[ \t]+", "; ", message).splitlines() if part.strip())


def _refused(facts: Facts, stage: Stage) -> Verdict:
    reasons = (stage.manifest and stage.manifest.reasons) or lines(facts.record.message)
    title = f"Stopped by the {stage.record.name} gate: no model was trained on this data."
    advice = (text for kind, text in AFTER_REFUSAL.items() if kind in stage.documents)
    return Verdict("refused", CROSS, title, reasons, (next(advice, RERUN),))


def _broken(facts: Facts, reasons: tuple[str, ...]) -> Verdict:
    status, where = facts.record.status, facts.stopped_at
    at = f" in stage {where.record.name}" if where else ""
    what = {"error": "failed", "killed": "was killed"}.get(status, "was interrupted")
    fix = "Fix what the message describes, then run the same command again: finished stages are not repeated."
    return Verdict("error", "!", f"No verdict: the run {what}{at}.", reasons, (fix if status == "error" else RERUN,))


def _judged(facts: Facts, evaluation: Evaluation) -> Verdict:
    if facts.record.smoke:
        title = "Rehearsal on a small sample: every stage ran, but these numbers cannot support a decision."
        return Verdict("unfinished", ELLIPSIS, title, (), ("Run it without `--smoke` for a verdict.",))
    if facts.record.status == "pass" and evaluation.verdict == "pass":
        unanswered = ["nobody answers for it yet"] if facts.unwritten else []
        against = [*unanswered, *facts.reservations]
        title = sentences.passed(evaluation, against)
        return Verdict("reserved" if against else "pass", CHECK, title, (), _after_pass(facts))
    steps = (
        "Do not use this model for the decision. It is recorded as rejected and cannot become the champion.",
        *(remarks.next_steps(evaluation) or _AFTER_REJECTION),
    )
    reasons = evaluation.reasons or lines(facts.record.message)
    return Verdict("rejected", CROSS, sentences.rejected(evaluation), reasons, steps)


def _after_pass(facts: Facts) -> tuple[str, ...]:
    registered = facts.model
    if fields := facts.unwritten:
        return (
            f"Write the {listed(fields)} of the problem, then run it again: finished stages are not repeated.",
            "It is not a candidate before somebody answers for it.",
        )
    if not registered["name"]:
        return ("It is not a candidate yet: run it without `--until`.",)
    if registered["champion"]:
        return ("It is the champion: later runs are compared with it.",)
    name, version = isolate(registered["name"]), registered["version"]
    anyway = " --anyway" if facts.reservations else ""
    owner = f" ({isolate(facts.problem['owner'], 80)})" if facts.problem.get("owner") else ""
    return (
        f"Registered as a candidate ({name}{f', version {version}' if version else ''}). It is not in use yet.",
        *(f"Consider before approving it: {clause}." for clause in facts.reservations),
        f"If the owner{owner} agrees, sign for it with `fourscore approve {facts.run}{anyway} --reason ...`.",
        f"Once it is approved, `fourscore promote {facts.run}` makes it the champion.",
    )


def limits(facts: Facts) -> Iterator[str]:
    """Yield what a careful reader keeps in mind."""
    evaluation = facts.evaluation
    if facts.record.smoke:
        yield "This was a rehearsal on a small sample with little training; its numbers say nothing about the question."
    if split := facts.get(SplitReport):
        yield from map(_dropped, (finding for finding in split.findings if finding.check == "dropped"))
    if (labels := facts.get(LabelReport)) and labels.left_out:
        rows = count(sum(labels.left_out.values()), "row")
        yield f"The model never predicts the classes left out of the labels ({rows}): {listed([*map(isolate, labels.left_out)])}."
    if evaluation:
        yield from sentences.limits(evaluation)
        yield from remarks.clear_gaps(evaluation)
        yield from _limits_of_readings(facts)
    yield from _limits_of_drift(facts)
    yield from _limits_of_budget(facts.get(TrainingRecord))
    if lesson := row_split_lesson(facts):
        yield lesson
    if proxies := (facts.problem.get("split") or {}).get("allow_proxies"):
        names = listed([f"{isolate(column)} ({isolate(reason, 120)})" for column, reason in proxies.items()])
        yield f"These columns nearly give the answer away and were allowed in the problem file: {names}."
    if why := (facts.problem.get("evaluate") or {}).get("need_not_beat_constant"):
        yield f"This model may pass without being better than a constant prediction. The reason given: {isolate(why, 200)}."
    for easing in facts.history.easings:
        if easing.reason:
            yield f"A promise was made easier: {eased_promise(easing)} The reason given: {isolate(easing.reason, 200)}."


def _dropped(finding: Finding) -> str:
    return (
        f"The column {isolate(finding.columns[0])} was left out as free text, yet the numbers in it predict the target by "
        "themselves. If they are numbers or dates, declare its type in `data.columns`: the model would be better."
    )


def _limits_of_readings(facts: Facts) -> Iterator[str]:
    uses, models = len(facts.readings), len({reading.get("key") for reading in facts.readings})
    if not uses:
        return
    times = "once" if uses == 1 else f"{uses} times, for {count(models, 'version')} of the pipeline"
    worry = " Each use makes it a less independent test; fresh data would be a stricter one."
    yield f"The test set has been used {times}.{worry if models >= MANY_READINGS else ''}"
    if facts.divisions > 1:
        yield (
            f"{count(facts.divisions, 'different division')} of this table into training and test rows have been "
            "evaluated; the best of several results overstates the real quality."
        )


def _limits_of_drift(facts: Facts) -> Iterator[str]:
    """Yield which features the test part has otherwise than the training part, where that is much and no chance."""
    profiles, table = facts.get(ColumnProfiles), facts.table
    features = {column.name for column in table.features()} if table else set()
    far = [
        column
        for column in (profiles.columns if profiles else ())
        if column.name in features and column.has_drifted and (column.drift or 0) >= MUCH_DRIFT
    ]
    if far:
        far.sort(key=lambda column: -(column.drift or 0))
        names = [f"{isolate(column.name)} ({percent(column.drift)} of the rows)" for column in far[:LISTED_DRIFTS]]
        more = f" and {count(len(far) - LISTED_DRIFTS, 'more column')}" if len(far) > LISTED_DRIFTS else ""
        yield f"The test part differs from the training part beyond chance in {listed(names)}{more}; see the data."


def _limits_of_budget(training: TrainingRecord | None) -> Iterator[str]:
    if training and training.budget_bound:
        cut = listed([isolate(what) for what in training.budget_cut])
        yield (
            f"The time budget of training was too small{f': {cut}' if cut else ''}. Another machine, or this one less "
            "busy, may train another model on the same data; a larger `train.budget.minutes` prevents that."
        )


def row_split_lesson(facts: Facts) -> str:
    """Return why a split by row is too kind where the rows carry a time; empty where it does not apply."""
    split = facts.get(SplitReport)
    by = split.by if split else (facts.problem.get("split") or {}).get("by", "row")
    columns = facts.table.columns if facts.table else ()
    declared = [column.name for column in columns if column.role == "time"]
    times = declared or [column.name for column in columns if column.type in ("date", "datetime")]
    if by != "row" or not times:
        return ""
    columns_text = listed([isolate(name) for name in times[:3]])
    carried = f"the rows carry a time ({columns_text})" if declared else f"if {columns_text} says when a row arose"
    return (
        f"A row split flatters: {carried}, test rows come from the same days as training rows, while a model in use "
        "only ever knows the past. Split `by: time` to see how it will really do."
    )


def eased_promise(easing: Easing) -> str:
    """Return what became of a promise, as a sentence."""
    name = easing.path.removeprefix(PROMISE).replace("_", " ")
    became = "was removed" if easing.new is None else f"became {isolate(exact(easing.new))}"
    return f"{isolate(name, 120)}: {isolate(exact(easing.old))} {became} (run {isolate(easing.run, 80)} promised it)."


def acknowledgment(easing: Easing) -> str:
    """Return the lines of a problem file that acknowledge an easing."""
    return f'`eased: {{"{easing.statement}": "the reason"}}`'


def compared(facts: Facts) -> str:
    """Return which run this one is compared with, or why with none."""
    previous, unjudged = facts.history.previous, facts.history.unjudged
    if facts.record.smoke:
        return "This was a rehearsal; it is compared with no other run."
    if previous:
        what = "passed" if previous.status == "pass" else "was rejected"
        elsewhere = previous.problem_path != facts.record.problem_path
        file = f" It was made from another problem file: {isolate(previous.problem_path, 200)}." if elsewhere else ""
        same = "" if facts.history.changes else " The problem is unchanged."
        return (
            f"Compared with run {isolate(previous.run, 80)} of {previous.started[:10]}, which {what}: the last run of "
            f"this problem in this workspace whose model was judged.{file}{same}"
        )
    if unjudged:
        last = unjudged[0]
        what = "was a rehearsal" if last.smoke else "got no verdict on a model"
        return (
            f"Compared with no other run: of this problem {count(len(unjudged), 'earlier run')} in this workspace, none "
            f"of them with a judged model. The last one, {isolate(last.run, 80)}, {what}."
        )
    return "This is the first run of this problem in this workspace."
