"""Fits at the same time: results in their order, one progress for all, and an end for all where one fails."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.training import concurrency


def job(value, seconds=0.0):
    def work(*, report=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if report:
                report(1, 2)
            time.sleep(0.01)
        if report:
            report(2, 2)
        return value

    return work


def fail(*, report=None):
    raise OSError("no space left")


def test_results_are_in_the_order_of_the_jobs():
    assert concurrency.run([job("slow", 0.1), job("fast")], 2, lambda count, total: None) == ["slow", "fast"]


def test_progress_is_that_of_all_jobs_together_and_rises_to_the_whole():
    reports = []
    concurrency.run([job(1), job(2), job(3)], 2, lambda count, total: reports.append((count, total)))
    assert reports == sorted(reports)
    assert reports[-1] == (100, 100)


def test_one_at_a_time_each_job_reports_itself():
    assert concurrency.run([job(1), job(2)], 1, lambda count, total: pytest.fail("not called")) == [1, 2]


def test_a_failure_stops_the_others_and_is_what_the_caller_sees():
    before = time.monotonic()
    with pytest.raises(OSError, match="no space left"):
        concurrency.run([job(1, 60), fail, job(3, 60)], 3, lambda count, total: None)
    assert time.monotonic() - before < 30


def test_an_interrupt_in_a_report_ends_all_jobs():
    def interrupt(count, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        concurrency.run([job(1, 60), job(2, 60)], 2, interrupt)


@given(count=st.integers(1, 20), at_once=st.integers(1, 8), first_alone=st.booleans())
def test_waves_have_each_number_once_in_order_and_no_wave_is_too_large(count, at_once, first_alone):
    waves = concurrency.waves(count, at_once, first_alone=first_alone)
    assert [number for wave in waves for number in wave] == list(range(1, count + 1))
    assert max(map(len, waves)) <= at_once
    assert len(waves) <= -(-count // at_once) + first_alone
    assert len(waves[0]) == 1 or not first_alone
