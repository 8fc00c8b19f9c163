"""The live line, in real pseudoterminals of three widths, and plain lines where nobody watches."""

import os
import pty
import re
import select
import sys

import pytest
from pseudoterminal import Screen, resize

from pipelines.progress import Progress

NASTY = "a\x1b]0;PWNED\x07\x9b2J\u202eb"
HARMLESS = r"a\x1b]0;PWNED\x07\x9b2J\u202eb"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal:
    """A terminal behind standard error within a ``with`` block."""

    def __init__(self, columns):
        self.columns = columns
        self.outer, self.inner = pty.openpty()
        resize(self.inner, columns)

    def __enter__(self):
        self.usual, sys.stderr = sys.stderr, os.fdopen(self.inner, "w")
        return self

    def __exit__(self, *_):
        sys.stderr.close()
        sys.stderr = self.usual
        os.close(self.outer)

    def screen(self):
        """Return what the terminal shows of the output since the last look."""
        output = b""
        while select.select([self.outer], [], [], 0)[0]:
            output += os.read(self.outer, 65_536)
        screen = Screen(self.columns)
        screen.write(output.decode())
        return screen


@pytest.fixture(autouse=True)
def _usual_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


def fits(progress, clock):
    """Report what a training of two candidates on three folds reports, the first fit after ten seconds."""
    progress("train", {"kind": "stage", "status": "running"})
    progress("train", {"kind": "progress", "done": 0, "total": 31, "what": "mlp, fold 1 of 3"})
    clock.now += 10
    fold = {"kind": "progress", "done": 12, "total": 31, "what": "mlp, fold 2 of 3", "share": 1 / 7}
    progress("train", {**fold, "so_far": "ROC AUC 0.683"})


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_live_line_says_stage_candidate_fold_score_and_time_and_leaves_nothing_behind(columns):
    clock = Clock()
    with Terminal(columns) as terminal:
        with Progress(clock) as progress:
            progress.expect({"train": None, "evaluate": None})
            fits(progress, clock)
            progress(
                "train", {"kind": "note", "level": "info", "text": "given up on fold 2, " + "at some length, " * 9}
            )
            progress("train", {"kind": "stage", "status": "ran", "seconds": 10.0})
        screen = terminal.screen()
    live = next(line for line in reversed(screen.live) if "fold 2" in line)
    assert live.startswith("  train     mlp, fold 2 of 3")
    assert live.endswith("  0:10, about 1.0 min to go")
    assert ("ROC AUC 0.683" in live) == (screen.columns >= 80), live
    assert ("12 of 31" in live) == (screen.columns >= 120), live
    assert screen.lines[-2:] == ["  train     ran        10.0 s", ""]
    assert screen.wrapped == 0
    assert max(map(len, [*screen.lines, *screen.live])) <= screen.columns


def test_the_estimate_is_what_the_stages_took_before_less_the_time_since():
    clock = Clock()
    with Progress(clock) as progress:
        progress.expect({"split": 5.0, "train": 40.0, "evaluate": 8.0})
        assert progress.remaining() == "about 53 s to go"
        fits(progress, clock)
        progress("split", {"kind": "stage", "status": "cached", "seconds": 0.0})
        assert progress.remaining() == "about 38 s to go"
        clock.now += 60
        assert progress.remaining() == "about 8 s to go"
        progress("train", {"kind": "stage", "status": "ran", "seconds": 70.0})
        progress("evaluate", {"kind": "stage", "status": "ran", "seconds": 8.0})
        assert progress.remaining() == ""


def test_the_clock_ticks_while_a_stage_says_nothing():
    clock, text = Clock(), ""
    with Terminal(80) as terminal, Progress(clock) as progress:
        progress("ingest", {"kind": "stage", "status": "running"})
        clock.now += 75
        while "1:15" not in text:
            text = "".join(terminal.screen().lines)


def test_where_nobody_watches_there_are_plain_lines_and_no_live_line(capsys):
    clock = Clock()
    with Progress(clock) as progress:
        fits(progress, clock)
        progress("train", {"kind": "stage", "status": "ran", "seconds": 10.0})
    assert re.sub(r"\x1b\[\d+m", "", capsys.readouterr().err) == "  train     ran        10.0 s\n"


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
