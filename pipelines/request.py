"""A request to run a problem, and the problem that it names, loaded and planned."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra import places
from infra.places import Place
from infra.runs import records
from infra.runs.plan import Plan
from infra.sources.files import materialise
from infra.sources.raw import RawFiles
from infra.store.store import Store
from pipelines.plan import make_plan
from pipelines.problem.checks import Columns, check_columns, column_faults
from pipelines.problem.definition import Loaded, Problem
from pipelines.problem.loading import load
from pipelines.training import TRAINING
from steps import define, documents
from steps.core import Pipeline
from steps.errors import InputError
from steps.tables.schema import TableSchema


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    problem: Path
    workspace: Path
    settings: Mapping[str, str]
    smoke: bool = False
    until: str | None = None
    name: str | None = None
    tracking_uri: str | None = None
    """None: the problem's own, or sqlite in the workspace."""
    tracking: bool = True
    """Whether to track now; a run that is not tracked now can be tracked later."""
    store: str | None = None
    """Root of a store on S3; None: the workspace alone."""
    on: str = "local"
    """local | sagemaker | sagemaker-local"""


@dataclass(frozen=True)
class Prepared:
    """A problem that was loaded and planned; nothing has run yet."""

    request: Request
    loaded: Loaded
    plan: Plan
    run: str
    place: Place

    @property
    def workspace(self) -> Path:
        return self.request.workspace

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def tracking_uri(self) -> str | None:
        """Where the run is tracked; None if tracking is off."""
        if not self.request.tracking:
            return None
        from infra.tracking.mlflow_client import default_uri

        chosen = self.request.tracking_uri or self.loaded.problem.tracking_uri
        return chosen or self.place.tracking_uri or default_uri(self.workspace)


def prepare(request: Request, pipeline: Pipeline = TRAINING) -> Prepared:
    """Load the problem and plan the pipeline; run nothing and write nothing but remembered digests.

    Raises:
        InputError: something in the problem, its data or the request is wrong.
    """
    if request.name is not None and not records.NAME.fullmatch(request.name):
        raise InputError(f"--name {request.name}: wanted letters, digits, - and _, 80 at most, such as baseline-2")
    loaded = load(request.problem, request.settings, smoke=request.smoke)
    problem = loaded.problem
    if request.on != places.LOCAL and request.store:
        raise InputError(
            f"--store {request.store}: on {request.on} results are in the stack's own bucket; leave it out"
        )
    place = _place(request, problem)
    document = problem.model_dump(mode="json")
    sources = {
        name: kind.find(document, request.problem.parent, place.store) for name, kind in pipeline.sources.items()
    }
    plan = make_plan(
        pipeline,
        loaded.configs(pipeline),
        sources,
        place.store,
        problem.name,
        request.until,
        smoke=request.smoke,
    )
    last = plan.steps[-1].key
    return Prepared(request, loaded, plan, request.name or f"{problem.name}-{last[:8]}", place)


def check(prepared: Prepared) -> None:
    """Check what can be checked without running anything: the problem, and its columns against the data's.

    Raises:
        InputError: a stage would refuse something; one line per fault, with file and line or the setting.
    """
    loaded = prepared.loaded
    loaded.document.refuse(define.faults(loaded.problem))
    if header := _columns(prepared):
        check_columns(loaded, header)


def check_names(prepared: Prepared) -> None:
    """Check that the problem names no metric and no column that there is not, so that no run is made for one that cannot run.

    Whether the data is what the problem declares is left to the stages, whose messages name file and row.

    Raises:
        InputError: it does; one line per fault, with file and line or the setting.
    """
    document, problem = prepared.loaded.document, prepared.loaded.problem
    document.refuse(define.unknown(problem))
    try:
        header = _columns(prepared)
    except InputError:
        return
    faults = [*column_faults(problem, header)] if header else []
    if not any(at[0] in ("data", "target") for at, _ in faults):
        document.refuse(faults)


@contextmanager
def raw_files(prepared: Prepared) -> Iterator[tuple[Path, Path]]:
    """Yield a directory with the raw files, and one for what reading them leaves."""
    with tempfile.TemporaryDirectory(prefix="fourscore-") as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        source = prepared.plan.sources["raw"]
        if isinstance(source, RawFiles):
            materialise(source.files, raw, links=True)
        else:
            raw = source.lay_out(raw, prepared.store)
        yield raw, Path(scratch)


def _columns(prepared: Prepared) -> Columns | None:
    """Return the columns of the table, from its schema if it was ingested, else from the headers of its files."""
    ingest = prepared.plan.producer("table")
    if ingest is None or "raw" not in prepared.plan.sources:
        return None
    if ingest.cached:
        schema = prepared.store.file(ingest.key, f"table/{TableSchema.file}")
        types = documents.read(TableSchema, schema.parent).types()
        return Columns(list(types), types=types)
    from pipelines.header import columns_of

    with raw_files(prepared) as (raw, scratch):
        return columns_of(prepared.loaded.problem.table(), raw, scratch)


def _place(request: Request, problem: Problem) -> Place:
    if request.on == places.LOCAL:
        return places.local(request.workspace, request.store)
    section = problem.sagemaker.model_dump(mode="json")
    return places.sagemaker(request.on, request.workspace, problem.sagemaker.stack, section)
