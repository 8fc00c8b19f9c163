"""The model card: what a model is for, what it was trained on, how good it is and where it is not.

Source of the sections: Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import json

from steps.cards.document import ANSWERS, USES, ProblemCard, Registration
from steps.cards.facts import CardFacts, limits
from steps.cards.markdown import bullets, escape, paragraph, table
from steps.evaluation import remarks, sentences
from steps.evaluation.document import Evaluation
from steps.evaluation.sentences import metric_name, predictor_name, with_interval
from steps.wording import count, number

_WORST = 5


def model_card(request: Registration, facts: CardFacts) -> str:
    """Return the card as Markdown; every word that comes from data or people is escaped."""
    parts = [
        _metadata(request, facts),
        f"# {escape(request.name)}\n",
        _verdict(request, facts.evaluation),
        "## What it is for\n",
        _purpose(facts.problem),
        "## Promises and results\n",
        _promises(facts.evaluation),
        "## How it compares with simpler models\n",
        _metrics(facts.evaluation),
        "## Where it is weakest\n",
        _weakest(facts.evaluation),
        "## What it was trained on\n",
        _origin(facts),
        "## Limits\n",
        bullets(limits(request, facts)),
        "## Lineage\n",
        bullets(f"{name}: {value}" for name, value in request.tags.items()),
    ]
    return "\n".join(parts)


def _metadata(request: Registration, facts: CardFacts) -> str:
    """Return the metadata that Hugging Face reads, in YAML; texts are JSON strings, so that they stay texts.

    A rehearsal has no results. The licence of the data is no licence of the model, so it is not among them.
    """
    evaluation, kind = facts.evaluation, f"tabular-{facts.problem.task.rpartition('-')[2]}"
    lines = ["library_name: fourscore", f"pipeline_tag: {kind}", "tags:", "- fourscore", "- tabular"]
    scores = [] if request.smoke else [(m, e.value) for m, e in evaluation.metrics.items() if e.value is not None]
    if scores:
        lines += ["model-index:", f"- name: {json.dumps(request.name)}", "  results:"]
        lines += [
            "  - task:",
            f"      type: {kind}",
            "    dataset:",
            "      name: held-out test set",
            "      type: tabular",
        ]
        lines += ["    metrics:"]
    for metric, value in scores:
        lines += [
            f"    - type: {json.dumps(metric)}",
            f"      name: {json.dumps(metric_name(metric))}",
            f"      value: {value!r}",
        ]
    return "\n".join(["---", *lines, "---", ""])


def _verdict(request: Registration, evaluation: Evaluation) -> str:
    if request.smoke:
        return "**Rehearsal on a small sample: these numbers cannot support a decision.**\n"
    if request.verdict == "pass":
        status = "It is a candidate; using it takes a person's approval."
        if request.alias is None:
            status = "It is not a candidate: nobody answers for it yet."
        return f"**{escape(sentences.passed(evaluation, sentences.reservations(evaluation)))}** {status}\n"
    return "**Rejected: do not use it for the decision.**\n\n" + bullets(evaluation.reasons)


def _purpose(problem: ProblemCard) -> str:
    answers = [paragraph(title, getattr(problem, name)) for name, title in ANSWERS.items()]
    answers += [paragraph(title, getattr(problem, name) or "not recorded") for name, title in USES.items()]
    return "\n".join([*answers, paragraph("Predicts", f"{problem.target} ({problem.task})")])


def _promises(evaluation: Evaluation) -> str:
    if not evaluation.thresholds:
        return "No promises were made.\n"
    rows = [
        (
            metric_name(threshold.metric) + (f" on {threshold.slice}" if threshold.slice else ""),
            f"{sentences.requirement(threshold)}, {sentences.judged_on(threshold)}",
            with_interval(threshold),
            "yes" if threshold.met else f"no: {threshold.reason}",
        )
        for threshold in evaluation.thresholds
    ]
    return table(("metric", "required", "result (95 % interval)", "kept"), rows)


def _metrics(evaluation: Evaluation) -> str:
    rivals = evaluation.rivals()
    rows = [
        (metric_name(metric), with_interval(estimate), *(with_interval(metrics[metric]) for metrics in rivals.values()))
        for metric, estimate in evaluation.metrics.items()
    ]
    text = table(("metric", "this model (95 % interval)", *(escape(predictor_name(name)) for name in rivals)), rows)
    return text + "\n" + bullets(sentences.comparisons(evaluation).values())


def _weakest(evaluation: Evaluation) -> str:
    """Return the segments that are weaker than all rows beyond chance, by their rows times what they lack."""
    searched = bullets(remarks.of_search(evaluation)) + "\n" if evaluation.search else ""
    judged = sentences.weakest(evaluation)
    if not judged:
        return (
            searched
            or "No segments were defined, or none has rows enough: a group the model serves badly would not show up.\n"
        )
    rows = [
        (column, part.value, number(part.rows), with_interval(estimate))
        for column, part, estimate in judged[:_WORST]
        if sentences.is_clearly_weaker(evaluation, part)
    ]
    if not rows:
        return f"{searched}None of {count(len(judged), 'declared segment')} is weaker than all rows beyond chance.\n"
    return searched + table(("column", "value", "rows", f"{metric_name(evaluation.headline)} (95 % interval)"), rows)


def _origin(facts: CardFacts) -> str:
    schema, split, validation, data = facts.schema, facts.split, facts.validation, facts.evaluation.data
    by = f"{split.by} ({split.column})" if split.column else split.by
    lines = [
        f"{number(data.train_rows)} training rows and {number(data.test_rows)} held-out test rows, split by {by}",
        f"{validation.expectations} expectations checked on the data, {sum(validation.failed.values())} not met",
        f"architecture {schema.architecture} ({facts.training.why or 'the only candidate'})",
    ]
    return bullets(lines) + "\n" + table(("input", "type"), [(column.name, column.type) for column in schema.inputs])
