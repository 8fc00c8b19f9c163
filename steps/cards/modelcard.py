"""The model card: what a model is for, what it was made from, how good it is and where it is not.

Source of the sections: Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steps.cards.markdown import bullets, escape, paragraph, table
from steps.evaluation.document import Calibration

Facts = Mapping[str, Mapping[str, Any]]

_WORST = 5
_SMALL_TEST_SET = 1000
_LOWER_IS_BETTER = ("log_loss", "brier", "rmse", "mae", "mape")


def model_card(request: Mapping[str, Any], facts: Facts) -> str:
    """As Markdown; every word that comes from data or people is escaped."""
    evaluation = facts["evaluation"]
    parts = [
        f"# {escape(request['name'])}\n",
        _verdict(request, evaluation),
        "## What it is for\n",
        _purpose(facts["problem"]),
        "## What was promised\n",
        _thresholds(evaluation),
        "## How good it is\n",
        _metrics(evaluation),
        "## Where it is worst\n",
        _worst(evaluation),
        "## What it was made from\n",
        _origin(facts),
        "## Limits\n",
        bullets(_limits(request, facts)),
        "## Lineage\n",
        bullets(f"{name}: {value}" for name, value in request["tags"].items()),
    ]
    return "\n".join(parts)


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def interval(estimate: Mapping[str, Any]) -> str:
    """The value with its interval, where it has one."""
    if estimate["low"] is None:
        return number(estimate["value"])
    return f"{number(estimate['value'])} ({number(estimate['low'])} to {number(estimate['high'])})"


def _verdict(request: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    if request["smoke"]:
        return "**A rehearsal on a small sample: not evidence for any decision.**\n"
    if request["verdict"] == "pass":
        return "**Verdict: pass.** It is a candidate; using it takes a person's approval.\n"
    return "**Verdict: rejected.** Do not use it for the decision.\n\n" + bullets(evaluation["reasons"])


def _purpose(problem: Mapping[str, Any]) -> str:
    fields = {
        "Question": "question",
        "Decision": "decision",
        "Owner": "owner",
        "What being wrong costs": "cost_of_error",
    }
    parts = [paragraph(label, problem[field]) for label, field in fields.items()]
    return "\n".join([*parts, paragraph("Predicts", f"{problem['target']} ({problem['task']})")])


def _thresholds(evaluation: Mapping[str, Any]) -> str:
    lines = evaluation["thresholds"]
    if not lines:
        return "Nothing.\n"
    return table(
        ("wanted", "found (95 % interval)", "kept"),
        [(line["wanted"], interval(line), "yes" if line["met"] else f"no: {line['reason']}") for line in lines],
    )


def _metrics(evaluation: Mapping[str, Any]) -> str:
    others = dict(evaluation["yardsticks"])
    if evaluation["champion"]:
        others["champion"] = evaluation["champion"]["metrics"]
    rows = [
        (metric, interval(estimate), *(interval(metrics[metric]) for metrics in others.values()))
        for metric, estimate in evaluation["metrics"].items()
    ]
    text = table(("metric", "this model (95 % interval)", *map(escape, others)), rows)
    return text + "\n" + bullets(_comparison(name, found) for name, found in evaluation["comparisons"].items())


def _comparison(name: str, found: Mapping[str, Any]) -> str:
    difference = f"difference in {found['metric']} {interval(found['difference'])}"
    if found["difference"]["value"] is None:
        return f"It cannot be compared with {name}: the difference in {found['metric']} is not defined on these rows."
    if found["difference"]["low"] is None:
        return f"Beside {name}: {difference}, without an interval, so whether it is chance cannot be said."
    if found["better"] == "model":
        return f"Better than {name}: {difference}."
    if found["better"] == "neither":
        return f"Neither better nor worse than {name}: {difference}."
    return f"{name} is better: {difference}. Prefer it unless there is a reason not to."


def _worst(evaluation: Mapping[str, Any]) -> str:
    """The slices with the least favourable headline metric among those with rows enough to say."""
    metric = evaluation["headline"]
    sign = -1 if metric in _LOWER_IS_BETTER else 1
    found = [
        (sign * part["metrics"][metric]["value"], column, part)
        for column, parts in evaluation["slices"].items()
        for part in parts
        if not part["small"] and part["metrics"][metric]["value"] is not None
    ]
    if not found:
        return "No slices were asked for, or none has rows enough: a group that fares badly would not show.\n"
    found.sort(key=lambda entry: (entry[0], entry[1], entry[2]["value"]))
    rows = [
        (column, part["value"], part["rows"], interval(part["metrics"][metric])) for _, column, part in found[:_WORST]
    ]
    return table(("column", "value", "rows", f"{metric} (95 % interval)"), rows)


def _origin(facts: Facts) -> str:
    schema, split, training, validation = facts["schema"], facts["split"], facts["training"], facts["validation"]
    evaluation = facts["evaluation"]
    data = evaluation["data"]
    division = f"{split.get('by', 'row')}" + (f" ({split['column']})" if split.get("column") else "")
    unmet = sum(validation.get("failed", {}).values())
    lines = [
        f"{data['train_rows']} rows to train on, {data['test_rows']} sealed rows to judge by, divided by {division}",
        f"{validation.get('expectations', 0)} expectations checked on the data, {unmet} not met",
        f"architecture {schema['architecture']}, chosen because {training.get('why') or 'it was the only candidate'}",
    ]
    inputs = table(("input", "type"), [(each["name"], each["type"]) for each in schema["inputs"]])
    return bullets(lines) + "\n" + inputs


def _limits(request: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    evaluation, split = facts["evaluation"], facts["split"]
    means = evaluation["interval"]
    yield f"Intervals: {means['method']}, {means['resamples']} resamples of {means['resampled']}."
    if evaluation["rows"] < _SMALL_TEST_SET:
        yield f"The test set is small ({evaluation['rows']} rows): a difference inside the intervals may be chance."
    if request["smoke"]:
        yield "A rehearsal on a sample with little training."
    calibration = Calibration(**(evaluation["calibration"] or {}))
    if calibration.is_off:
        error = calibration.expected_calibration_error
        yield f"Its probabilities are off by {error:.1%} on average: use them to rank, not as chances."
    small = sum(part["small"] for parts in evaluation["slices"].values() for part in parts)
    if small:
        yield f"{small} {'slice has' if small == 1 else 'slices have'} too few rows to be judged."
    yield from evaluation["notes"]
    yield from split.get("notes", ())
    yield from (finding["text"] for finding in split.get("findings", ()) if finding.get("level") != "refused")
    yield "It was judged on rows like those it was made from; other places, times or ways of measuring were not tested."
