"""The command that watches a model in use: monitor."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipelines.commands.options import as_json, print_json, settings_option, tracking_uri, workspace_of_runs


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--run", "run", required=True, metavar="RUN", help="The run that made the model.")
@settings_option("A setting, such as hours=6 or alarms_per_quarter=1 (docs/monitoring.md).")
@workspace_of_runs
@tracking_uri
@click.option("--no-tracking", is_flag=True, help="Do not track now; 'fourscore runs --sync' does it later.")
@as_json
def monitor(
    folder: Path,
    run: str,
    settings: dict[str, str],
    workspace: Path,
    tracking_uri: str | None,
    no_tracking: bool,
    as_json: bool,
) -> None:
    """Compare requests captured in FOLDER with the training of RUN's model; exit code 3 means alarm."""
    from pipelines import monitor as monitoring
    from pipelines.progress import Progress
    from pipelines.terminal import fit

    with Progress() as progress:
        request = monitoring.Request(folder, run, workspace, settings, tracking_uri, tracking=not no_tracking)
        prepared = monitoring.prepare(request)
        judgement = monitoring.run(prepared, progress)
    if as_json:
        print_json({"run": prepared.run, **judgement.model_dump(mode="json")})
    else:
        click.echo(fit(monitoring.conclusion(prepared, judgement), sys.stdout))
    click.get_current_context().exit(3 if judgement.state == "alarm" else 0)
