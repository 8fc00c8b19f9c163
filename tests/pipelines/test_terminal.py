"""What a person sees: text from data is shown, never obeyed by the terminal."""

from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from infra.runs.records import RunRecord, StageRecord
from pipelines import __main__ as command_line
from pipelines.terminal import Progress, conclusion, lineage, plain
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
    evaluation = SimpleNamespace(thresholds=[promise], yardsticks={NASTY: {"auc": promise}})
    facts = SimpleNamespace(
        run=record.run, record=record, verdict="error", evaluation=evaluation, report_path=Path(NASTY),
        model={"path": NASTY, "name": "m", "version": None, "champion": False},
    )  # fmt: skip
    output = conclusion(facts)
    assert output.startswith(click.style("ERROR", fg="red", bold=True))
    for text in (output.partition("\n")[2], lineage(record)):
        assert HARMLESS in text
        assert plain(text) == text


@pytest.mark.parametrize("level", ["warning", "info"])
def test_what_a_stage_says_while_it_runs_cannot_steer_the_terminal(level, capsys):
    progress = Progress()
    progress("", {"kind": "note", "level": level, "text": NASTY})
    progress(NASTY, {"kind": "stage", "status": "failed", "seconds": 1.0})
    output = capsys.readouterr().err
    assert output.count(HARMLESS) == 2
    assert NASTY not in output


def test_the_notes_of_a_stage_are_shown_while_it_runs(capsys):
    Progress()("train", {"kind": "note", "level": "info", "text": "mlp, fold 1: ROC AUC 0.7"})
    assert capsys.readouterr().err == "    mlp, fold 1: ROC AUC 0.7\n"


def test_a_failure_is_shown_with_what_the_data_says_made_harmless(capsys):
    context = click.Context(command_line.main)
    with pytest.raises(click.exceptions.Exit):
        command_line._fail(context, f"column {NASTY}\nis the target", 2)
    assert capsys.readouterr().err.endswith(f": column {HARMLESS}\nis the target\n")
