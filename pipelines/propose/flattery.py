"""How much a split by row flatters: a quick model's score on rows drawn by chance, and on rows that are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from steps.splitting.proxies import r2, roc_auc
from steps.tables.schema import Column
from steps.tables.truth import Array, number_array

SAMPLE = 10_000
"""The rows on which the quick model is fitted and scored."""
_ENOUGH = 100
_MOST_CATEGORIES = 250
_NOTICEABLE = 0.02


@dataclass(frozen=True)
class Flattery:
    """Scores of the same quick model."""

    measure: str
    by_chance: float
    """On rows drawn by chance."""
    apart: float
    """On later rows, or on rows of other groups."""

    def in_words(self, apart: str) -> str:
        """Return a sentence; ``apart`` says which the other rows are."""
        scores = f"{self.measure} {self.by_chance:.2f} on rows drawn by chance and {self.apart:.2f} on {apart}"
        if self.apart < 0:
            return f"a quick model reaches {self.measure} {self.by_chance:.2f} on rows drawn by chance; on {apart} the mean does better"
        if self.by_chance - self.apart < _NOTICEABLE:
            return f"a quick model reaches {scores}"
        return f"a quick model reaches {scores}, so a split by row flatters by {self.by_chance - self.apart:.2f}"


def flattery(
    frame: pl.DataFrame, columns: Sequence[Column], truth: Array, classes: int, apart: Array
) -> Flattery | None:
    """Return both scores; None where rows are too few or a part has one class only.

    Args:
        truth: class index or number of each row.
        apart: bool [rows], the rows that are apart.
    """
    chance = np.random.default_rng(0).permutation(len(truth)) < apart.sum()
    features = [column for column in columns if column.type != "text"]
    if min(apart.sum(), (~apart).sum()) < _ENOUGH or not features:
        return None
    if classes and min(len(np.unique(truth[part])) for part in (apart, ~apart, chance, ~chance)) < 2:
        return None
    matrix = np.column_stack([_numbers(frame[column.name], column) for column in features])
    categorical = [column.type == "category" for column in features]
    scores = [_score(matrix, categorical, truth, classes, test) for test in (chance, apart)]
    return Flattery({0: "R2", 2: "ROC AUC"}.get(classes, "accuracy"), *scores)


def _numbers(values: pl.Series, column: Column) -> Array:
    """Return a column as numbers, NaN where missing; categories by their rank in frequency, rare ones as missing."""
    if column.type != "category":
        return number_array(values)
    text = values.cast(pl.String)
    frequent = text.drop_nulls().value_counts(sort=True).head(_MOST_CATEGORIES)[values.name].to_list()
    codes = text.replace_strict(frequent, list(range(len(frequent))), default=None, return_dtype=pl.Float64)
    return codes.to_numpy()


def _score(matrix: Array, categorical: Sequence[bool], truth: Array, classes: int, test: Array) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model = kind(max_iter=60, early_stopping=False, random_state=0, categorical_features=list(categorical))
    with threadpool_limits(1):  # threads that wait for each other on a busy machine are far slower
        model.fit(matrix[~test], truth[~test])
        if classes == 2:
            return roc_auc(truth[test], model.predict_proba(matrix[test])[:, 1])
        predicted = model.predict(matrix[test])
    return float((predicted == truth[test]).mean()) if classes else r2(truth[test], predicted)
