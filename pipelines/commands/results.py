"""Commands about finished runs: report, predict, runs, show, ui, home and doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.commands.options import as_json, print_json, settings_option, tracking_uri, workspace_of_runs

if TYPE_CHECKING:
    from infra.runs.records import RunRecord


@click.command()
@click.argument("run", required=False)
@workspace_of_runs
@as_json
def report(run: str | None, workspace: Path, as_json: bool) -> None:
    """Write the self-contained HTML report of a run (default: the newest) and print its path."""
    from pipelines.pages.report.page import write_report
    from steps.errors import InputError

    record = _load_run(workspace, run)
    name, path = record.run, workspace / "reports" / f"{record.run}.html"
    if record.pipeline != "monitoring":
        path = write_report(workspace, name)
    elif not path.is_file():
        raise InputError(f"{name} has no page; 'fourscore monitor' writes it anew")
    if as_json:
        print_json({"run": name, "report": str(path)})
    else:
        click.echo(path)


@click.command()
@click.argument("model")
@click.argument("input", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path), required=False)
@click.option("-o", "option", type=click.Path(path_type=Path), metavar="OUTPUT", help="The same as OUTPUT.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Copy this column of INPUT; may be repeated.")
@click.option("--skip-bad", is_flag=True, help="Leave out rows with values that cannot be read, and list them.")
@click.option("--strict", is_flag=True, help="Refuse values that are unlike those of training.")
@click.option(
    "--neutralize-formulas", "neutralize", is_flag=True, help="Put ' before text that a spreadsheet would run."
)
@click.option("--intervals", is_flag=True, help="Add an interval that holds the true number with 95 % probability.")
@click.option("--level", type=float, metavar="SHARE", help="The probability instead of 0.95: 0.5, 0.8, 0.9 or 0.99.")
@click.option("--rejected", is_flag=True, help="Use the model of a run that was rejected all the same.")
@click.option("--trust", metavar="WHY", help="Use a model that is not of a run of this workspace; say why.")
@settings_option("A setting of INPUT: input.skip=2.")
@workspace_of_runs
@tracking_uri
@as_json
def predict(
    model: str,
    input: Path,  # noqa: A002
    output: Path | None,
    option: Path | None,
    keep: tuple[str, ...],
    skip_bad: bool,
    strict: bool,
    neutralize: bool,
    intervals: bool,
    level: float | None,
    rejected: bool,
    trust: str | None,
    settings: dict[str, str],
    workspace: Path,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Predict every row of INPUT with MODEL: a run, a model directory, or a registered NAME, NAME@ALIAS or NAME/VERSION.

    OUTPUT is a .csv, .parquet or .ndjson file, or - for CSV on standard output.
    """
    from pipelines.predict import STANDARD_OUTPUT, predict_file

    if (output is None) == (option is None):
        raise click.UsageError("give one output: fourscore predict MODEL INPUT OUTPUT")
    target = output or option
    assert target is not None
    if as_json and target == STANDARD_OUTPUT:
        raise click.UsageError("--json prints its document where - prints the predictions; write them to a file")
    summary = predict_file(
        model,
        input,
        target,
        workspace,
        tracking_uri,
        keep=keep,
        skip_bad=skip_bad,
        strict=strict,
        neutralize=neutralize,
        level=level if level is not None else 0.95 if intervals else None,
        settings=settings,
        rejected=rejected,
        trust=trust,
    )
    if as_json:
        print_json(summary)
    else:
        place = "" if target == STANDARD_OUTPUT else f" in {target}"
        noun = "prediction" if summary["rows"] == 1 else "predictions"
        click.echo(f"{summary['rows']:,} {noun}{place} (columns {', '.join(summary['columns'])})", err=True)


@click.command()
@workspace_of_runs
@click.option(
    "--sort",
    "order",
    type=click.Choice(["age", "name", "verdict", "result", "took"]),
    help="Instead of the newest first; by result, the best of each promised metric first.",
)
@click.option("--sync", is_flag=True, help="Also send to MLflow what is missing there.")
@tracking_uri
@as_json
def runs(workspace: Path, order: str | None, sync: bool, tracking_uri: str | None, as_json: bool) -> None:
    """List all runs with verdict, promised metric, time and age; the newest first."""

    from infra.runs import records
    from pipelines.listing import as_table, entries
    from pipelines.terminal import columns, plain

    for record in records.mark_killed(workspace):
        click.echo(f"run {record.run} was killed and is now marked as killed", err=True)
    synced: dict[str, str] = {}
    if sync:
        from infra.places import store_of
        from infra.tracking import follower
        from pipelines.detached import refresh

        for run in refresh(workspace):
            click.echo(f"run {run} ended on SageMaker while nobody watched it", err=True)
        synced = follower.sync(workspace, tracking_uri, store_of)
    listed = entries(workspace, order)
    if as_json:
        print_json({"runs": [entry.document() for entry in listed], **({"sync": synced} if sync else {})})
        _exit_unless_projected(synced)
        return
    if sync:
        statuses = "\n".join(f"  {run}: {status}" for run, status in synced.items())
        click.echo(plain(statuses) or "MLflow has everything", err=True)
    if not listed:
        click.echo(f"no runs in {workspace}; start one with: fourscore run PROBLEM", err=True)
    else:
        width = columns(sys.stdout) if sys.stdout.isatty() else None
        click.echo(as_table(listed, width))
    _exit_unless_projected(synced)


def _exit_unless_projected(synced: dict[str, str]) -> None:
    """Exit with code 1 if a run could not be projected."""
    if any(not status.startswith(("complete", "trashed")) for status in synced.values()):
        click.get_current_context().exit(1)


@click.command()
@click.argument("run", required=False)
@workspace_of_runs
@as_json
def show(run: str | None, workspace: Path, as_json: bool) -> None:
    """Show one run with its lineage (default: the newest)."""
    from pipelines.pages.report.gather import gather
    from pipelines.summary import summary
    from pipelines.terminal import conclusion, fit, lineage

    record = _load_run(workspace, run)
    facts = gather(workspace, record.run, history=False)
    if as_json:
        print_json(summary(facts))
    else:
        click.echo(fit(f"{conclusion(facts)}\n{lineage(record)}", sys.stdout))


@click.command()
@workspace_of_runs
@tracking_uri
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--write", is_flag=True, help="Let the page change what it shows: notes, tags, aliases.")
@as_json
def ui(workspace: Path, tracking_uri: str | None, port: int, write: bool, as_json: bool) -> None:
    """Show the MLflow UI to whoever has the link that is printed, on this machine's loopback address only."""
    from infra.tracking.mlflow_client import default_uri
    from infra.tracking.mlflow_server import serve

    def show_link(link: str) -> None:
        if as_json:
            print_json({"link": link})
        else:
            click.echo(link, err=True)

    serve(workspace, tracking_uri or default_uri(workspace), port, show_link, write=write)


@click.command()
@workspace_of_runs
@as_json
def home(workspace: Path, as_json: bool) -> None:
    """Write one page for all: what is in use by whose signature, promises beside what is measured, what waits, all runs."""
    from pipelines.pages.home.page import write_page

    path = write_page(workspace)
    if as_json:
        print_json({"home": str(path)})
    else:
        click.echo(path)


@click.command()
@workspace_of_runs
@as_json
def doctor(workspace: Path, as_json: bool) -> None:
    """Check this installation and every file of the store."""
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


def _load_run(workspace: Path, run: str | None) -> RunRecord:
    from infra.runs import records
    from steps.errors import InputError

    records.mark_killed(workspace)
    if run is not None:
        return records.load(workspace, run)
    newest = next(records.every(workspace), None)
    if newest is None:
        raise InputError(f"no runs in {workspace}; start one with: fourscore run PROBLEM")
    return newest
