"""Rules that a model's answers follow without anybody knowing labels, and how robust its answers are.

Rules after Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", 2020: invariance, direction, minimum
cases. All are tried on a sample of the test rows, so that they cost little beside the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from steps.core import Config
from steps.errors import InputError
from steps.evaluation.document import BehaviourResult, Disturbance, Robustness, rounded
from steps.tables.names import ROW
from steps.wording import count, percent

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.serving import Predictor
    from model_code.tasks import Task

    Array = np.ndarray[Any, Any]

ROWS = 2_000
"""Test rows on which a rule is tried, evenly drawn."""
VALUES = 8
"""Other values of a column that each of these rows is given."""
DISTURBED = 12
"""Columns that are emptied, one at a time: those that the model relies on most."""
NOISE = 0.01
"""Standard deviations by which all numbers are off at once."""
LISTED = 5
MOST_CASES = 1_000

Case = dict[str, str | int | float | bool | None]


class Behaviour(Config):
    """A rule that the model's answers must follow; one of invariant_to, rises_with, falls_with and cases."""

    invariant_to: str | None = Field(
        default=None, description="A column: a row with another value of it gets the same answer."
    )
    rises_with: str | None = Field(
        default=None,
        description="A column of numbers: where it is larger, the predicted number, or the probability of the positive class, is not "
        "lower.",
    )
    falls_with: str | None = Field(
        default=None, description="A column of numbers: where it is larger, that is not higher."
    )
    cases: str | tuple[Case, ...] | None = Field(
        default=None,
        description="Rows whose answers must be right: a CSV file, relative to this one, or a list; the right answer is under the "
        "target's name.",
    )
    by: float | None = Field(
        default=None, gt=0, description="How much larger; left out: one standard deviation of the column."
    )
    tolerance: float = Field(
        default=0,
        ge=0,
        description="How far two predicted numbers, or a rise and a fall, may be apart without counting.",
    )
    at_least: float = Field(default=1, gt=0, le=1, description="The share of the rows that must follow the rule.")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        rules = (self.invariant_to, self.rises_with, self.falls_with, self.cases)
        if sum(rule is not None for rule in rules) != 1:
            raise ValueError("give exactly one of invariant_to, rises_with, falls_with and cases")
        return self

    @property
    def column(self) -> str | None:
        """The column that is changed; None of cases."""
        return self.invariant_to or self.rises_with or self.falls_with

    @property
    def sentence(self) -> str:
        """The rule in words."""
        if self.invariant_to:
            return f"another value of {self.invariant_to} leaves the answer as it is"
        if column := self.rises_with or self.falls_with:
            return f"a larger {column} does not {'lower' if self.rises_with else 'raise'} the prediction"
        return f"{count(len(self.cases or ()), 'case gets', 'cases get')} the right answer"


def check(
    rules: Sequence[Behaviour], predictor: Predictor, table: pl.DataFrame, sample: pl.DataFrame
) -> list[BehaviourResult]:
    """Return for each rule how many rows follow it.

    Args:
        table: all test rows, whose values the rows of the sample are given.

    Raises:
        InputError: a case cannot be read as a row of the model.
    """
    results = []
    for position, rule in enumerate(rules):
        if rule.invariant_to:
            numbers, follows = _invariant(rule, predictor, table, sample)
        elif rule.column:
            numbers, follows = _directed(rule, predictor, table, sample)
        else:
            numbers, follows = _right(rule, predictor, f"evaluate.behaviour.{position}.cases")
        results.append(
            BehaviourResult(
                rule=rule.sentence,
                rows=len(follows),
                followed=int(follows.sum()),
                at_least=rule.at_least,
                met=len(follows) > 0 and float(follows.mean()) >= rule.at_least,
                against=tuple(int(number) for number in numbers[~follows][:LISTED]),
                of_cases=rule.cases is not None,
            )
        )
    return results


def reasons(results: Iterable[BehaviourResult]) -> Iterator[str]:
    """Yield why the model is not good enough."""
    for result in results:
        if result.met:
            continue
        if not result.rows:
            yield f"behaviour: {result.rule}: no row has a value to try it with"
            continue
        rows = "cases" if result.of_cases else "rows"
        listing = ", ".join(map(str, result.against))
        must = "all" if result.at_least == 1 else percent(result.at_least)
        counts = f"{result.followed:,} of {result.rows:,} {rows} follow it, {must} must"
        yield f"behaviour: {result.rule}: {counts}; against it: {rows} {listing}"


def evenly(count: int) -> Array:
    """Return the positions of at most ``ROWS`` of so many rows, evenly drawn."""
    import numpy as np

    return np.linspace(0, count - 1, min(count, ROWS), dtype=np.int64)


def _invariant(rule: Behaviour, predictor: Predictor, table: pl.DataFrame, sample: pl.DataFrame) -> tuple[Array, Array]:
    """Return whether each row of the sample keeps its answer with the most frequent other values of a column."""
    import numpy as np
    import polars as pl

    name = rule.invariant_to
    assert name is not None
    before = _answer(predictor, sample)
    follows = np.ones(sample.height, bool)
    values = (
        table[name].drop_nulls().value_counts(sort=True).sort("count", name, descending=[True, False])[name][:VALUES]
    )
    for value in values if len(values) > 1 else ():
        changed = sample.with_columns(pl.lit(value, dtype=table.schema[name]).alias(name))
        follows &= np.abs(_answer(predictor, changed) - before) <= rule.tolerance
    return sample[ROW].to_numpy(), follows


def _directed(rule: Behaviour, predictor: Predictor, table: pl.DataFrame, sample: pl.DataFrame) -> tuple[Array, Array]:
    """Return whether the prediction of each row with a number in the column goes the right way where that is larger."""
    import numpy as np
    import polars as pl

    name, kind = rule.column, table.schema[rule.column or ""]
    assert name is not None
    sample = sample.filter(pl.col(name).is_finite() if kind.is_float() else pl.col(name).is_not_null())
    step = rule.by or _deviation(table[name])
    step = max(round(step), 1) if kind.is_integer() else step
    if not sample.height or not step:
        return np.empty(0, np.int64), np.empty(0, bool)
    larger = sample.with_columns((pl.col(name) + step).cast(kind))
    rise = _number(predictor, larger) - _number(predictor, sample)
    return sample[ROW].to_numpy(), (rise if rule.rises_with else -rise) >= -max(rule.tolerance, 1e-9)


def _right(rule: Behaviour, predictor: Predictor, place: str) -> tuple[Array, Array]:
    """Return whether each case gets its right answer."""
    import numpy as np
    import polars as pl

    assert isinstance(rule.cases, tuple), "the loader of the problem reads the file"
    target = predictor.schema["target"]
    names = list(dict.fromkeys(name for case in rule.cases for name in case if name != target))
    cells = {name: [_text(case.get(name)) for case in rule.cases] for name in names}
    right = [_text(case.get(target)) or "" for case in rule.cases]
    try:
        frame = predictor.read(pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String))).frame
        answers = predictor.answers(frame)["prediction"]
        if predictor.schema["classes"]:
            follows = np.array([answer == text for answer, text in zip(answers, right, strict=True)])
        else:
            follows = np.abs(answers.to_numpy() - np.array([float(text) for text in right])) <= rule.tolerance
    except ValueError as error:
        raise InputError(f"{place}: {error}") from None
    return np.arange(1, len(right) + 1), follows


def _deviation(values: pl.Series) -> float:
    """Return the standard deviation of the finite numbers of a column; 0 where there are fewer than two."""
    import numpy as np

    numbers = values.drop_nulls().to_numpy().astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0


def _text(value: str | float | bool | None) -> str | None:
    """Return a value as a file would have it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(predictor: Predictor, frame: pl.DataFrame) -> Array:
    """Return the predicted numbers, or the probabilities of the positive class."""
    prediction = predictor.predict(frame)
    return prediction[:, -1] if prediction.ndim == 2 else prediction


def _answer(predictor: Predictor, frame: pl.DataFrame) -> Array:
    """Return the predicted numbers, or the places of the classes that rows are decided for."""
    return _decision(predictor, predictor.predict(frame))


def _decision(predictor: Predictor, prediction: Array) -> Array:
    from model_code.serving import decided

    return decided(predictor.schema, prediction) if prediction.ndim == 2 else prediction


def robustness(
    predictor: Predictor, task: Task, sample: pl.DataFrame, truth: Array, columns: Sequence[str], seed: int
) -> Robustness:
    """Return what becomes of the headline metric where values are missing, or all numbers are a little off.

    Args:
        columns: those that the model relies on, the most important first.
    """
    import numpy as np
    import polars as pl

    metric, weights = task.metrics[task.headline], np.ones(len(truth))

    def value_of(prediction: Array) -> float | None:
        value = float(metric.bind(truth, prediction, predictor.schema.get("threshold"))(weights))
        return rounded(value) if math.isfinite(value) else None

    before = predictor.predict(sample)
    decisions = _decision(predictor, before)

    def disturbed(what: str | None, frame: pl.DataFrame) -> Disturbance:
        prediction = predictor.predict(frame)
        differ = float((_decision(predictor, prediction) != decisions).mean()) if predictor.schema["classes"] else None
        return Disturbance(missing=what, value=value_of(prediction), other_decisions=differ)

    random, numbers = np.random.default_rng(seed), []
    for entry in predictor.schema["inputs"]:
        name = entry["name"]
        if sample.schema[name].is_float():
            off = random.normal(size=sample.height) * NOISE * _deviation(sample[name])
            numbers.append((sample[name] + pl.Series(off)).alias(name))
    changes = [disturbed(None, sample.with_columns(numbers))] if numbers else []
    changes += [
        disturbed(name, sample.with_columns(pl.lit(None, dtype=sample.schema[name]).alias(name)))
        for name in columns[:DISTURBED]
    ]
    return Robustness(
        metric=metric.name,
        rows=sample.height,
        value=value_of(before),
        noise=NOISE,
        changes=tuple(changes),
    )
