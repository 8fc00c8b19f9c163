"""The sentences of the report: what was decided, how the model compares, what limits the numbers, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.pages.report.gather import Change, Facts, Stage
from pipelines.pages.report.numbers import (
    Estimate,
    count,
    cut,
    decimals_for,
    interval,
    is_number,
    isolate,
    listed,
    number,
    percent,
    signed,
)
from steps.evaluation.document import Calibration

METRICS = {
    "roc_auc": (
        "ROC AUC",
        "how often a row of the positive class is ranked above one of the other class; 0.5 is a coin, 1 is perfect",
    ),
    "average_precision": (
        "Average precision",
        "how clean the top of the ranking is; the share of the positive class is a coin, 1 is perfect",
    ),
    "accuracy": ("Accuracy", "the share of rows that are answered correctly"),
    "balanced_accuracy": ("Balanced accuracy", "the share answered correctly, each class counting the same"),
    "f1": ("F1", "the balance of finding the positive class and being right about it; 1 is perfect"),
    "f1_macro": (
        "F1, mean over classes",
        "the balance of finding a class and being right about it, each class counting the same",
    ),
    "log_loss": ("Log loss", "how surprised the probabilities are by the truth; lower is better"),
    "brier": ("Brier score", "the mean squared error of the probabilities; lower is better"),
    "r2": ("R\N{SUPERSCRIPT TWO}", "the share of the variation that is explained; 0 is the mean, 1 is perfect"),
    "rmse": ("RMSE", "the typical error, large ones weighing more, in units of the target; lower is better"),
    "mae": ("Mean absolute error", "the average error in units of the target; lower is better"),
    "mape": ("Mean absolute percentage error", "the average error as a share of the truth; lower is better"),
}
PREDICTORS = {
    "model": "This model",
    "champion": "Current champion",
    "hist_gradient_boosting": "Gradient boosting",
    "linear": "Linear model",
    "constant": "Always the same answer",
}
_OTHERS = {
    "champion": "the current champion",
    "hist_gradient_boosting": "gradient boosting",
    "linear": "the linear model",
    "constant": "always giving the same answer",
}
MUST_BEAT = "evaluate.must_beat"
SMALL_TEST_SET = 1000
MANY_READINGS = 3

RERUN = "Run the same command again: finished stages are not repeated."
AFTER_ROT = (
    "Believe nothing on this page that rests on them. `fourscore doctor` names all that is broken in the store; move those "
    "executions away and run the same command again: they are made anew."
)
AFTER_REFUSAL = {
    "define": "Make the thresholds in the problem file measurable and free of contradiction, then run again.",
    "validate": (
        "Look at the failing expectations below, in the rows that are named. Mend the data where it comes from; or, "
        "where the expectation is wrong, change it in the suite, and run again."
    ),
    "label": "Label more rows, or declare in the problem file what happens to unlabelled ones, then run again.",
    "split": (
        "Decide about each finding below: a column that gives the answer away gets the role `ignore` or "
        "`available: later`; one that is rightly that good is listed under `split.allow_proxies` with the reason; "
        "rows that belong together are split `by: group` or `by: time`."
    ),
}


def metric_name(metric: object) -> str:
    return METRICS.get(str(metric), (cut(metric, 40), ""))[0]


def metric_meaning(metric: object) -> str:
    return METRICS.get(str(metric), ("", ""))[1]


def predictor_name(name: object) -> str:
    return PREDICTORS.get(str(name), cut(name, 40))


def higher_is_better(facts: Facts, metric: object) -> bool:
    """The metric's direction by the run's task; an unknown metric counts as better when higher."""
    from model_code import tasks

    name = facts.problem.get("task") or facts.document("evaluation").get("task")
    known = tasks.get(str(name)).metrics.get(str(metric)) if name in tasks.names() else None
    return known.higher_is_better if known else True


@dataclass(frozen=True)
class Verdict:
    """The first thing that a reader sees."""

    kind: str
    """pass | rejected | refused | error | unfinished: the style of the banner."""
    symbol: str
    title: str
    reasons: Sequence[str] = field(default_factory=tuple)
    next_steps: Sequence[str] = field(default_factory=tuple)


def verdict(facts: Facts) -> Verdict:
    """What was decided, why, and what to do now."""
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
        return Verdict(
            "unfinished", "\N{HORIZONTAL ELLIPSIS}", "Still running: this page shows what is finished so far.", reasons
        )
    if not facts.document("evaluation"):
        last = next(
            (stage.record.name for stage in reversed(facts.stages) if stage.record.status in ("ran", "cached")),
            "the start",
        )
        title = f"No verdict yet: the run ended after stage {last}, as it was asked to."
        return Verdict(
            "unfinished", "\N{HORIZONTAL ELLIPSIS}", title, (), ("Run it without `--until` to get a verdict.",)
        )
    return _judged(facts)


def lines(message: str) -> tuple[str, ...]:
    """A message's statements; an indented line goes on with the one before it."""
    return tuple(part.strip() for part in re.sub(r"\n[ \t]+", "; ", message).splitlines() if part.strip())


def _refused(facts: Facts, stage: Stage) -> Verdict:
    name = stage.record.name
    reasons = tuple(stage.manifest.get("reasons") or lines(facts.record.message))
    title = f"Stopped by the {name} gate: no model was made from this data."
    return Verdict("refused", "\N{MULTIPLICATION X}", title, reasons, (AFTER_REFUSAL.get(name, RERUN),))


def _broken(facts: Facts, reasons: tuple[str, ...]) -> Verdict:
    status, where = facts.record.status, facts.stopped_at
    at = f" in stage {where.record.name}" if where else ""
    if status == "error":
        title, step = (
            f"No verdict: the run broke{at}.",
            "Mend what the message names, then run the same command again: finished stages are not repeated.",
        )
    elif status == "killed":
        title, step = f"No verdict: the run was killed{at}.", RERUN
    else:
        title, step = f"No verdict: the run was interrupted{at}.", RERUN
    return Verdict("error", "!", title, reasons, (step,))


def _judged(facts: Facts) -> Verdict:
    evaluation = facts.document("evaluation")
    thresholds = evaluation.get("thresholds") or ()
    missed = sum(1 for threshold in thresholds if not threshold.get("met"))
    promises = count(len(thresholds), "promise")
    passed = facts.record.status == "pass" and evaluation.get("verdict") == "pass"
    if facts.record.smoke:
        title = "A rehearsal on a small sample: everything ran, and nothing here is evidence for a decision."
        return Verdict("unfinished", "\N{HORIZONTAL ELLIPSIS}", title, (), ("Run it without `--smoke` for a verdict.",))
    if passed:
        kept = {1: "the promise is", 2: "both promises are"}.get(len(thresholds), f"all {promises} are")
        title = f"Pass: {kept} kept on the sealed test set."
        return Verdict("pass", "\N{CHECK MARK}", title, (), _after_pass(facts))
    broken = (
        "the promise is not kept"
        if len(thresholds) == 1
        else f"{number(missed)} of {promises} {'is' if missed == 1 else 'are'} not kept"
    )
    reasons = tuple(evaluation.get("reasons") or ()) or lines(facts.record.message)
    steps = (
        "Do not use this model for the decision. It is recorded as rejected and cannot become the champion.",
        "Look at the worst slices and the yardsticks: if gradient boosting is no better, the data is the limit.",
        "If a promise asked for too much, its owner may change the problem file; the next report shows the change.",
    )
    return Verdict(
        "rejected",
        "\N{MULTIPLICATION X}",
        f"Rejected: {broken if missed else 'it must not be used'}.",
        reasons,
        steps,
    )


def _after_pass(facts: Facts) -> tuple[str, ...]:
    from pipelines.summary import model

    made = model(facts)
    if not made["name"]:
        return ("It is no candidate yet: run it without `--until`.",)
    if made["champion"]:
        return ("It is the champion: later runs are compared with it.",)
    name, version = isolate(made["name"]), made["version"]
    candidate = f"registered as a candidate ({name}, version {version})" if version else f"a candidate ({name})"
    owner = facts.problem.get("owner")
    person = f"the owner ({isolate(owner, 80)})" if owner else "the owner"
    return (
        f"It is {candidate}. Nothing uses it yet.",
        f"If {person} agrees, `fourscore promote {facts.run} --yes` makes it the champion.",
    )


@dataclass(frozen=True)
class Comparison:
    """The model beside another predictor on the same test rows, as a sentence."""

    name: str
    better: str
    """As :func:`outcome` has it."""
    sentence: str


def comparisons(facts: Facts) -> list[Comparison]:
    """One honest sentence for each predictor that the model was compared with; the champion first."""
    found = facts.document("evaluation").get("comparisons") or {}
    order = [name for name in PREDICTORS if name in found] + [name for name in found if name not in PREDICTORS]
    return [Comparison(name, outcome(found[name]), _sentence(name, found[name])) for name in order]


def outcome(comparison: Mapping[str, Any]) -> str:
    """Who is better: model, neither or another; or why nobody can say: undefined, or no interval."""
    difference: Estimate = comparison.get("difference") or {}
    if not is_number(difference.get("value")):
        return "undefined"
    if not interval(difference):
        return "no interval"
    return str(comparison.get("better"))


def _sentence(name: str, comparison: Mapping[str, Any]) -> str:
    difference: Estimate = comparison.get("difference") or {}
    places, other = decimals_for(difference), _OTHERS.get(name, isolate(name))
    metric, who_is_better = metric_name(comparison.get("metric")), outcome(comparison)
    if who_is_better == "undefined":
        return f"It cannot be compared with {other}: the difference in {metric} is not defined on these rows."
    by = f"{metric} {signed(difference.get('value'), places)}"
    if who_is_better == "no interval":
        return f"Beside {other}: {by}, without an interval, so whether it is chance cannot be said."
    by += f" (95 % interval {interval(difference, places, sign=True)})"
    if who_is_better == "model":
        return f"Better than {other}: {by}."
    if who_is_better == "neither":
        return f"A tie with {other}: {by}, which may be chance."
    advice = (
        "the model has learned nothing that helps"
        if name == "constant"
        else "prefer it unless there is a reason not to"
    )
    return f"Worse than {other}: {by}; {advice}."


def limits(facts: Facts) -> Iterator[str]:
    """What a careful reader keeps in mind."""
    evaluation = facts.document("evaluation")
    if facts.record.smoke:
        yield "This was a rehearsal on a small sample with little training; its numbers say nothing about the question."
    if evaluation:
        yield from _limits_of_rows(evaluation)
        yield from _limits_of_readings(facts)
    yield from _limits_of_budget(facts.document("training"))
    if lesson := row_split_lesson(facts):
        yield lesson
    if proxies := (facts.problem.get("split") or {}).get("allow_proxies"):
        names = listed([f"{isolate(column)} ({isolate(reason, 120)})" for column, reason in proxies.items()])
        yield f"Columns that nearly give the answer away were allowed by declaration: {names}."
    calibration = Calibration(**(evaluation.get("calibration") or {}))
    if calibration.is_off:
        error = percent(calibration.expected_calibration_error)
        yield f"Its probabilities are off by {error} on average: use them to rank, not as chances."
    yield from map(_sentence_case, (evaluation.get("notes") or ()))
    if evaluation and not evaluation.get("champion") and not evaluation.get("notes"):
        yield "There is no champion to compare with yet."
    if evaluation and not evaluation.get("slices"):
        yield "No slices were asked for, so a group that fares badly would not show here."


def _sentence_case(note: object) -> str:
    text = str(note)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _limits_of_rows(evaluation: Mapping[str, Any]) -> Iterator[str]:
    rows: Any = evaluation.get("rows")
    if is_number(rows) and rows < SMALL_TEST_SET:
        size = count(int(rows), "row")
        yield f"The test set is small ({size}): the intervals are wide, and a difference inside them may be chance."
    small = [
        f"{isolate(column)} = {isolate(part.get('value'))}"
        for column, parts in (evaluation.get("slices") or {}).items()
        for part in parts
        if part.get("small")
    ]
    if small:
        named = listed(small[:4]) + (f" and {len(small) - 4} more" if len(small) > 4 else "")
        yield f"{count(len(small), 'slice has', 'slices have')} too few rows to say much: {named}."
    means = evaluation.get("interval") or {}
    if means and means.get("resampled") not in (None, "rows"):
        drawn = isolate(means.get("resampled"))
        yield f"Rows that belong together are not independent, so intervals come from resampling {drawn}, not rows."


def _limits_of_readings(facts: Facts) -> Iterator[str]:
    opened, models = len(facts.readings), len({reading.get("key") for reading in facts.readings})
    if not opened:
        return
    times = "once" if opened == 1 else f"{opened} times, for {count(models, 'version')} of the pipeline"
    worry = (
        " Each look makes it a little less of a surprise; fresh data would be a stricter test."
        if models >= MANY_READINGS
        else ""
    )
    yield f"The sealed test set of this split has been opened {times}.{worry}"
    if facts.divisions > 1:
        yield (
            f"{count(facts.divisions, 'different division')} of this table into training and test rows have been judged; "
            "the best of several is better than it is."
        )


def _limits_of_budget(training: Mapping[str, Any]) -> Iterator[str]:
    if training.get("budget_bound"):
        cut = listed([isolate(what) for what in training.get("budget_cut") or ()])
        yield (
            f"The time budget of training was too small{f': {cut}' if cut else ''}. Another machine, or this one less "
            "busy, may make another model of the same data; a larger `train.budget.minutes` settles it."
        )


def row_split_lesson(facts: Facts) -> str:
    """Why a split by row is too kind where the rows carry a time; empty where it does not apply."""
    split = facts.problem.get("split") or {}
    by = facts.document("split").get("by") or split.get("by", "row")
    columns = (facts.document("labeled") or facts.document("table")).get("columns") or ()
    declared = [column["name"] for column in columns if column.get("role") == "time"]
    times = declared or [column["name"] for column in columns if column.get("type") in ("date", "datetime")]
    if by != "row" or not times:
        return ""
    named = listed([isolate(name) for name in times[:3]])
    carried = f"the rows carry a time ({named})" if declared else f"if {named} says when a row arose"
    return (
        f"A row split flatters: {carried}, test rows were drawn from the same days as training rows, while a model "
        "that is used only ever knows the past. Split `by: time` to see what it will really do."
    )


def is_loosened(change: Change) -> bool:
    """Whether a change asks less of the model: a lower bar, an estimate for its interval, a rival that it need not beat."""
    if change.path == MUST_BEAT:
        return bool({str(name) for name in _names(change.old)} - {str(name) for name in _names(change.new)})
    if not change.path.startswith("success: "):
        return False
    if (change.old, change.new) == ("interval", "value"):
        return True
    if not is_number(change.old):
        return False
    if change.new is None:
        return True
    if not is_number(change.new):
        return False
    return bool(change.new < change.old if " at_least" in change.path else change.new > change.old)


def _names(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
