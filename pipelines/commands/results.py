"""Commands that look at runs, use their models, and ask whether all is well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands.options import as_json, print_json, tracking_uri, workspace_of_runs

if TYPE_CHECKING:
    from infra.runs.records import RunRecord


@click.command()
@click.argument("run", required=False)
@workspace_of_runs
@as_json
def report(run: str | None, workspace: Path, as_json: bool) -> None:
    """Write or locate the self-contained HTML report of a run (default: the newest)."""
    from pipelines.pages.report import write_report

    name = _named(workspace, run).run
    path = write_report(workspace, name)
    if as_json:
        print_json({"run": name, "report": str(path)})
    else:
        click.echo(path)


@click.command()
@click.argument("model")
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@workspace_of_runs
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


@click.command()
@workspace_of_runs
@click.option("--sync", is_flag=True, help="Project to MLflow what is missing there, exactly once.")
@tracking_uri
@as_json
def runs(workspace: Path, sync: bool, tracking_uri: str | None, as_json: bool) -> None:
    """List runs, the newest first."""
    from infra.runs import records
    from pipelines.terminal import plain, table

    for record in records.mark_killed(workspace):
        click.echo(f"run {record.run} was killed and is now marked so", err=True)
    synced: dict[str, str] = {}
    if sync:
        from infra.tracking import follower
        from pipelines.launch import look_again

        for run in look_again(workspace):
            click.echo(f"run {run} ended on SageMaker while nobody watched", err=True)
        synced = follower.sync(workspace, tracking_uri)
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
        said = "\n".join(f"  {run}: {what}" for run, what in synced.items())
        click.echo(plain(said) or "nothing to project", err=True)
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


@click.command()
@click.argument("run", required=False)
@workspace_of_runs
@as_json
def show(run: str | None, workspace: Path, as_json: bool) -> None:
    """One run with its lineage (default: the newest)."""
    from pipelines.pages.report.gather import gather
    from pipelines.summary import summary
    from pipelines.terminal import conclusion, lineage

    record = _named(workspace, run)
    document = summary(gather(workspace, record.run, history=False))
    if as_json:
        print_json(document)
    else:
        click.echo(conclusion(document))
        click.echo(lineage(record, document))


@click.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Required: until approvals exist, this is the decision.")
@workspace_of_runs
@tracking_uri
@as_json
def promote(run: str, yes: bool, workspace: Path, tracking_uri: str | None, as_json: bool) -> None:
    """Make the candidate of RUN the champion that later runs are compared with."""
    from pipelines.promotion import promote as move

    if not yes:
        raise click.UsageError(
            f"promoting changes what every later run is compared with; say  fourscore promote {run} --yes"
        )
    done = move(workspace, run, tracking_uri)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['name']}: champion is now run {run} (before: {done['before'] or 'none'})")


@click.command()
@workspace_of_runs
@tracking_uri
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@as_json
def ui(workspace: Path, tracking_uri: str | None, port: int, as_json: bool) -> None:
    """The MLflow UI, on this machine's loopback address only."""
    from infra.tracking.mlflow_client import default_uri
    from infra.tracking.mlflow_server import serve

    def show_link(link: str) -> None:
        if as_json:
            print_json({"link": link})
        else:
            click.echo(link, err=True)

    serve(workspace, tracking_uri or default_uri(workspace), port, show_link)


@click.command()
@workspace_of_runs
@as_json
def doctor(workspace: Path, as_json: bool) -> None:
    """Is this installation healthy, and is what the store holds unbroken?"""
    from pipelines.doctor import examine
    from pipelines.terminal import plain

    findings = examine(workspace)
    healthy = all(finding["ok"] for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "checks": findings})
    else:
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding["ok"] else click.style("FAIL", fg="red")
            click.echo(f"  {mark}  " + plain(f"{finding['check']}: {finding['found']}"))
    if not healthy:
        click.get_current_context().exit(1)


def _named(workspace: Path, run: str | None) -> RunRecord:
    from infra.runs import records
    from steps.errors import InputError

    records.mark_killed(workspace)
    if run is not None:
        return records.load(workspace, run)
    newest = next(records.every(workspace), None)
    if newest is None:
        raise InputError(f"no runs in {workspace}; start one with  fourscore run PROBLEM")
    return newest
