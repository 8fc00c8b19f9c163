"""The command about a model that answers requests: serve."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.commands.options import tracking_uri, workspace_of_runs


@click.command()
@click.argument("model")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address lets other machines ask, too.")
@click.option("--intervals", type=float, metavar="LEVEL", help="Add prediction intervals to all answers, such as 0.95.")
@click.option("--max-rows", type=click.IntRange(1), help="Rows of a request; 100,000 when left out.")
@click.option("--max-mb", type=click.FloatRange(0.001), help="Megabytes of a request; 10 when left out.")
@click.option("--capture", metavar="DIR", help="Keep requests and answers as JSON lines in this folder, 1 GB at most.")
@click.option("--openapi", is_flag=True, help="Print the OpenAPI description of the server and end.")
@click.option("--page/--no-page", default=True, show_default=True, help="Show a page to try the model at /.")
@click.option("--rejected", is_flag=True, help="Serve the model of a run that was rejected all the same.")
@click.option("--trust", metavar="WHY", help="Serve a model that is not of a run of this workspace; say why.")
@workspace_of_runs
@tracking_uri
def serve(
    model: str,
    port: int,
    host: str,
    intervals: float | None,
    max_rows: int | None,
    max_mb: float | None,
    capture: str | None,
    openapi: bool,
    page: bool,
    rejected: bool,
    trust: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Answer requests with MODEL over HTTP: a run, a model directory, or a registered NAME, NAME@ALIAS or NAME/VERSION.

    Rows go to POST /invocations as CSV, JSON, JSON lines or Parquet, in the forms of SageMaker and MLflow.
    """
    from pipelines.serve import become, server_command

    command = server_command(model, workspace, tracking_uri, rejected=rejected, trust=trust)
    chosen = {"--port": port, "--host": host, "--intervals": intervals, "--max-rows": max_rows, "--max-mb": max_mb}
    options = [f"{name}={value}" for name, value in {**chosen, "--capture": capture}.items() if value is not None]
    flags = [name for name, is_on in (("--openapi", openapi), ("--page", page)) if is_on]
    become([*command, *options, *flags])
