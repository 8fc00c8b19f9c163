"""Monitoring of a run's model: captured requests beside its training, as a run of the pipeline ``monitoring``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from infra import places
from infra.deployments import state
from infra.files import locked
from infra.places import Place
from infra.runs import records
from infra.runs.plan import Plan, Reporter
from infra.runs.records import RunRecord
from infra.sources.appended import AppendedFiles
from infra.sources.files import resolve
from infra.sources.published import PublishedArtifact
from infra.sources.raw import RawFiles
from infra.sources.source import Source
from pipelines import watch
from pipelines.monitoring import MONITORING
from pipelines.plan import make_plan
from pipelines.provenance import provenance
from pipelines.terminal import plain
from steps.core import Config
from steps.documents import Document, read
from steps.errors import InputError
from steps.monitoring.document import Baseline, Comparison, Judgement, Performance, Proposal, Traffic
from steps.wording import count, near, unmarked

PATTERNS = ("*.jsonl", "*.log")
"""Files of captured requests and of the server's log."""
DOCUMENTS = (Traffic, Baseline, Comparison, Performance, Judgement, Proposal)
LISTED = 12
"""Episodes that a terminal shows."""
TRAINED = ("model", "train_set", "evaluation")
"""What monitoring reads of the run that made the model."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    folder: Path
    """Where requests are captured."""
    run: str
    """The run that made the model."""
    workspace: Path
    settings: Mapping[str, str]
    labels: str | None = None
    """A file of labels that arrived later, or a URI."""
    tracking_uri: str | None = None
    tracking: bool = True


@dataclass(frozen=True)
class Monitoring:
    """A planned run of the pipeline."""

    request: Request
    trained: RunRecord
    plan: Plan
    place: Place

    @property
    def run(self) -> str:
        return f"{self.trained.problem_name}-monitoring-{self.plan.steps[-1].key[:8]}"

    @property
    def page(self) -> Path:
        return self.request.workspace / "reports" / f"{self.run}.html"

    def document(self, kind: type[Document]) -> Any:
        """Return a published document of the finished run."""
        producer = self.plan.producer(kind.artifact)
        assert producer is not None
        return read(kind, self.place.store.open(producer.key, kind.artifact))


def of_deployment(workspace: Path, name: str) -> tuple[Path, str]:
    """Return the folder of a deployment's requests and log, and the run whose model answers.

    Raises:
        InputError: there is no such deployment, it keeps no requests, or no model answers.
    """
    directory = state.directory_of(workspace, name)
    desired = state.desired(directory)
    if desired is None:
        names = ", ".join(state.names(workspace)) or "there are none yet"
        raise InputError(
            f"no deployment {name!r}; the deployments: {names}. To compare a folder, name the run: --run RUN"
        )
    if not desired.capture:
        raise InputError(f"deployment {name} keeps no requests; deploy with --capture")
    if desired.stable is None:
        raise InputError(f"no model answers in deployment {name}")
    return directory, desired.stable.run


def prepare(request: Request) -> Monitoring:
    """Plan the comparison of what is captured now.

    Raises:
        InputError: there is no such run, it made no model, nothing is captured, or a setting is wrong.
    """
    trained = records.load(request.workspace, request.run)
    place = places.local(request.workspace, trained.store)
    sources: dict[str, Source] = {"captured": AppendedFiles.of_folder(request.folder, PATTERNS)}
    labels = {"labels": request.labels} if request.labels else {}
    sources["labels"] = RawFiles(resolve(labels, Path.cwd(), request.workspace))
    for artifact in TRAINED:
        stage = trained.producer(artifact)
        if stage is None or place.store.find(stage.key) is None:
            raise InputError(
                f"run {trained.run} has no {artifact}, with which requests could be compared; name a run that was evaluated"
            )
        sources[artifact] = PublishedArtifact(stage.key, artifact)
    plan = make_plan(MONITORING, configs(request.settings), sources, place.store, name_of(trained))
    return Monitoring(request, trained, plan, place)


def name_of(trained: RunRecord) -> str:
    """Return the name that the runs of monitoring have in common; they are not runs of the problem."""
    return f"{trained.problem_name}-monitoring"


def configs(settings: Mapping[str, str]) -> dict[str, Config]:
    """Return the config of each step; each setting is a field of one of them.

    Raises:
        InputError: there is no such setting, or its value is wrong.
    """
    fields = {name: step for step in MONITORING for name in step.config_type.model_fields}
    for name in settings:
        if name not in fields:
            names = ", ".join(fields)
            raise InputError(f"--set {name}: there is no such setting; there are: {names}{near(name, list(fields))}")
    result = {}
    for step in MONITORING:
        own = {name: value for name, value in settings.items() if fields[name] is step}
        try:
            result[step.name] = step.config_type.model_validate(own)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            raise InputError(f"--set {name}={settings[name]}: {first['msg']}") from None
    return result


def run(monitoring: Monitoring, reporter: Reporter) -> Judgement:
    """Run what is not cached, track it, and return the judgement.

    Raises:
        FourscoreError: whatever stopped it; the record on disk says the same.
    """
    request, record = monitoring.request, _record(monitoring)
    with locked(records.lock_of(request.workspace, record.run)):
        records.save(request.workspace, record)
        with watch.track(request.workspace, record.run, _tracking_uri(monitoring), reporter):
            monitoring.place.backend.run(monitoring.plan, record, reporter)
            write_page(monitoring)
    judgement: Judgement = monitoring.document(Judgement)
    return judgement


def write_page(monitoring: Monitoring) -> Path:
    """Write the page of a finished run, and return where it is."""
    from pipelines.pages.monitoring import page

    documents = {kind.artifact: monitoring.document(kind) for kind in DOCUMENTS}
    command = f"fourscore run {shlex.quote(monitoring.trained.problem_path)}"
    return page.write_page(page.Facts(monitoring.run, monitoring.trained.run, command, **documents), monitoring.page)


def _record(monitoring: Monitoring) -> RunRecord:
    trained, plan = monitoring.trained, monitoring.plan
    problem = Path(trained.problem_path)
    return RunRecord(
        run=monitoring.run,
        problem_name=name_of(trained),
        problem_path=trained.problem_path,
        problem=trained.problem,
        overrides=dict(monitoring.request.settings),
        status="running",
        started=records.now(),
        stages=[planned.record() for planned in plan.steps],
        provenance=provenance(problem),
        store=trained.store,
        pipeline=plan.pipeline,
        number=records.next_number(monitoring.request.workspace),
    )


def _tracking_uri(monitoring: Monitoring) -> str | None:
    request = monitoring.request
    if not request.tracking:
        return None
    from infra.tracking.follower import requested_uri

    return requested_uri(request.workspace, monitoring.trained, request.tracking_uri)


def conclusion(monitoring: Monitoring, judgement: Judgement) -> str:
    """Return the state first, then what is going on, then what there was before."""
    colour = {"quiet": "green", "watch": "yellow", "alarm": "red"}[judgement.state]
    lines = [click.style(judgement.state.upper(), fg=colour, bold=True)]
    lines += [plain(f"  alarm   {unmarked(text)}") for text in judgement.broken]
    ordered = sorted(judgement.episodes, key=lambda episode: (not episode.ongoing, episode.since))
    for episode in ordered[:LISTED]:
        until = "now" if episode.ongoing else episode.until[:10]
        lines.append(plain(f"  {episode.state:6}  {episode.since[:10]} to {until}: {unmarked(episode.text)}"))
    if len(ordered) > LISTED:
        lines.append(f"  and {len(ordered) - LISTED} more")
    proposal: Proposal = monitoring.document(Proposal)
    if proposal.retrain:
        lines.append(f"  propose to train again: fourscore run {monitoring.trained.problem_path}")
    lines += [plain(f"  advice  {unmarked(text)}") for text in proposal.advice]
    lines.append(f"  report  {monitoring.page}")
    rows = sum(day.rows for day in judgement.days)
    lines.append(f"  rows    {rows:,} in {count(len(judgement.days), 'window')}")
    return "\n".join(lines)


def summary(monitoring: Monitoring, judgement: Judgement) -> dict[str, Any]:
    """Return the documents as one for ``--json``."""
    documents = {kind.artifact: monitoring.document(kind).model_dump(mode="json") for kind in (Performance, Proposal)}
    return {"run": monitoring.run, "report": str(monitoring.page), **judgement.model_dump(mode="json"), **documents}


def alert(monitoring: Monitoring, judgement: Judgement, address: str) -> bool:
    """Tell an address of new alarms; return whether there were any.

    Raises:
        FourscoreError: it could not be delivered.
    """
    from pipelines import alerting

    performance, proposal = monitoring.document(Performance), monitoring.document(Proposal)
    workspace, trained = monitoring.request.workspace, monitoring.trained.run
    return alerting.alert(workspace, trained, monitoring.run, judgement, performance, proposal, address)
