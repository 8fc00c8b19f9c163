"""Commands about deployments: deploy, the group deployments, and trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pipelines.commands.approving import approvers_option
from pipelines.commands.options import as_json, print_json, workspace_of_runs


@click.command()
@click.argument("run")
@click.option("--to", "place", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--name", help="Of the deployment; default: the name that the model is registered under.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address lets other machines ask, too.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any that is free.")
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of requests during a trial."
)
@click.option("--seconds", type=click.FloatRange(0), default=30, show_default=True, help="How long a trial lasts.")
@click.option("--max-shift", "shift", type=click.FloatRange(0, 1), default=0.2, show_default=True,
              help="How much the answers may differ from those before: the share of rows.")  # fmt: skip
@click.option("--capture", is_flag=True, help="Keep requests and answers for monitoring, in the deployment's folder.")
@click.option("--detach", is_flag=True, help="Do not wait for the end of a trial.")
@approvers_option
@workspace_of_runs
@as_json
def deploy(
    run: str,
    place: str,
    name: str | None,
    host: str,
    port: int,
    share: float,
    seconds: float,
    shift: float,
    capture: bool,
    detach: bool,
    approvers: Path | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Let the approved model of RUN answer requests on this machine.

    Where another model answers, RUN is tried beside it with a share of the requests, and taken back (exit code 3) if its errors,
    its latency or its answers are clearly worse. No request is lost.
    """
    from pipelines import deployment

    document = deployment.deploy(
        workspace, run, name, host=host, port=port, share=share, seconds=seconds, shift=shift, capture=capture,
        approvers=approvers,
        show=lambda text: click.echo(text, err=True), wait=not detach,
    )  # fmt: skip
    _say(document, as_json=as_json)


@click.group(invoke_without_command=True)
@workspace_of_runs
@as_json
@click.pass_context
def deployments(context: click.Context, workspace: Path, as_json: bool) -> None:
    """What runs where, since when and by whose approval; rollback, destroy, unit, compose."""
    if context.invoked_subcommand:
        return
    from pipelines import deployment
    from pipelines.terminal import plain, table

    documents = list(deployment.every(workspace))
    if as_json:
        print_json({"deployments": documents})
        return
    rows = [("name", "state", "run", "since", "approved by", "address", "last request")]
    for document in documents:
        stable = document["stable"] or {"run": "none", "since": "", "approved_by": []}
        status = document["state"] if document["up"] else "down"
        rows.append((document["name"], status, stable["run"], stable["since"][:16].replace("T", " "),
                     ", ".join(stable["approved_by"]), document["address"] or "", document["last_request"] or "none"))  # fmt: skip
    click.echo(
        table([tuple(map(plain, row)) for row in rows]) if documents else "nothing is deployed: fourscore deploy RUN"
    )


@deployments.command()
@click.argument("name")
@workspace_of_runs
@as_json
def rollback(name: str, workspace: Path, as_json: bool) -> None:
    """Let the version before answer again at once; a trial that goes on ends instead."""
    from pipelines import deployment

    _say(deployment.roll_back(workspace, name), as_json=as_json)


@deployments.command()
@click.argument("name")
@workspace_of_runs
@as_json
def destroy(name: str, workspace: Path, as_json: bool) -> None:
    """End the deployment NAME; its history and log stay."""
    from pipelines import deployment

    document = deployment.destroy(workspace, name)
    if as_json:
        print_json(document)
    else:
        click.echo(f"{name} has ended; what stays: {', '.join(document['stays']) or 'nothing'}")


@deployments.command()
@click.argument("name")
@workspace_of_runs
def unit(name: str, workspace: Path) -> None:
    """Print a systemd unit that starts NAME with the machine."""
    from pipelines import deployment

    click.echo(deployment.systemd_unit(workspace, name), nl=False)


@deployments.command()
@click.argument("name")
@click.option("--image", default="fourscore-serving", show_default=True, help="Of infra/docker/serving.Dockerfile.")
@workspace_of_runs
def compose(name: str, image: str, workspace: Path) -> None:
    """Print a compose file that serves the approved model of NAME from a container."""
    from pipelines import deployment

    click.echo(deployment.compose_file(workspace, name, image), nl=False)


@click.command()
@click.argument("subject")
@click.option("--row", metavar="ROW", help="Of the run SUBJECT, this row: whether it was trained on or tested with.")
@workspace_of_runs
@as_json
def trace(subject: str, row: str | None, workspace: Path, as_json: bool) -> None:
    """Follow SUBJECT both ways: a deployment or run to its stages and data; a digest to runs, models and deployments."""
    from pipelines import trace as way
    from pipelines.terminal import plain

    results = [way.of_row(workspace, subject, row)] if row else way.trace(workspace, subject)
    if as_json:
        print_json({"subject": subject, "runs": results})
        return
    for result in results:
        for line in _lines(result):
            click.echo(plain(line))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield a run's way for a terminal, from where it is used back to its data."""
    for deployment in result["deployments"]:
        yield f"deployment {deployment['name']} ({deployment['role']} since {deployment['since'][:16].replace('T', ' ')})"
    model = result["model"]
    if model["digest"]:
        yield f"  model {model['name']}, digest {model['digest'][:12]}{', champion' if result['champion'] else ''}"
    for decision in result["decisions"]:
        taken_back = ", revoked" if decision["revoked"] else ""
        yield f"    {decision['approver']} {decision['decision']}s it on {decision['time'][:10]}{taken_back}: {decision['reason']}"
    author = result["author"] if result["author"] not in (None, "not recorded") else "nobody knows whom"
    yield f"  run {result['run']} ({result['status']}), started {result['started'][:16].replace('T', ' ')} by {author}"
    if "part" in result:
        yield f"    row {result['row']} is in its {result['part'].replace('_', ' ')}"
    yield from (f"    has it as {place}" for place in result.get("where", []))
    yield from (f"    {stage['stage']:<10} {stage['key'][:12]}  {stage['verdict']}" for stage in result["stages"])
    for name, digest in result["data"].get("raw", {}).items():
        yield f"  source {name} {digest[:12]}"


def _say(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    stable = document["stable"]
    names = ", ".join(stable["approved_by"])
    click.echo(f"{document['name']}: run {stable['run']} answers on {document['address']}, approved by {names}")
    if document["trial"]:
        click.echo(f"run {document['trial']['run']} is on trial")
