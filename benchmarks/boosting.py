"""Our model beside scikit-learn's HGB, LightGBM, XGBoost and CatBoost with their defaults, on the same rows.

    python benchmarks/boosting.py PROBLEM.yaml ... [--seeds 5] [--set train.quality=best]

Each problem is run in a workspace of its own; the libraries then learn from the training part of that run and answer
its test set, on one thread. The row shows the headline metric with our 95 % interval, the CPU seconds of the whole run and of
each library's fit and prediction, and how our model does against each library: + better, = no clear difference, - worse, by
the interval of the paired difference. Wants the extra ``boosting``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
from measure import cpu_seconds
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from model_code import tasks
from model_code.tasks import labels
from steps import documents
from steps.evaluation import statistics
from steps.evaluation.document import Evaluation
from steps.evaluation.resampling import resampling
from steps.evaluation.statistics import Measure
from steps.evaluation.thresholds import Goal
from steps.tables.names import ROW
from steps.tables.schema import TableSchema
from steps.training.document import TrainingRecord

try:
    import catboost
    import xgboost
except ImportError:
    sys.exit("CatBoost and XGBoost are not installed here: pip install '.[boosting]'")

RESAMPLES = 1000
NATIVE = 255
"""The most categories of a column that scikit-learn takes as categories; with more, their codes are numbers."""


@dataclass(frozen=True)
class Split:
    """The two parts of a finished run as pandas frames: float64 numbers, and categories with those of training."""

    train: pd.DataFrame
    test: pd.DataFrame
    train_truth: np.ndarray
    test_truth: np.ndarray
    classes: int
    """0 for numbers."""

    @property
    def words(self) -> list[str]:
        return [name for name in self.train if isinstance(self.train[name].dtype, pd.CategoricalDtype)]


def hgb(split: Split) -> np.ndarray:
    kind = HistGradientBoostingClassifier if split.classes else HistGradientBoostingRegressor
    many = [name for name in split.words if len(split.train[name].cat.categories) > NATIVE]
    parts = [part.assign(**{name: part[name].cat.codes for name in many}) for part in (split.train, split.test)]
    few = [name for name in split.words if name not in many]
    return _answer(kind(categorical_features=few or None, random_state=0), *parts, split)


def light_gbm(split: Split) -> np.ndarray:
    kind = lightgbm.LGBMClassifier if split.classes else lightgbm.LGBMRegressor
    return _answer(kind(n_jobs=1, verbose=-1), split.train, split.test, split)


def xg_boost(split: Split) -> np.ndarray:
    kind = xgboost.XGBClassifier if split.classes else xgboost.XGBRegressor
    return _answer(kind(n_jobs=1, enable_categorical=True, tree_method="hist"), split.train, split.test, split)


def cat_boost(split: Split) -> np.ndarray:
    kind = catboost.CatBoostClassifier if split.classes else catboost.CatBoostRegressor
    # CatBoost takes no missing category
    parts = [
        part.assign(**{name: part[name].astype(object).where(part[name].notna(), "") for name in split.words})
        for part in (split.train, split.test)
    ]
    model = kind(thread_count=1, verbose=0, random_seed=0, allow_writing_files=False, cat_features=split.words or None)
    return _answer(model, *parts, split)


LIBRARIES: Mapping[str, Callable[[Split], np.ndarray]] = {
    "HGB": hgb, "LightGBM": light_gbm, "XGBoost": xg_boost, "CatBoost": cat_boost,
}  # fmt: skip


def _answer(model: Any, train: pd.DataFrame, test: pd.DataFrame, split: Split) -> np.ndarray:
    """Fit and return probabilities float64[n, k] or values float64[n]; a class that training lacks keeps probability 0."""
    present, truth = np.unique(split.train_truth, return_inverse=True)
    if not split.classes:
        return np.asarray(model.fit(train, split.train_truth).predict(test), dtype=np.float64)
    prediction = np.zeros((len(test), split.classes))
    prediction[:, present] = model.fit(train, truth).predict_proba(test)
    return prediction


def open_parts(record: RunRecord, workspace: Path) -> tuple[Split, pl.DataFrame, TableSchema]:
    """Return the split of a run for the libraries, its test rows as they are, and their schema."""
    paths = [_artifact(record, workspace, name) for name in ("train_set", "test_set")]
    schema = documents.read(TableSchema, paths[0])
    train, test = (pl.read_parquet(path / "data.parquet", glob=False) for path in paths)
    columns: dict[str, tuple[pd.Series, pd.Series]] = {}
    for column in schema.features():
        a, b = train[column.name], test[column.name]
        if column.type == "category":
            words = a.drop_nulls().unique().sort().to_list()
            codes = (part.replace_strict(words, range(len(words)), default=-1).fill_null(-1) for part in (a, b))
            columns[column.name] = tuple(pd.Series(pd.Categorical.from_codes(part, words)) for part in codes)
        else:
            physical = (part.to_physical().cast(pl.Float64).to_numpy() for part in (a, b))
            columns[column.name] = tuple(pd.Series(values) for values in physical)
    target = schema.target
    assert target is not None
    truth = [labels.get(target.task).truth(part[target.name], target.classes).to_numpy() for part in (train, test)]
    frames = (pd.DataFrame({f"c{i}": pair[part] for i, pair in enumerate(columns.values())}) for part in (0, 1))
    return Split(*frames, *truth, classes=len(target.classes)), test, schema


def own_prediction(record: RunRecord, workspace: Path, test: pl.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Return what our model answered for the test rows, in their order."""
    table = pl.read_parquet(_artifact(record, workspace, "evaluation") / "predictions.parquet", glob=False)
    assert table[ROW].equals(test[ROW])
    if not classes:
        return table["prediction"].to_numpy()
    return np.column_stack([table[f"probability_{name}"] for name in classes])


def _artifact(record: RunRecord, workspace: Path, name: str) -> Path:
    stage = record.producer(name)
    assert stage is not None
    return store_of(workspace, record).open(stage.key, name)


def measure(problem: Path, seed: int, options: list[str], verdicts: Counter[tuple[str, str]]) -> str:
    """Run a problem, train the libraries beside it, and return the row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        command = [sys.executable, "-m", "pipelines", "run", str(problem), "--workspace", folder, "--no-tracking"]
        settings = [f"split.seed={seed}", *options]
        seconds = cpu_seconds([*command, *(part for setting in settings for part in ("--set", setting))], accept=(0, 3))
        record = next(records.every(workspace))
        split, test, schema = open_parts(record, workspace)
        target = schema.target
        assert target is not None
        predictions = {"ours": own_prediction(record, workspace, test, target.classes)}
        spent = {}
        for name, answer in LIBRARIES.items():
            started = time.process_time()
            with threadpool_limits(1), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                predictions[name] = answer(split)
            spent[name] = time.process_time() - started
        task = tasks.get(target.task)
        metric = task.metrics[task.headline]
        manifest = store_of(workspace, record).find(record.stage("evaluate").key)
        assert manifest is not None
        division = {name: manifest.ingredients[f"config evaluate.{name}"] for name in ("task", "by", "column", "key")}
        drawing = resampling(test, Goal(**division), schema, RESAMPLES, 0)
        measures = {name: Measure(metric.bind(split.test_truth, values)) for name, values in predictions.items()}
        sampled = statistics.bootstrap(measures, drawing)
        training = documents.read(TrainingRecord, _artifact(record, workspace, "model"))
        document = documents.read(Evaluation, _artifact(record, workspace, "evaluation"))
        estimate = sampled["ours"].estimate()
        cells = [
            f"{problem.parent.name}, {metric.name}", str(seed), f"{split.train.shape[0]:,} x {split.train.shape[1]}",
            f"{training.chosen} {estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]" + (" !" if document.verdict != "pass" else ""),
            f"{seconds:.0f}",
        ]  # fmt: skip
        for name in LIBRARIES:
            sign = _sign(statistics.compare(sampled["ours"], sampled[name]), higher=metric.higher_is_better)
            verdicts[name, sign] += 1
            cells.append(f"{sign} {sampled[name].value:.4g} ({spent[name]:.1f})")
        best = max(LIBRARIES, key=lambda name: sampled[name].value * (1 if metric.higher_is_better else -1))
        verdicts[
            "the best", _sign(statistics.compare(sampled["ours"], sampled[best]), higher=metric.higher_is_better)
        ] += 1
        return "| " + " | ".join(cells) + " |"


def _sign(difference: Any, *, higher: bool) -> str:
    """Return + where ours is better, - where it is worse, = where the interval of the difference holds 0."""
    if difference.low is None or difference.low <= 0 <= difference.high:
        return "="
    return "+" if (difference.low > 0) == higher else "-"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="how many splits of each problem")
    parser.add_argument("--set", action="append", default=[], dest="options", metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    problems = arguments.problems or sorted(Path("examples").glob("*/problem.yaml"))
    names = ["data, metric", "split seed", "rows x columns", "ours (! rejected)", "CPU s of run", *LIBRARIES]
    print("| " + " | ".join(names) + " |", "|" + "---|" * len(names), sep="\n", flush=True)
    verdicts: Counter[tuple[str, str]] = Counter()
    for problem in problems:
        for seed in range(arguments.seeds):
            print(measure(problem, seed, arguments.options, verdicts), flush=True)
    print()
    for name in ("the best", *LIBRARIES):
        better, tied, worse = (verdicts[name, sign] for sign in "+=-")
        total = max(better + tied + worse, 1)
        print(
            f"against {name}: better {better}, tied {tied}, worse {worse}; better or tied: {(better + tied) / total:.2f}"
        )
