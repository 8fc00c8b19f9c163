"""Fourscore from a notebook: propose a problem from a frame, run it, look at the results, predict frames.

    from pipelines import api

    problem = api.propose(frame, target="Churn")   # writes churn/problem.yaml, which a person reads and completes
    run = api.run(problem)                         # the run of 'fourscore run churn/problem.yaml'
    run.thresholds, run.metrics, run.report
    api.load(run.name).predict(frame)

Frames are those of pandas or polars. Keys, gates, store and tracking are those of the command.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from warnings import warn

import pandas as pd
import polars as pl

from infra.files import write_atomically
from infra.sources.files import expand_home
from model_code import lean, serving
from model_code.tabular.from_pandas import from_pandas
from steps.errors import GateRefused, InputError

if TYPE_CHECKING:
    from pipelines.pages.report.gather import Facts
    from pipelines.propose.problem_text import Proposal
    from steps.tables.source import Source

Frame: TypeAlias = pd.DataFrame | pl.DataFrame
F = TypeVar("F", pd.DataFrame, pl.DataFrame)
PathLike: TypeAlias = str | Path
WORKSPACE = Path(".fourscore")
HEIGHT = 800
"""Pixels of a report in a notebook."""


@dataclass(frozen=True)
class Problem:
    """A problem file, and what ``propose`` has to say about it."""

    path: Path
    columns: pd.DataFrame
    """name, type, role and note of each column."""
    guessed: tuple[str, ...]
    """What was guessed."""
    decide: tuple[str, ...]
    """What a person must decide."""

    def _repr_html_(self) -> str:
        lists = (("Guessed", self.guessed), ("For you to decide", self.decide))
        parts = [
            f"<p><b>{title}</b></p><ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"
            for title, texts in lists
            if texts
        ]
        return f"<p>{escape(str(self.path))}</p>{self.columns.to_html(index=False, escape=True)}{''.join(parts)}"


@dataclass(frozen=True)
class Report:
    """The HTML report of a run; a notebook shows it in a frame of its own, without scripts."""

    path: Path

    @property
    def html(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        page = escape(self.html, quote=True)
        return f'<iframe sandbox srcdoc="{page}" width="100%" height="{HEIGHT}" style="border:0"></iframe>'


@dataclass(frozen=True)
class Run:
    """A finished run."""

    workspace: Path
    name: str

    @cached_property
    def _facts(self) -> Facts:
        from pipelines.pages.report.gather import gather

        return gather(self.workspace, self.name, history=False)

    @property
    def verdict(self) -> str:
        """pass, rejected or error; a rehearsal of a smoke run."""
        return str(self.summary["verdict"])

    @property
    def message(self) -> str:
        """Why the run ended as it did."""
        return self._facts.record.message

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The document of ``fourscore show RUN --json``."""
        from pipelines.summary import summary

        return summary(self._facts)

    @property
    def metrics(self) -> pd.DataFrame:
        """Metrics on the test set with 95 % intervals, one row for each metric of each model: the run's own is ``model``."""
        evaluation = self._facts.evaluation
        rivals = {"model": evaluation.metrics, **evaluation.rivals()} if evaluation else {}
        rows = [
            (name, metric, estimate.value, estimate.low, estimate.high)
            for name, metrics in rivals.items()
            for metric, estimate in metrics.items()
        ]
        return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])

    @property
    def thresholds(self) -> pd.DataFrame:
        """The thresholds with the results and whether they are met."""
        names = ["metric", "wanted", "slice", "value", "low", "high", "met", "reason"]
        evaluation = self._facts.evaluation
        rows = [threshold.model_dump(include=set(names)) for threshold in (evaluation.thresholds if evaluation else ())]
        return pd.DataFrame(rows, columns=names)

    @property
    def stages(self) -> pd.DataFrame:
        """The stages with status, seconds and key."""
        return pd.DataFrame([*self.summary["stages"]])

    @property
    def report(self) -> Report:
        """The report, which is written if it is not there yet."""
        from pipelines.pages.report.page import write_report

        path = self._facts.report_path
        return Report(path if path.exists() else write_report(self.workspace, self.name))

    def predict(self, frame: F, *, intervals: float | None = None) -> F:
        """Predict rows with the model of this run; see ``Model.predict``."""
        return load(self.name, self.workspace).predict(frame, intervals=intervals)

    def _repr_html_(self) -> str:
        title = f"<b>{escape(self.verdict.upper())}</b> {escape(self.name)}"
        message = "".join(f"<br>{escape(line)}" for line in self.message.splitlines())
        return f"<p>{title}{message}</p>{self.thresholds.to_html(index=False, escape=True)}"


@dataclass(frozen=True)
class Model:
    """A model that answers frames as ``fourscore predict`` answers files."""

    predictor: serving.Predictor

    def predict(self, frame: F, *, intervals: float | None = None) -> F:
        """Return ``prediction`` and, for classes, ``probability_<class>`` for each row; the index of pandas stays.

        Values may have whatever types the frame gave them. Those that are unlike training are answered, with a warning.

        Args:
            intervals: the level of prediction intervals, such as 0.95, which adds ``prediction_low`` and ``prediction_high``.

        Raises:
            InputError: columns are missing, values cannot be read, or the model has no intervals of this level; the message
                names columns, rows and values.
        """
        names = [entry["name"] for entry in self.predictor.schema["inputs"]]
        try:
            if isinstance(frame, pd.DataFrame):
                readout = self.predictor.read(from_pandas(frame, names), blanks_hide_words=True)
            else:
                readout = self.predictor.read(frame)
        except ValueError as error:
            raise InputError(str(error)) from None
        for remark in readout.remarks:
            warn(remark.text, stacklevel=2)
        try:
            answers = self.predictor.answers(readout.frame, intervals)
        except ValueError as error:
            raise InputError(str(error)) from None
        return answers.to_pandas().set_index(frame.index) if isinstance(frame, pd.DataFrame) else answers


def propose(
    data: Frame | PathLike | Sequence[str],
    *,
    target: str,
    directory: PathLike | None = None,
    ignore: Sequence[str] = (),
    task: str | None = None,
    split: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Problem:
    """Profile data and write ``problem.yaml`` and ``expectations.json``, as ``fourscore new`` does.

    Args:
        data: a frame, which is written into the folder as ``data.parquet``, or files, globs and URIs.
        directory: the folder; named after the target when None.
        ignore, task, split, settings: the options of ``fourscore new``.
        overwrite: replace files that are there already.

    Raises:
        InputError: a problem file exists, or data, target, task and split do not fit together.
    """
    from pipelines.propose import proposal as proposals
    from pipelines.propose.draft import PROBLEM
    from pipelines.propose.problem_text import SUITE

    folder = expand_home(str(directory)) if directory is not None else Path(_slug(target))
    problem = folder / PROBLEM
    if problem.exists() and not overwrite:
        raise InputError(
            f"{problem} exists; pass it to api.run, or say overwrite=True, or choose another folder with directory=..."
        )
    if isinstance(data, pd.DataFrame | pl.DataFrame):
        source, content = folder / "data.parquet", _parquet(data)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(source, content)
        paths: Sequence[str] = (str(source),)
    else:
        paths = [str(data)] if isinstance(data, str | Path) else [str(path) for path in data]
    with _aside(problem, folder / SUITE) if overwrite else contextlib.nullcontext():
        proposal = proposals.propose(folder, paths, target, ignore, task, split, settings=_texts(settings))
        proposals.write(proposal)
    return _described(problem, proposal)


def run(
    problem: Problem | PathLike,
    *,
    data: Frame | None = None,
    workspace: PathLike = WORKSPACE,
    settings: Mapping[str, Any] | None = None,
    smoke: bool = False,
    name: str | None = None,
    tracking: bool = True,
) -> Run:
    """Run a problem as ``fourscore run`` does: what the store has is not computed again, and a rejection is a result.

    Args:
        data: rows in place of the problem's only source.
        settings: fields of the problem, as with ``--set``.
        smoke: run every stage on a small sample.
        name: the name of the run; derived from its content when None.
        tracking: False to track later, with ``fourscore runs --sync``.

    Returns:
        The run, also of a model that was rejected and of a gate that refused: ``verdict`` and ``message`` say so.

    Raises:
        InputError: the problem or the data is wrong.
        FourscoreError: a stage broke.
    """
    from pipelines import launch
    from pipelines.problem.loading import load as load_problem
    from pipelines.progress import Progress
    from pipelines.request import Request, prepare

    path = problem.path if isinstance(problem, Problem) else expand_home(str(problem))
    folder = expand_home(str(workspace))
    values = _texts(settings)
    if data is not None:
        values |= _source_of(data, load_problem(path, values).problem.data.sources, path.parent, folder)
    lean.keep_whole()  # the notebook may go on with LightGBM's own estimators
    prepared = prepare(Request(path, folder, values, smoke=smoke, name=name, tracking=tracking))
    # where a gate refuses, the record says so, as it does of a model that was rejected
    with contextlib.suppress(GateRefused), Progress() as progress:
        launch.run(prepared, progress)
    return Run(folder, prepared.run)


def get(name: str, workspace: PathLike = WORKSPACE) -> Run:
    """Return a run by its name.

    Raises:
        InputError: the workspace has no such run.
    """
    from infra.runs import records

    return Run(expand_home(str(workspace)), records.load(expand_home(str(workspace)), name).run)


def load(
    model: str, workspace: PathLike = WORKSPACE, *, tracking_uri: str | None = None, rejected: bool = False
) -> Model:
    """Return the model of a run, or a registered one by name, ``NAME@champion`` or ``NAME/VERSION``.

    Raises:
        GateRefused: the run was rejected, and ``rejected`` was not set.
        InputError: there is no such model.
    """
    from pipelines.predict import model_directory

    directory = model_directory(model, expand_home(str(workspace)), tracking_uri, rejected=rejected)
    try:
        return Model(serving.load(directory, verified=True))
    except ValueError as error:
        raise InputError(f"model {model} cannot be read: {error}") from None


def _texts(settings: Mapping[str, Any] | None) -> dict[str, str]:
    """Return settings as ``--set`` takes them."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in (settings or {}).items()}


@contextlib.contextmanager
def _aside(*paths: Path) -> Iterator[None]:
    """Move files out of the way of new ones; they come back if the block fails."""
    pairs = [(path, path.with_name(f".{path.name}.before")) for path in paths if path.exists()]
    for path, before in pairs:
        path.replace(before)
    try:
        yield
    except BaseException:
        for path, before in pairs:
            before.replace(path)
        raise
    for _, before in pairs:
        before.unlink()


def _slug(target: str) -> str:
    """Return a name for a folder: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-") or "problem"


def _described(path: Path, proposal: Proposal) -> Problem:
    columns = [(column.name, column.type, column.role, column.note) for column in proposal.columns]
    table = pd.DataFrame(columns, columns=["name", "type", "role", "note"])
    return Problem(path, table, proposal.guessed, proposal.decide)


def _source_of(data: Frame, sources: Mapping[str, Source], folder: Path, workspace: Path) -> dict[str, str]:
    """Return the settings that name the rows as the problem's source; none where its file has these very rows.

    Raises:
        InputError: the problem has several sources.
    """
    if len(sources) != 1:
        raise InputError(
            f"data=...: the problem has {len(sources)} sources ({', '.join(sources)}); a frame replaces one"
        )
    [(name, source)] = sources.items()
    content = _parquet(data)
    paths = source.path if isinstance(source.path, tuple | list) else [source.path]
    own = folder / paths[0]
    if len(paths) == 1 and own.is_file() and own.read_bytes() == content:
        return {}
    path = workspace / "frames" / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return {f"data.sources.{name}.path": str(path.resolve())}


def _parquet(frame: Frame) -> bytes:
    """Return a frame as a Parquet file; equal frames give equal bytes.

    Raises:
        InputError: the names of columns are not text, or not different.
    """
    buffer = io.BytesIO()
    (frame if isinstance(frame, pl.DataFrame) else _polars(frame)).write_parquet(buffer)
    return buffer.getvalue()


def _polars(frame: pd.DataFrame) -> pl.DataFrame:
    if labels := [label for label in frame.columns if not isinstance(label, str)]:
        raise InputError(f"columns must have names of text, not {labels[0]!r}; set frame.columns")
    if twice := frame.columns[frame.columns.duplicated()].tolist():
        raise InputError(f"two columns are named {twice[0]!r}; give each a name of its own")
    if levels := [str(name) for name in frame.index.names if name is not None]:
        warn(f"the index ({', '.join(levels)}) is no column; frame.reset_index() makes it one", stacklevel=4)
    return pl.DataFrame([_series(str(name), values) for name, values in frame.items()])


def _series(name: str, values: pd.Series[Any]) -> pl.Series:
    """Return a column; objects, and types that polars lacks, are read value by value."""
    kinds = (pd.CategoricalDtype, pd.SparseDtype, pd.PeriodDtype, pd.IntervalDtype)
    if values.dtype == object or isinstance(values.dtype, kinds):
        return from_pandas(values.to_frame(name), [name])[name]
    return pl.from_pandas(values.reset_index(drop=True)).alias(name)
