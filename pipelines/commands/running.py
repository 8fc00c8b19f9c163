"""Commands that start or follow a run: new, plan, run, attach, retry and stop."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands.options import as_json, print_json, settings_option, tracking_uri, workspace_of_runs

if TYPE_CHECKING:
    from pipelines.pages.report.gather import Facts
    from pipelines.progress import Progress
    from pipelines.request import Request

PLACES = ("local", "sagemaker", "sagemaker-local")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--data", "data", multiple=True, required=True, metavar="[NAME=]FILE", help="File, glob, package:// or s3:// URI."
)
@click.option("--target", required=True, help="The column to predict.")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column that is not a feature, such as an id.")
@click.option(
    "--task", help="binary-classification, multiclass-classification or regression; default: inferred from the target."
)
@click.option(
    "--split",
    "split",
    metavar="row|group:COLUMN|time:COLUMN",
    help="How the test set is chosen; default: by row, or by the group of a repeating id.",
)
@click.option("--names", metavar="A,B,C", help="Names of the columns in order, instead of the header's.")
@settings_option("A field of the problem, such as data.sources.NAME.skip=2.")
@click.option("--yes", is_flag=True, help="Accept every guess without asking.")
@as_json
def new(
    directory: Path,
    data: tuple[str, ...],
    target: str,
    ignore: tuple[str, ...],
    task: str | None,
    split: str | None,
    names: str | None,
    settings: dict[str, str],
    yes: bool,
    as_json: bool,
) -> None:
    """Profile the data and write a commented problem.yaml and an expectations.json that pass on it."""
    from pipelines.propose.proposal import Unreadable, as_document, describe, propose, write, write_incomplete
    from steps.errors import InputError

    try:
        proposal = propose(directory, data, target, ignore, task, split, names, settings)
    except Unreadable as error:
        problem = write_incomplete(error)
        raise InputError(
            f"{error}\n{problem} was written with what is known. Give the setting there or as --set KEY=VALUE, then run "
            "'fourscore new' again"
        ) from None
    if not as_json:
        click.echo(describe(proposal), err=True)
        if not yes and sys.stdin.isatty():
            if proposal.other_task:
                choice = click.Choice([proposal.task, proposal.other_task])
                answer = click.prompt("task", type=choice, default=proposal.task, err=True)
                if answer != proposal.task:
                    proposal = propose(directory, data, target, ignore, answer, split, names, settings)
                    click.echo(describe(proposal), err=True)
            click.confirm(f"write {directory / 'problem.yaml'}?", default=True, abort=True, err=True)
    write(proposal)
    problem = directory / "problem.yaml"
    if as_json:
        print_json(as_document(proposal))
    else:
        click.echo(
            f"wrote {problem} and {directory / 'expectations.json'}\n"
            f"next: review both files, then run: fourscore run {shlex.quote(str(problem))}",
            err=True,
        )


REQUEST = (
    click.argument("problem", type=click.Path(path_type=Path)),
    click.option("--smoke", is_flag=True, help="Run every stage on a small sample; makes no candidate."),
    click.option("--until", metavar="STAGE", help="Stop after this stage, such as split."),
    settings_option("Override a field of the problem, such as split.by=row."),
    click.option(
        "--quality", type=click.Choice(["standard", "best"]), help="Override train.quality: how long to train."
    ),
    workspace_of_runs,
    click.option("--store", metavar="URI", envvar="FOURSCORE_STORE", help="Share results through s3://bucket/prefix/."),
    click.option(
        "--on",
        type=click.Choice(PLACES),
        default="local",
        show_default=True,
        help="Where it runs; sagemaker-local emulates SageMaker on this machine.",
    ),
    click.option("--name", metavar="RUN", help="Name of the run; default: derived from its content."),
    tracking_uri,
    click.option("--no-tracking", is_flag=True, help="Do not track now; 'fourscore runs --sync' does it later."),
    as_json,
)
"""Argument and options of ``plan`` and ``run``."""


def on_problem(command: Callable[[Request, bool], None]) -> Callable[..., None]:
    """Add the options of ``plan`` and ``run`` and pass them on as a Request, and --json."""

    @functools.wraps(command)
    def with_request(as_json: bool, no_tracking: bool, quality: str | None, **options: Any) -> None:
        from pipelines.request import Request

        if quality:
            options["settings"] |= {"train.quality": quality}
        command(Request(**options, tracking=not no_tracking), as_json)

    return functools.reduce(lambda decorated, option: option(decorated), reversed(REQUEST), with_request)


@click.command()
@on_problem
def plan(request: Request, as_json: bool) -> None:
    """Show for every stage whether it is cached or runs, and why; refuse what a run would refuse at its start."""
    from pipelines.listing import usual_seconds
    from pipelines.prospects import tight_promises
    from pipelines.request import check, prepare
    from pipelines.terminal import brief, duration, fit, table

    prepared = prepare(request)
    check(prepared)
    tight = tight_promises(prepared)
    stages = [
        {"name": step.step.name, "status": "cached" if step.cached else "runs", "reason": step.reason, "key": step.key}
        for step in prepared.plan.steps
    ]
    detached = prepared.place.detached
    missing = [stage["name"] for stage in stages if stage["status"] == "runs"]
    usual = {} if detached else usual_seconds(request.workspace, prepared.loaded.problem.name, missing)
    seconds = None if detached or None in usual.values() else sum(filter(None, usual.values()))
    cost = detached.estimate(prepared.plan, prepared.loaded.problem.name) if detached else {}
    if as_json:
        print_json(
            {
                "run": prepared.run,
                "problem": str(request.problem),
                "stages": stages,
                "seconds": seconds,
                "tight_promises": tight,
                **cost,
            }
        )
        return
    click.echo(f"run {prepared.run}")
    rows = [(stage["name"], stage["status"], brief(stage["reason"])) for stage in stages]
    click.echo(fit(table(rows), sys.stdout))
    if missing and seconds is not None:
        click.echo(f"about {duration(seconds)}, as these stages took in the latest runs")
    for text in tight:
        click.echo(text)
    if detached:
        from pipelines.bill import bill

        click.echo(bill(cost))


@click.command()
@on_problem
def run(request: Request, as_json: bool) -> None:
    """Run the plan; a run that was stopped is resumed."""
    from pipelines import launch
    from pipelines.listing import usual_seconds
    from pipelines.progress import Progress
    from pipelines.request import prepare

    with Progress() as progress:
        prepared = prepare(request)
        missing = [step.step.name for step in prepared.plan.steps if not step.cached]
        count = len(prepared.plan.steps)
        progress.say(f"run {prepared.run}: {count} stages, {count - len(missing)} cached")
        if not prepared.place.detached:
            progress.expect(usual_seconds(request.workspace, prepared.loaded.problem.name, missing))
        _finish(request.workspace, prepared.run, lambda: launch.run(prepared, progress), progress, as_json)


def _finish(workspace: Path, run: str, action: Callable[[], object], progress: Progress, as_json: bool) -> None:
    """Perform the action on a run, print the run's outcome, and exit with the code of its verdict."""
    from infra.runs import records
    from pipelines import launch
    from pipelines.summary import summary
    from pipelines.terminal import conclusion, fit
    from steps.errors import FourscoreError, Interrupted

    failure: FourscoreError | None = None
    reused = False
    try:
        reused = action() is False
    except FourscoreError as error:
        failure = error
    except Exception as error:  # noqa: BLE001  unforeseen: the record names the file with the details
        failure = FourscoreError(launch.message_of(workspace, run, error))
    progress.close()
    if isinstance(failure, Interrupted) and not as_json:
        raise failure  # its message is all that there is to say
    if records.path_of(workspace, run).exists():
        facts = _gather(workspace, run, failure)
        facts = facts.reused() if reused else facts
        record = facts.record
        if failure is not None and record.status in ("pass", "rejected"):
            raise failure  # the failure concerns the request, not the finished run
        if failure is not None and record.status == "running" and not record.execution:
            record.status, record.message = "error", str(failure)  # it could not be written, as on a full disk
        if as_json:
            print_json(summary(facts))
        else:
            click.echo(fit(conclusion(facts), sys.stdout))
        if failure is None and facts.verdict != "pass":
            interrupted = record.status == "interrupted"
            click.get_current_context().exit(3 if facts.verdict == "rejected" else 130 if interrupted else 1)
    if failure is not None:
        raise failure


def _gather(workspace: Path, run: str, failure: Exception | None) -> Facts:
    """Return the run's facts; if its store cannot be read either, raise the first failure."""
    from pipelines.pages.report.gather import gather
    from steps.errors import FourscoreError

    try:
        return gather(workspace, run, history=False)
    except FourscoreError:
        if failure is None:
            raise
        raise failure from None


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def attach(run: str, workspace: Path, as_json: bool) -> None:
    """Watch a RUN on SageMaker again."""
    from pipelines import detached
    from pipelines.progress import Progress

    with Progress() as progress:
        _finish(workspace, run, lambda: detached.attach(workspace, run, progress), progress, as_json)


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def retry(run: str, workspace: Path, as_json: bool) -> None:
    """Continue a RUN on SageMaker that failed or was stopped, from the first job that did not succeed."""
    from pipelines import detached
    from pipelines.progress import Progress

    with Progress() as progress:
        _finish(workspace, run, lambda: detached.retry(workspace, run, progress), progress, as_json)


@click.command()
@click.argument("run")
@workspace_of_runs
@as_json
def stop(run: str, workspace: Path, as_json: bool) -> None:
    """Stop a RUN on SageMaker; training keeps its checkpoint."""
    from pipelines import detached

    detached.stop(workspace, run)
    if as_json:
        print_json({"run": run, "stopping": True})
    else:
        click.echo(f"{run} is stopping; 'fourscore attach {run}' shows how it ends", err=True)
