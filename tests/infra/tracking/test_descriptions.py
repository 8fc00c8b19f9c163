"""Whoever opens only MLflow reads the verdict and what it rests on; text from data and people stays text there."""

import random
from dataclasses import replace

import pytest
import showdown
from tracked import write_evaluation

from infra.runs.records import RunRecord, StageRecord
from infra.tracking import descriptions
from infra.tracking.descriptions import Outcome
from pipelines.training import TRAINING
from steps import documents
from steps.cards.document import Registration
from steps.cards.markdown import bullets, escape, table
from steps.evaluation.document import Comparison, Estimate, Evaluation
from steps.wording import clean

PIECES = [
    "![p](http://evil.example/x.png)", "[a](//b)", "[x]", "[ ] ", "[1]: ", "<img src=x onerror=alert(1)>", "<b>", "</td>", "<!--",
    "-->", "<script>", "<http://a.b>", "|", "`", "```", "~~", "~", "*", "**", "_", "__", "#", "# ", "> ", "- ", "1. ", "\\", "\\\\",
    "!", "[", "]", "(", ")", "{", "}", "+", "=", "---", "@alice", "a@b.co", "mailto:q@w.e", "www.evil.com", "WWW.x.y",
    "http://e.org/x", "HTTPS://X.Y/z", "ftp://e.o", "javascript:alert(1)", ":tada:", ":", "::", "&lt;", "&#60;", "&", "$", "$$", "¨",
    "¨D", "¨E60E", "¨K1K", "^", "\u202e", "\u200b", "\n", "\n\n", "\t", "  ", "a", "B", "7", "word", "é", "漢", "%", "\x1b[0m", "'",
    '"', ";", ".", ",", "/", "//", "x" * 30,
]  # fmt: skip
"""What Markdown, HTML, GitHub or a terminal may act on."""
RECORD = RunRecord("flights-1", "late", problem={"name": "late", "question": "Late?"}, status="pass", started="")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """An evaluation that passed and one that did not."""
    place, results = tmp_path_factory.mktemp("judged"), {}
    for status in ("pass", "rejected"):
        write_evaluation(place / status, status)
        results[status] = documents.read(Evaluation, place / status)
    return results


@pytest.mark.skipif(showdown.NODE is None, reason="no node on this machine")
def test_mlflows_page_makes_nothing_of_hostile_text_and_loses_none_of_it():
    draw = random.Random(0)  # noqa: S311
    texts = ["".join(draw.choices(PIECES, k=draw.randint(1, 8))) for _ in range(1000)]
    texts = [text for text in texts if escape(text)]
    shapes = {
        ("p",): escape,
        ("ul", "li", "li"): lambda text: bullets([text, "x"]),
        ("table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"): lambda text: table(("a", "b"), [(text, "y")]),
    }
    for tags, write in shapes.items():
        for text, html in zip(texts, showdown.to_html([write(text) for text in texts]), strict=True):
            page = showdown.Page(html)
            assert page.tags == [*tags], (text, html)
            assert " ".join(clean(text).split()) in [" ".join(block.split()) for block in page.blocks], (text, html)


@pytest.mark.skipif(showdown.NODE is None, reason="no node on this machine")
def test_no_description_loads_a_picture_or_links_to_anything_but_the_report(judged):
    draw = random.Random(1)  # noqa: S311
    texts = []
    for _ in range(100):
        words = iter(["".join(draw.choices(PIECES, k=draw.randint(1, 8))) for _ in range(12)])
        problem = {name: next(words) for name in ("name", "question", "decision", "owner", "cost_of_error")}
        problem |= {"split": {"by": "time", "column": next(words)}}
        record = replace(
            RECORD, problem=problem, status=draw.choice(["pass", "rejected", "error"]), message=next(words)
        )
        promise = judged["rejected"].thresholds[0].model_copy(update={"slice": next(words), "reason": next(words)})
        comparison = Comparison(metric="roc_auc", difference=Estimate(value=0.1, low=0, high=0.2), better=next(words))
        changes = {"thresholds": (promise,), "comparisons": {next(words): comparison}}
        outcome = Outcome(record, judged["rejected"].model_copy(update=changes))
        request = Registration(
            name="m", verdict="pass", alias=None, tags={"data_digest": "d" * 64}, metrics={}, inputs=(), outputs=(), description=""
        )  # fmt: skip
        texts += [
            descriptions.of_run(outcome, "#/report"),
            descriptions.of_version(outcome, request, "#/report"),
            descriptions.of_problem(problem, "Runs."),
        ]
    for text, html in zip(texts, showdown.to_html(texts), strict=True):
        page = showdown.Page(html)
        allowed = {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong", "a", "code"}
        assert set(page.tags) <= allowed, (text, html)
        assert {value for name, value in page.attributes if name not in ("id", "style")} <= {"#/report"}, (text, html)


@pytest.mark.parametrize(
    ("changes", "stage", "name", "title"),
    [
        ({}, None, "pass: flights-1", "Pass: the model kept its promise"),
        ({"smoke": True}, None, "rehearsal: flights-1", "Rehearsal on a small sample"),
        (
            {"status": "rejected"},
            None,
            "rejected (promise): flights-1",
            "Rejected: the model did not keep its promise.",
        ),
        ({"status": "rejected"}, "split", "rejected (leak): flights-1", "Rejected by a gate (leak)"),
        ({"status": "rejected"}, "validate", "rejected (check): flights-1", "Rejected by a gate (check)"),
        (
            {"status": "rejected", "smoke": True},
            "validate",
            "rejected (check): flights-1",
            "Rejected by a gate (check)",
        ),
        ({"status": "error"}, None, "error: flights-1", "No verdict: the run failed."),
        ({"status": "interrupted"}, None, "interrupted: flights-1", "No verdict: the run was interrupted."),
        ({"status": "running"}, None, "flights-1", "Running"),
        (
            {"problem": {"name": "late", "owner": "to be written: who answers"}},
            None,
            "pass with reservations: flights-1",
            "Pass, but nobody answers for it yet",
        ),
    ],
)
def test_name_and_description_begin_with_the_verdict(judged, changes, stage, name, title):
    gates = {step.name: step.gate for step in TRAINING}
    record = replace(RECORD, **changes, stages=[StageRecord(stage, "k", "refused", gate=gates[stage])] if stage else [])
    outcome = Outcome(record, None if stage else judged["rejected" if record.status == "rejected" else "pass"])
    assert descriptions.run_name(outcome) == name
    assert descriptions.of_run(outcome, "#/report").startswith(title)


def test_who_does_better_is_said_in_the_name_too(judged):
    comparison = Comparison(
        metric="roc_auc", difference=Estimate(value=-0.1, low=-0.2, high=-0.05), better="hist_gradient_boosting"
    )
    outcome = Outcome(RECORD, judged["pass"].model_copy(update={"comparisons": {"hist_gradient_boosting": comparison}}))
    assert descriptions.run_name(outcome) == "pass with reservations: flights-1"
    assert "Pass, but gradient boosting does better (+10.0 points" in descriptions.of_run(outcome, "#/report")


def test_a_description_is_replaced_only_where_no_person_wrote_it():
    tags = {descriptions.SIGNATURE: descriptions.digest("ours")}
    assert descriptions.may_replace(None, {})
    assert descriptions.may_replace("", tags)
    assert descriptions.may_replace("ours", tags)
    assert not descriptions.may_replace("a person's", tags)
    assert not descriptions.may_replace("ours", {})


def test_what_a_list_of_promises_says_is_not_said_twice(judged):
    message = "roc_auc >= 0.75 (95 % bound): not met, the value is 0.8\nit is no better than a constant prediction"
    text = descriptions.of_run(Outcome(replace(RECORD, status="rejected", message=message), judged["rejected"]), "#")
    assert "- it is no better than a constant prediction" in text
    assert text.count("NOT kept: ROC AUC at least 0.75") == 1
    assert "not met" not in text
