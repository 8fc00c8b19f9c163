"""What a person sees: text from data is shown, never obeyed by the terminal."""

from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import EVALUATION, PROBLEM, documents, estimate, evaluation, make_run

from infra.runs.records import RunRecord, StageRecord
from pipelines import __main__ as command_line
from pipelines.pages.report.gather import gather
from pipelines.summary import summary
from pipelines.terminal import conclusion, fit, lineage, outcome, plain, wrap
from steps.evaluation.document import ThresholdResult

NASTY = "a\x1b]0;PWNED\x07\x9b2J\u202eb"
HARMLESS = r"a\x1b]0;PWNED\x07\x9b2J\u202eb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NASTY, HARMLESS),
        ("one\ntwo", "one\ntwo"),
        ("one\ttwo", "one two"),
        ("\x00\r\x7f\x80\x9f", r"\x00\x0d\x7f\x80\x9f"),
        ("\u200e\u200f\u202a\u2066\u2069", r"\u200e\u200f\u202a\u2066\u2069"),
        ("für 日本 👩\u200d🔬\xa0", "für 日本 👩\u200d🔬\xa0"),
    ],
)
def test_a_terminal_is_told_no_more_than_letters_blanks_and_new_lines(text, expected):
    assert plain(text) == expected


def test_the_conclusion_and_lineage_of_a_run_show_what_its_data_says_and_keep_our_colours():
    record = RunRecord(
        "flights-1", problem_path=NASTY, status="error", started="now", overrides={"label": NASTY},
        message=f"column {NASTY} predicts the target", stages=[StageRecord("validate", "k" * 64, "refused", 1.0, NASTY)],
    )  # fmt: skip
    promise = ThresholdResult(value=0.5, low=None, high=None, metric="auc", wanted=NASTY, met=False)
    evaluation = SimpleNamespace(thresholds=[promise], yardsticks={NASTY: {"auc": promise}}, diagnosis=None)
    facts = SimpleNamespace(
        run=record.run, record=record, verdict="error", evaluation=evaluation, report_path=Path(NASTY), is_reused=False,
        unwritten=[NASTY], reservations=[NASTY],
        model={"path": NASTY, "name": "m", "version": None, "champion": False},
    )  # fmt: skip
    output = conclusion(facts)
    assert output.startswith(click.style("ERROR", fg="red", bold=True))
    for text in (output.partition("\n")[2], lineage(record)):
        assert HARMLESS in text
        assert plain(text) == text


def test_a_failure_is_shown_with_what_the_data_says_made_harmless(capsys):
    context = click.Context(command_line.main)
    with pytest.raises(click.exceptions.Exit):
        command_line._fail(context, f"column {NASTY}\nis the target", 2)
    assert capsys.readouterr().err.endswith(f": column {HARMLESS}\nis the target\n")


def of_run(workspace, run="flights-1", judged=None, **fields):
    """What the terminal says of a run with another evaluation."""
    files = documents(**{EVALUATION: evaluation(**(judged or {}))})
    return click.unstyle(conclusion(gather(workspace, make_run(workspace, run, files=files, **fields), history=False)))


UNMET = {**evaluation()["thresholds"][0], "met": False, "reason": "the value is 0.692"}


def test_a_rehearsal_passes_nothing_and_judges_no_promise(workspace):
    reason = "roc_auc >= 0.65: not met, the value is 0.692"
    judged = {"verdict": "rejected", "reasons": [reason], "thresholds": [UNMET]}
    text = of_run(workspace, judged=judged, smoke=True, message=reason)
    assert text.startswith("REHEARSAL OK  flights-1")
    assert "0.692 (0.680 to 0.704)  not judged" in text
    for untrue in ("PASS", "not met", "NOT kept"):
        assert untrue not in text
    assert [outcome(verdict, smoke=True) for verdict in ("pass", "error")] == ["rehearsal ok", "error (smoke)"]
    assert outcome("rejected", smoke=False) == "rejected"


def test_what_speaks_against_a_pass_stands_right_below_it(workspace):
    better = {"metric": "accuracy", "difference": estimate(-0.079, 0.01), "better": "hist_gradient_boosting"}
    text = of_run(workspace, judged={"comparisons": {"hist_gradient_boosting": better}})
    assert text.splitlines()[1] == "  but gradient boosting does better (+7.9 points of accuracy)"
    assert "consider what speaks against it; if it is right all the same, sign for it with" in text
    assert "--anyway --reason ...'" in text
    todo = {**PROBLEM, "decision": "to be written: the decision", "owner": "to be written: the role"}
    text = of_run(workspace, "todo", problem=todo)
    assert text.splitlines()[1] == "  but nobody answers for it yet: write the decision, owner"
    assert "fourscore approve" not in text
    assert text.splitlines()[-1].endswith("write those fields in the problem file and run again to get a candidate")


def test_a_run_that_was_answered_from_a_finished_one_says_so_and_no_stage_of_it_ran(workspace):
    facts = gather(workspace, make_run(workspace), history=False)
    assert summary(facts)["reused"] is False
    facts = facts.reused()
    assert "nothing ran now: this run was finished at 2025-06-01T10:01:10+00:00" in conclusion(facts)
    document = summary(facts)
    assert document["reused"] is True
    assert {(stage["status"], stage["seconds"]) for stage in document["stages"]} == {("cached", 0.0)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "  train     ran     32.6 s  config train.seed changed; code of steps.train changed",
            ["  train     ran     32.6 s  config train.seed", " " * 28 + "changed; code of", " " * 28 + "steps.train changed"],
        ),
        ("    ! a column is nearly the target and is left out of it", ["    ! a column is nearly the target and is left", "      out of it"]),
        ("a sentence that goes on for more than one line here", ["a sentence that goes on for more than one line", "  here"]),
        ("  model   /" + "x" * 60, ["  model   /" + "x" * 60]),
    ],
)  # fmt: skip
def test_long_lines_break_between_words_below_their_last_column(line, expected):
    assert wrap(line, 48).split("\n") == expected


@given(st.text("ab -!\u00e9", max_size=200), st.integers(20, 120))
def test_a_broken_line_has_all_its_words_and_none_of_its_parts_is_too_wide(line, width):
    parts = wrap(line, width).split("\n")
    assert " ".join(parts).split() == line.split()
    assert parts == [line] or all(len(part) <= width for part in parts)


def test_only_a_terminal_breaks_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    terminal, file = SimpleNamespace(isatty=lambda: True), SimpleNamespace(isatty=lambda: False)
    text = "ok\n" + "word " * 10
    assert fit(text, file) == text
    assert max(map(len, fit(text, terminal).split("\n"))) <= 20
    coloured = click.style("short", fg="red") + " and plain"
    assert fit(coloured, terminal) == coloured
