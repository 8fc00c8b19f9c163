"""A simulated year, smaller than that of the benchmark: planted drifts are detected within a week, and nothing else is."""

import sys

import pytest
from tree import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import monitoring


def test_planted_drifts_are_detected_within_a_week_and_clean_days_raise_no_alarm():
    judgement = monitoring.year(0, days=130, rows=2_000, training=20_000)
    late = {name: delay for name, delay in monitoring.delays(judgement).items() if delay is None or delay > 7}
    assert [name for name in late if "slow" not in name] == []
    assert monitoring.false_alarms(judgement) == 0


@pytest.mark.slow
def test_a_whole_year_of_ten_thousand_rows_a_day_is_as_documented():
    judgement = monitoring.year(0, days=365, rows=10_000, training=20_000)
    assert max(delay or 365 for delay in monitoring.delays(judgement).values()) <= 7
    assert monitoring.false_alarms(judgement) <= 4
