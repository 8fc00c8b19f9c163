"""The command line. Every command imports what it needs when it is called, so that ``--help`` answers at once."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines import infra_commands, options
from pipelines.options import as_json, print_json

if TYPE_CHECKING:
    from infra.runs import RunRecord
    from pipelines.launch import Request

EXIT_CODES = "Exit codes: 0 done, 1 something broke, 2 the input is wrong, 3 a gate said no, 130 interrupted."


class Commands(click.Group):
    """Turns every error meant for a person into a message and its exit code; nothing else is caught."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        with _only_the_document(ctx):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted", 130)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except OSError as error:
            _fail(ctx, f"{error.filename or 'the system'}: {error.strerror or error}", 1)
        except Exception as error:
            code = getattr(error, "exit_code", None)
            if isinstance(error, click.ClickException):
                _print_failure(ctx, error.format_message(), error.exit_code)
            if isinstance(error, click.ClickException | click.exceptions.Exit) or code is None:
                raise
            _fail(ctx, str(error), code)


@contextlib.contextmanager
def _only_the_document(ctx: click.Context) -> Iterator[None]:
    """With --json, whatever else is written to standard output, be it by Fortran, goes to standard error."""
    try:
        real = "--json" in sys.argv and (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    except (OSError, AttributeError):  # a test's output is no file, one that the shell closed is nothing
        real = False
    if not real:
        yield
        return
    sys.stdout.flush()
    kept, before = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with open(kept, "w", encoding="utf-8", closefd=False) as ctx.meta["document"]:
            yield
    finally:
        sys.stdout = before
        os.dup2(kept, 1)
        os.close(kept)


def _fail(ctx: click.Context, message: str, code: int) -> None:
    _print_failure(ctx, message, code)
    click.echo(f"{click.style('error', fg='red', bold=True)}: {message}", err=True)
    ctx.exit(code)


def _print_failure(ctx: click.Context, message: str, code: int) -> None:
    """With --json the failure is a document too; that of ``run`` has every key that a run has, empty."""
    if "--json" not in sys.argv or ctx.meta.get("printed"):
        return
    from pipelines.summary import nothing

    document = {"verdict": "error", "message": message, "exit_code": code}
    if ctx.invoked_subcommand == "run":
        document = nothing() | document
    click.echo(json.dumps(document, ensure_ascii=False), file=ctx.meta.get("document"))


def _settings(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as split.by=row")
        settings[key.strip()] = text
    return settings


in_workspace = options.in_workspace("Where runs, results and tracking are kept.")
tracking_uri = click.option("--tracking-uri", help="MLflow server; default: the problem's, or sqlite in the workspace.")
PLACES = ("local", "sagemaker", "sagemaker-local")
STAGE_NAMES = ("define", "ingest", "validate", "label", "split", "train", "evaluate", "register")


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
        click.option("--until", type=click.Choice(STAGE_NAMES), help="Stop after this stage."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=_settings, help="Override a field."),
        in_workspace,
        click.option("--store", metavar="URI", envvar="FOURSCORE_STORE", help="s3://bucket/prefix/ where results are shared."),
        click.option("--on", type=click.Choice(PLACES), default="local", help="Where it runs; sagemaker-local is the same jobs here."),
        click.option("--name", metavar="RUN", help="Name of the run; default: from what it is made of."),
        tracking_uri,
        click.option("--no-tracking", is_flag=True, help="Do not project to MLflow now; 'fourscore runs --sync' does it later."),
        as_json,
    )):  # fmt: skip
        decorated = decorate(decorated)
    return decorated


@click.group(
    cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="fourscore", prog_name="fourscore")
def main() -> None:
    """From a problem definition and a dataset to a registered model, through gates that say no."""


@main.command()
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
    from pipelines import propose

    proposal = propose.propose(directory, data, target, ignore, task, split)
    if not as_json:
        click.echo(propose.describe(proposal), err=True)
        if not yes and sys.stdin.isatty():
            click.confirm(f"write {directory / 'problem.yaml'}?", default=True, abort=True, err=True)
    propose.write(proposal)
    problem = directory / "problem.yaml"
    if as_json:
        print_json(propose.as_document(proposal))
    else:
        click.echo(
            f"wrote {problem} and {directory / 'expectations.json'}\n"
            f"next: read them, then  fourscore run {shlex.quote(str(problem))}",
            err=True,
        )


@main.command()
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


@main.command()
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
    from pipelines.report.gather import gather
    from pipelines.summary import summary
    from steps.errors import FourscoreError

    try:
        return summary(gather(workspace, run, history=False))
    except FourscoreError:
        if failure is None:
            raise
        raise failure from None


@main.command()
@click.argument("run")
@in_workspace
@as_json
def attach(run: str, workspace: Path, as_json: bool) -> None:
    """Watch a RUN that goes on on SageMaker without this terminal."""
    from pipelines import launch
    from pipelines.terminal import Progress

    _to_its_end(workspace, run, lambda: launch.attach(workspace, run, Progress()), as_json=as_json)


@main.command()
@click.argument("run")
@in_workspace
@as_json
def retry(run: str, workspace: Path, as_json: bool) -> None:
    """Go on with a RUN on SageMaker that failed or was stopped, from the job that did not succeed."""
    from pipelines import launch
    from pipelines.terminal import Progress

    _to_its_end(workspace, run, lambda: launch.attach(workspace, run, Progress(), again=True), as_json=as_json)


@main.command()
@click.argument("run")
@in_workspace
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


@main.command()
@click.argument("run", required=False)
@in_workspace
@as_json
def report(run: str | None, workspace: Path, as_json: bool) -> None:
    """Write or locate the self-contained HTML report of a run (default: the newest)."""
    from pipelines.report import write_report

    name = _named(workspace, run).run
    path = write_report(workspace, name)
    if as_json:
        print_json({"run": name, "report": str(path)})
    else:
        click.echo(path)


@main.command()
@click.argument("model")
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@in_workspace
@tracking_uri
@as_json
def predict(model: str, input: Path, output: Path, workspace: Path, tracking_uri: str | None, as_json: bool) -> None:  # noqa: A002
    """Predict a file with MODEL: a run, a model directory, or a registered NAME, NAME@ALIAS or NAME/VERSION."""
    from pipelines.predict import predict_file

    done = predict_file(model, input, output, workspace, tracking_uri)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['rows']:,} predictions in {output} (columns {', '.join(done['columns'])})", err=True)


@main.command()
@in_workspace
@click.option("--sync", is_flag=True, help="Project to MLflow what is missing there, exactly once.")
@tracking_uri
@as_json
def runs(workspace: Path, sync: bool, tracking_uri: str | None, as_json: bool) -> None:
    """List runs, the newest first."""
    from infra import runs as records
    from pipelines.terminal import table

    for record in records.mark_killed(workspace):
        click.echo(f"run {record.run} was killed and is now marked so", err=True)
    synced: dict[str, str] = {}
    if sync:
        from infra import tracking
        from pipelines.launch import look_again

        for run in look_again(workspace):
            click.echo(f"run {run} ended on SageMaker while nobody watched", err=True)
        synced = tracking.sync(workspace, tracking_uri)
    listed = [
        {
            "run": each.run,
            "problem": each.problem_name,
            "status": each.status,
            "smoke": each.smoke,
            "started": each.started,
            "finished": each.finished,
        }
        for each in records.every(workspace)
    ]
    if as_json:
        print_json({"runs": listed, **({"sync": synced} if sync else {})})
        _all_there(synced)
        return
    if sync:
        click.echo("\n".join(f"  {run}: {what}" for run, what in synced.items()) or "nothing to project", err=True)
    if not listed:
        click.echo(f"no runs in {workspace}; start one with  fourscore run PROBLEM", err=True)
    click.echo(
        table(
            [
                (str(each["run"]), f"{each['status']}{' (smoke)' if each['smoke'] else ''}", str(each["started"]))
                for each in listed
            ]
        )
    )
    _all_there(synced)


def _all_there(synced: dict[str, str]) -> None:
    """Exit code 1 where something that was to be projected was not."""
    if any(not what.startswith(("complete", "trashed")) for what in synced.values()):
        click.get_current_context().exit(1)


@main.command()
@click.argument("run", required=False)
@in_workspace
@as_json
def show(run: str | None, workspace: Path, as_json: bool) -> None:
    """One run with its lineage (default: the newest)."""
    from pipelines.report.gather import gather
    from pipelines.summary import summary
    from pipelines.terminal import conclusion, lineage

    record = _named(workspace, run)
    document = summary(gather(workspace, record.run, history=False))
    if as_json:
        print_json(document)
    else:
        click.echo(conclusion(document))
        click.echo(lineage(record, document))


@main.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Required: until approvals exist, this is the decision.")
@in_workspace
@tracking_uri
@as_json
def promote(run: str, yes: bool, workspace: Path, tracking_uri: str | None, as_json: bool) -> None:
    """Make the candidate of RUN the champion that later runs are compared with."""
    from pipelines.release import promote as move

    if not yes:
        raise click.UsageError(
            f"promoting changes what every later run is compared with; say  fourscore promote {run} --yes"
        )
    done = move(workspace, run, tracking_uri)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['name']}: champion is now run {run} (before: {done['before'] or 'none'})")


@main.command()
@in_workspace
@tracking_uri
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@as_json
def ui(workspace: Path, tracking_uri: str | None, port: int, as_json: bool) -> None:
    """The MLflow UI, on this machine's loopback address only."""
    from infra import tracking

    def say(link: str) -> None:
        if as_json:
            print_json({"link": link})
        else:
            click.echo(link, err=True)

    tracking.ui(workspace, tracking_uri, port, say)


@main.command()
@in_workspace
@as_json
def doctor(workspace: Path, as_json: bool) -> None:
    """Is this installation healthy, and is what the store holds unbroken?"""
    from pipelines.doctor import examine

    findings = examine(workspace)
    healthy = all(finding["ok"] for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "checks": findings})
    else:
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding["ok"] else click.style("FAIL", fg="red")
            click.echo(f"  {mark}  {finding['check']}: {finding['found']}")
    if not healthy:
        click.get_current_context().exit(1)


main.add_command(infra_commands.infra)


def _named(workspace: Path, run: str | None) -> RunRecord:
    from infra import runs as records
    from steps.errors import InputError

    records.mark_killed(workspace)
    if run is not None:
        return records.load(workspace, run)
    newest = next(records.every(workspace), None)
    if newest is None:
        raise InputError(f"no runs in {workspace}; start one with  fourscore run PROBLEM")
    return newest


if __name__ == "__main__":
    main()
