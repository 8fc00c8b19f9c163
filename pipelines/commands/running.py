"""Commands that make a run: proposing a problem, planning, running, and following what runs elsewhere."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands.options import as_json, print_json, tracking_uri, workspace_of_runs

if TYPE_CHECKING:
    from pipelines.launch import Request

PLACES = ("local", "sagemaker", "sagemaker-local")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--data", "data", multiple=True, required=True, metavar="[NAME=]FILE", help="File, glob, package:// or s3:// URI."
)
@click.option("--target", required=True, help="The column to predict.")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column that is no feature, such as an id.")
@click.option("--task", help="binary-classification, multiclass-classification or regression; guessed when left out.")
@click.option(
    "--split",
    "split",
    metavar="row|group:COLUMN|time:COLUMN",
    default="row",
    show_default=True,
    help="How rows are divided.",
)
@click.option("--yes", is_flag=True, help="Do not ask; take every guess.")
@as_json
def new(
    directory: Path,
    data: tuple[str, ...],
    target: str,
    ignore: tuple[str, ...],
    task: str | None,
    split: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Look at the data and write a commented problem.yaml and expectations.json."""
    from pipelines.propose.proposal import as_document, describe, propose, write

    proposal = propose(directory, data, target, ignore, task, split)
    if not as_json:
        click.echo(describe(proposal), err=True)
        if not yes and sys.stdin.isatty():
            click.confirm(f"write {directory / 'problem.yaml'}?", default=True, abort=True, err=True)
    write(proposal)
    problem = directory / "problem.yaml"
    if as_json:
        print_json(as_document(proposal))
    else:
        click.echo(
            f"wrote {problem} and {directory / 'expectations.json'}\n"
            f"next: read them, then  fourscore run {shlex.quote(str(problem))}",
            err=True,
        )


def _settings(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as split.by=row")
        settings[key.strip()] = text
    return settings


def on_problem(command: Any) -> Any:
    """What ``plan`` and ``run`` share: the options that make a Request, and --json."""

    @functools.wraps(command)
    def with_request(as_json: bool, no_tracking: bool, **asked: Any) -> None:
        from pipelines.launch import Request

        command(Request(**asked, tracking=not no_tracking), as_json)

    decorated: Any = with_request
    for decorate in reversed((
        click.argument("problem", type=click.Path(path_type=Path)),
        click.option("--smoke", is_flag=True, help="The same graph on a small sample; never a candidate."),
        click.option("--until", metavar="STAGE", help="Stop after this stage, such as split."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_settings, help="Override a field."),
        workspace_of_runs,
        click.option("--store", metavar="URI", envvar="FOURSCORE_STORE", help="s3://bucket/prefix/ where results are shared."),
        click.option("--on", type=click.Choice(PLACES), default="local", help="Where it runs; sagemaker-local is the same jobs here."),
        click.option("--name", metavar="RUN", help="Name of the run; default: from what it is made of."),
        tracking_uri,
        click.option("--no-tracking", is_flag=True, help="Do not project to MLflow now; 'fourscore runs --sync' does it later."),
        as_json,
    )):  # fmt: skip
        decorated = decorate(decorated)
    return decorated


@click.command()
@on_problem
def plan(request: Request, as_json: bool) -> None:
    """Every stage: cached or runs, and why."""
    from pipelines.cloud import estimate
    from pipelines.launch import prepare
    from pipelines.terminal import table

    prepared = prepare(request)
    stages = [
        {"name": step.step.name, "status": "cached" if step.cached else "runs", "reason": step.reason, "key": step.key}
        for step in prepared.plan.steps
    ]
    there = prepared.site
    cost = estimate(prepared.plan, prepared.loaded.problem, there) if there else {}
    if as_json:
        print_json({"run": prepared.run, "problem": str(request.problem), "stages": stages, **cost})
        return
    click.echo(f"run {prepared.run}")
    click.echo(table([(stage["name"], stage["status"], stage["reason"]) for stage in stages]))
    if there:
        from infra.sagemaker.bill import bill

        click.echo(bill(cost))


@click.command()
@on_problem
def run(request: Request, as_json: bool) -> None:
    """Run what the plan says; resumes by itself."""
    from pipelines import launch
    from pipelines.terminal import Progress

    prepared = launch.prepare(request)
    progress = Progress()
    cached = sum(step.cached for step in prepared.plan.steps)
    click.echo(f"run {prepared.run}: {len(prepared.plan.steps)} stages, {cached} cached", err=True)
    _to_its_end(request.workspace, prepared.run, lambda: launch.run(prepared, progress), as_json=as_json)


def _to_its_end(workspace: Path, run: str, go: Callable[[], object], *, as_json: bool) -> None:
    """Run it, print what it came to, and end with the exit code that says so."""
    from pipelines import launch
    from steps.errors import FourscoreError

    failure: FourscoreError | None = None
    try:
        go()
    except FourscoreError as error:
        failure = error
    except Exception as error:  # noqa: BLE001  what nobody foresaw: the record says where the details are
        failure = FourscoreError(launch.message_of(workspace, run, error))
    if launch.exists(workspace, run):
        document = _gathered(workspace, run, failure)
        if failure is not None and document["status"] in ("pass", "rejected"):
            raise failure  # it is about what was asked of a run that is over, not about the run
        unclosed = document["status"] == "running" and not document["execution"]
        if failure is not None and unclosed:  # the record could not be written: a full disk
            document |= {"verdict": "error", "status": "error", "message": str(failure)}
        if as_json:
            print_json(document)
        else:
            _conclude(document)
        if failure is None and document["verdict"] != "pass":
            click.get_current_context().exit(3 if document["verdict"] == "rejected" else 1)
    if failure is not None:
        raise failure


def _gathered(workspace: Path, run: str, failure: Exception | None) -> dict[str, Any]:
    """The run's document; where its store cannot be asked either, the first failure is the one to tell."""
    from pipelines.pages.report.gather import gather
    from pipelines.summary import summary
    from steps.errors import FourscoreError

    try:
        return summary(gather(workspace, run, history=False))
    except FourscoreError:
        if failure is None:
            raise
        raise failure from None


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def attach(run: str, workspace: Path, as_json: bool) -> None:
    """Watch a RUN that goes on on SageMaker without this terminal."""
    from pipelines import launch
    from pipelines.terminal import Progress

    _to_its_end(workspace, run, lambda: launch.attach(workspace, run, Progress()), as_json=as_json)


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def retry(run: str, workspace: Path, as_json: bool) -> None:
    """Go on with a RUN on SageMaker that failed or was stopped, from the job that did not succeed."""
    from pipelines import launch
    from pipelines.terminal import Progress

    _to_its_end(workspace, run, lambda: launch.attach(workspace, run, Progress(), again=True), as_json=as_json)


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def stop(run: str, workspace: Path, as_json: bool) -> None:
    """Stop a RUN on SageMaker; a training keeps its checkpoint."""
    from pipelines.cloud import stop as stop_run

    stop_run(workspace, run)
    if as_json:
        print_json({"run": run, "stopping": True})
    else:
        click.echo(f"{run} is asked to stop; 'fourscore attach {run}' shows how it ends", err=True)


def _conclude(document: dict[str, Any]) -> None:
    """The decision first, then where to look and what to do next."""
    from pipelines.terminal import conclusion

    click.echo(conclusion(document))
