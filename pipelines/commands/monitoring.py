"""The command that watches a model in use: monitor."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipelines.commands.options import as_json, print_json, settings_option, tracking_uri, workspace_of_runs


@click.command()
@click.argument("target")
@click.option("--run", "run", metavar="RUN", help="The run that made the model; TARGET is then a folder.")
@click.option(
    "--labels",
    metavar="FILE",
    help="Outcomes that arrived later: the target, with request_id and row or a key of yours.",
)
@click.option(
    "--alert",
    metavar="WHERE",
    envvar="FOURSCORE_ALERT",
    help="Tell a file, a https:// webhook or an SNS topic of new alarms.",
)
@settings_option("A setting, such as hours=6 or alarms_per_quarter=1 (docs/monitoring.md).")
@workspace_of_runs
@tracking_uri
@click.option("--no-tracking", is_flag=True, help="Do not track now; 'fourscore runs --sync' does it later.")
@as_json
def monitor(
    target: str,
    run: str | None,
    labels: str | None,
    alert: str | None,
    settings: dict[str, str],
    workspace: Path,
    tracking_uri: str | None,
    no_tracking: bool,
    as_json: bool,
) -> None:
    """Compare the requests of TARGET, a deployment or a folder, with training; exit code 3 means alarm."""
    from infra.alerts import check_address
    from pipelines import launch
    from pipelines import monitor as monitoring
    from pipelines.progress import Progress
    from pipelines.terminal import fit
    from steps.errors import FourscoreError

    if alert:
        check_address(alert)
    with Progress() as progress:
        folder, trained = (Path(target), run) if run else monitoring.of_deployment(workspace, target)
        request = monitoring.Request(
            folder, trained, workspace, settings, labels, tracking_uri, tracking=not no_tracking
        )
        prepared = monitoring.prepare(request)
        try:
            judgement = monitoring.run(prepared, progress)
        except FourscoreError:
            raise
        except Exception as error:  # noqa: BLE001  unforeseen: the record names the file with the details
            raise FourscoreError(launch.message_of(workspace, prepared.run, error)) from None
    if as_json:
        print_json(monitoring.summary(prepared, judgement))
    else:
        click.echo(fit(monitoring.conclusion(prepared, judgement), sys.stdout))
    if alert and monitoring.alert(prepared, judgement, alert):
        click.echo("told where --alert says of new alarms", err=True)
    click.get_current_context().exit(3 if judgement.state == "alarm" else 0)
