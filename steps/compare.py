"""compare: each window of requests beside training, column by column, and beside the budgets of the service."""

from __future__ import annotations

from pydantic import Field

from steps import documents
from steps.core import Config, Input, Output
from steps.errors import InputError
from steps.journal import Journal

MOST_WINDOWS = 5_000


class CompareConfig(Config):
    """The windows, and what is too little to matter."""

    hours: float = Field(default=24, gt=0, description="The length of a window; windows begin at midnight UTC.")
    distribution_margin: float = Field(
        default=0.2,
        gt=0,
        description="Cohen's w between a column's distribution and that of training; near a shift in standard deviations.",
    )
    share_margin: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="The difference in the share of missing values, and of values that training had not.",
    )
    unreadable_budget: float = Field(default=0.01, gt=0, lt=1, description="The share of rows that cannot be read.")
    error_budget: float = Field(
        default=0.001, gt=0, lt=1, description="The share of requests that the server fails to answer."
    )
    slow_seconds: float = Field(default=1.0, gt=0, description="A request that takes longer is slow.")
    slow_budget: float = Field(default=0.01, gt=0, lt=1, description="The share of slow requests.")


def compare(
    traffic: Input, baseline: Input, model: Input, comparison: Output, config: CompareConfig, log: Journal
) -> None:
    """Count the rows of each window by bin, file by file, and test every column's difference from training.

    Raises:
        InputError: the windows are too many.
    """
    import numpy as np
    import polars as pl

    from model_code import families
    from steps.monitoring import comparing
    from steps.monitoring.captured import ANSWER, REQUEST, TIME
    from steps.monitoring.document import Baseline, Comparison

    requests = pl.read_parquet(traffic / "requests.parquet", glob=False)
    clock = comparing.Clock.of(requests[TIME], config.hours)
    if clock.count > MOST_WINDOWS:
        raise InputError(
            f"the requests span {clock.count} windows of {config.hours:g} hours; at most {MOST_WINDOWS} can be compared: set hours to more"
        )
    vocabularies = {
        entry["name"]: entry.get("vocabulary") if entry["kind"] == "category" else None
        for entry in families.load_schema(model)["inputs"]
    }
    tallies = [
        comparing.Tally(column, vocabularies.get(column.name) if column.role == "feature" else None)
        for column in documents.read(Baseline, baseline).columns
    ]
    rows = np.zeros(clock.count, np.int64)
    for path in sorted(traffic.glob("rows-*.parquet")):
        frame = pl.read_parquet(path, glob=False)
        windows, senders = clock.windows(frame[TIME]), frame[REQUEST].rank("dense").to_numpy()
        rows += np.bincount(windows, minlength=clock.count)
        for tally in tallies:
            name = tally.reference.name
            values = frame[name if tally.reference.role == "feature" else f"{ANSWER}{name}"]
            if tally.reference.role == "answer":  # a log has no answers, and that is no drift
                present = values.is_not_null().to_numpy()
                tally.add(values.drop_nulls(), windows[present], senders[present])
            else:
                tally.add(values, windows, senders)
    margins = comparing.Margins(config.distribution_margin, config.share_margin)
    series = [entry for tally in tallies for entry in comparing.series_of(tally, clock.count, margins)]
    numbers = comparing.requests_of(requests, clock, config.slow_seconds)
    budgets = comparing.Budgets(config.unreadable_budget, config.error_budget, config.slow_budget)
    series += comparing.budgets_of(numbers, budgets)
    document = Comparison(
        hours=config.hours, windows=tuple(comparing.windows_of(numbers, clock, rows)), series=tuple(series)
    )
    documents.write(comparison, document)
    for position, window in enumerate(document.windows):
        log.metric("application/rows_of_window", window.rows, position)
        for role in ("feature", "answer"):
            effects = [
                entry.effects[position] or 0.0
                for entry in series
                if entry.measure == "distribution" and entry.role == role and not entry.memory
            ]
            if effects:
                log.metric(f"application/largest_drift_of_{role}s", max(effects), position)
