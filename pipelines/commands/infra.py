"""The command group ``fourscore infra``: the stack in AWS, the image of the jobs, prices, approvals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from pipelines.commands import options
from pipelines.commands.options import as_json, print_json

if TYPE_CHECKING:
    from infra.aws.change_sets import ChangeSet
    from infra.aws.removal import Removal
    from infra.sagemaker.stack import Stack

COLOURS = {"Add": "green", "Remove": "red", "Replace": "red", "Modify": "yellow"}

in_workspace = options.in_workspace("Directory of the stack's file.")
stack_option = click.option("--stack", default="dev", show_default=True, help="Name of the stack: letters and digits.")
region_option = click.option("--region", help="Such as eu-central-1; default: the region of AWS's own settings.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def infra() -> None:
    """The stack in AWS: bucket, key, roles, image, approvals, budget."""


@infra.command()
@stack_option
@region_option
@click.option(
    "--notify", multiple=True, metavar="EMAIL", help="Hears of approvals, failed runs and the budget; up to three."
)
@click.option("--budget", "budget_dollars", type=float, help="Dollars a month; default 200.")
@click.option("--repository", metavar="ORG/NAME", help="On GitHub, to train and deploy from; or ORG@ID/NAME@ID.")
@click.option("--branch", help="Its branch; default main.")
@click.option("--train-environment", help="GitHub environment that may train; default train.")
@click.option("--deploy-environment", help="GitHub environment that may fetch approved models; default deploy.")
@click.option("--oidc-provider", type=click.Choice(["create", "existing"]), help="GitHub's; default: looked up.")
@click.option("--private/--no-private", default=None, help="Jobs may run in a network of your own.")
@click.option("--tracking-uri", help="MLflow as the jobs reach it: a server's URL, or the ARN of a managed one.")
@click.option("--prefix", help="Keys in the bucket begin with it; default fourscore.")
@click.option("--log-bucket", help="Bucket for S3's access logs.")
@click.option("--permissions-boundary", metavar="ARN", help="Policy that bounds every role.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@yes_option
@in_workspace
@as_json
def up(
    stack: str, region: str | None, dry_run: bool, yes: bool, workspace: Path, as_json: bool, **options: Any
) -> None:
    """Create the stack or change it; shows what would change first.

    Options that are left out stay as they were.
    """
    from infra.aws import stacks
    from infra.aws.account import account
    from infra.sagemaker.stack import save

    _require_answer(yes or dry_run, as_json, f"fourscore infra up --stack {stack} --yes  (or --dry-run to look first)")
    signed_in = account(region)

    def confirm(proposed: list[ChangeSet]) -> bool:
        _print_changes(proposed)
        return not dry_run and (yes or click.confirm("make these changes?", err=True))

    values = {name: value for name, value in options.items() if value not in (None, ())}
    outcome = stacks.up(signed_in, stack, values, confirm, _note)
    file = save(workspace, outcome.stack) if outcome.stack else None
    if as_json:
        document: dict[str, Any] = {"stack": stack, "region": signed_in.region, "account": signed_in.account}
        document |= {"executed": outcome.executed, "file": str(file) if file else None}
        changes = [
            {"stack": one.stack, "changes": [change._asdict() for change in one.changes]} for one in outcome.proposed
        ]
        print_json({**document, "changes": changes, "outputs": _document(outcome.stack) if outcome.stack else None})
    elif outcome.stack is None:
        click.echo("nothing was changed", err=True)
    else:
        if not outcome.proposed:
            click.echo(f"stack {stack} is up to date; nothing to change", err=True)
        _print_stack(outcome.stack, file)


@infra.command()
@click.argument("name", type=click.Choice(["data", "compute"]))
def template(name: str) -> None:
    """Print a CloudFormation template, to deploy it by other means: data first, then compute with its outputs."""
    from infra.aws import templates

    click.echo(templates.text(name), nl=False)


def _down_local(workspace: Path, *, delete_data: bool, yes: bool, as_json: bool) -> None:
    """End the executions of the workspace's local cloud, and delete its folder if a person says so."""
    from infra.emulator import local_cloud

    place = local_cloud.home(workspace)
    data, deletes = [str(place)] if place.exists() else [], False
    if delete_data and data:
        _require_answer(yes, as_json, "fourscore infra down --stack local --delete-data --yes")
        click.echo(f"  {click.style('goes', fg='red')}  {place}: results and models of its runs", err=True)
        deletes = yes or click.prompt("data cannot be restored; type local to delete it", err=True) == "local"
    stopped = local_cloud.stop(workspace)
    if deletes:
        shutil.rmtree(place)
    if as_json:
        goes, stays = (data, []) if deletes else ([], data)
        print_json({"stack": "local", "executed": stopped or deletes, "gone": goes, "kept": stays})
        return
    ended = "its executions were ended" if stopped else "no execution is active"
    click.echo(f"the local cloud of {workspace}: {ended}; its data {'is deleted' if deletes else 'stays'}", err=True)


@infra.command()
@stack_option
@region_option
@click.option("--delete-data", is_flag=True, help="Delete bucket, images, registered models; the key 30 days later.")
@yes_option
@in_workspace
@as_json
def down(stack: str, region: str | None, delete_data: bool, yes: bool, workspace: Path, as_json: bool) -> None:
    """Delete the stack, but not its data; refuses while it is in use. --stack local: end what runs there."""
    from infra.emulator.local_stack import NAME

    if stack == NAME:
        _down_local(workspace, delete_data=delete_data, yes=yes, as_json=as_json)
        return
    from infra.aws import removal
    from infra.aws.account import account
    from infra.sagemaker.stack import path_of

    _require_answer(yes, as_json, f"fourscore infra down --stack {stack} --yes")

    def confirm(plan: Removal) -> bool:
        for word, colour, things in (("goes", "red", plan.goes), ("stays", "green", plan.stays)):
            for thing in things:
                click.echo(f"  {click.style(f'{word:<6}', fg=colour)}{thing}", err=True)
        if yes:
            return True
        if delete_data:
            return bool(click.prompt(f"data cannot be restored; type {stack} to delete it", err=True) == stack)
        return click.confirm("take it down?", err=True)

    plan, executed = removal.down(account(region), stack, delete_data=delete_data, confirm=confirm, log=_note)
    if executed:
        path_of(workspace, stack).unlink(missing_ok=True)
    if as_json:
        print_json({"stack": stack, "executed": executed, "gone": plan.goes, "kept": plan.stays})
    else:
        rest = f"; its data stays: 'fourscore infra up --stack {stack}' deploys around it again" if plan.stays else ""
        click.echo(f"stack {stack} is down{rest}" if executed else "nothing was changed", err=True)


@infra.command()
@stack_option
@region_option
@in_workspace
@as_json
def show(stack: str, region: str | None, workspace: Path, as_json: bool) -> None:
    """Show the stack as it stands in AWS, and write its file, which runs in CI and on other machines need."""
    from infra.aws.account import account
    from infra.aws.stacks import show_stack
    from infra.sagemaker.stack import save

    current = show_stack(account(region), stack)
    file = save(workspace, current)
    if as_json:
        print_json({**_document(current), "file": str(file)})
    else:
        _print_stack(current, file)


@infra.command()
@stack_option
@region_option
@click.option("--gpu", is_flag=True, help="For instances with NVIDIA GPUs; default: for CPUs.")
@click.option("--propose", is_flag=True, help="Name AWS's own image that is nearest, and do nothing.")
@click.option("--use", metavar="URI@sha256:DIGEST", help="Pin this image, built elsewhere, and build none.")
@in_workspace
@as_json
def image(
    stack: str,
    region: str | None,
    gpu: bool,
    propose: bool,
    use: str | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Build the image of the jobs, push it, and pin its digest in the stack."""
    from infra.aws.account import account, region_of
    from infra.aws.image import check_pinned, make_image
    from infra.aws.stacks import deployment, show_stack
    from infra.sagemaker.stack import save

    kind: Literal["cpu", "gpu"] = "gpu" if gpu else "cpu"
    if propose:
        _propose(region_of(region), gpu=gpu, as_json=as_json)
        return
    tag, uri, built = None, check_pinned(use) if use else "", False
    signed_in = account(region)
    if not use:
        result = make_image(signed_in, deployment(signed_in, stack), kind, workspace, _note)
        tag, uri, built = result.tag, result.uri, result.built
    current = show_stack(signed_in, stack)
    file = save(workspace, replace(current, images={**current.images, kind: uri}))
    if as_json:
        print_json({"kind": kind, "tag": tag, "image": uri, "built": built, "file": str(file)})
    else:
        origin = "" if use else "built: " if built else "built already: "
        click.echo(f"{origin}{uri}\npinned in {file}", err=True)


def _propose(region: str, *, gpu: bool, as_json: bool) -> None:
    from infra.aws.image import propose

    proposal = propose(region, gpu=gpu)
    if as_json:
        fields = {"image": proposal.uri, "torch": proposal.torch, "wanted": proposal.installed, "fits": proposal.fits}
        print_json(fields)
        return
    click.echo(proposal.uri)
    if not proposal.fits:
        click.echo(
            f"its torch is {proposal.torch}, the one here is {proposal.installed} and part of every key: jobs would refuse to run "
            "in it; 'fourscore infra image' builds one that fits",
            err=True,
        )


@infra.command()
@click.argument("package")
@stack_option
@region_option
@click.option("--fetch", type=click.Path(path_type=Path, file_okay=False), help="Copy the model there, verified.")
@click.option(
    "--approvers", type=click.Path(path_type=Path), metavar="FILE", help="The approvers.yaml that must be in force."
)
@in_workspace
@as_json
def approved(
    package: str,
    stack: str,
    region: str | None,
    fetch: Path | None,
    approvers: Path | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Check that the model package PACKAGE (an ARN) is approved; exit code 3 if it is not.

    The registry must say so, and a signed approval of exactly this model must stand in the store.
    """
    from infra.aws import approval
    from infra.aws.account import account
    from infra.aws.stacks import show_stack
    from infra.places import open_store
    from pipelines.approval import approvers_in
    from pipelines.training import TRAINING

    signed_in = account(region)
    current = show_stack(signed_in, stack)
    document = approval.approved(signed_in, current, package)
    own = approvers_in(approvers) if approvers else None
    document |= approval.verified(
        open_store(workspace, current.root), document, TRAINING.sources, own, str(approvers or "")
    )
    if fetch is not None:
        document["model"] = str(approval.fetch_model(current, document, workspace, fetch))
    if as_json:
        print_json(document)
    else:
        click.echo(f"{package} was approved by {document['approval']['approver']}; it comes from run {document['run']}")


@infra.command()
@click.option("--refresh", is_flag=True, help="Fetch a region's prices from AWS's public list.")
@click.option("--region", help="Of the prices to show or to fetch.")
@as_json
def prices(refresh: bool, region: str | None, as_json: bool) -> None:
    """Show what instances cost by the hour, and how old that is."""
    from infra.sagemaker import prices as price_list
    from pipelines.terminal import table

    if refresh:
        if region is None:
            raise click.UsageError("--refresh needs the region: --region eu-central-1")
        _note(f"{len(price_list.refresh(region))} prices of {region} fetched")
    rows = [row for row in price_list.load().rows.values() if region in (None, row.region)]
    rows.sort(key=lambda row: (row.region, row.instance, row.job))
    if as_json:
        fields = ("region", "instance", "job", "dollars", "date", "source")
        entries = [{name: getattr(row, name) for name in fields} | {"age_days": row.age()} for row in rows]
        print_json({"prices": entries})
    elif rows:
        cells = [(r.region, r.instance, r.job, f"${r.dollars:.3f}", f"{r.age()} days old", r.source) for r in rows]
        click.echo(table(cells))
    else:
        click.echo(f"no prices of {region}: fourscore infra prices --refresh --region {region}", err=True)


def _require_answer(answered: bool, as_json: bool, instead: str) -> None:
    """Make sure that somebody can confirm the change.

    Raises:
        UsageError: there is no terminal to ask in.
    """
    if not answered and (as_json or not sys.stdin.isatty()):
        raise click.UsageError(f"there is no terminal to ask in; run  {instead}")


def _print_changes(proposed: list[ChangeSet]) -> None:
    from pipelines.terminal import table

    for change_set in proposed:
        click.echo(f"stack {change_set.stack}: {len(change_set.changes)} changes", err=True)
        rows = [(click.style(action, fg=COLOURS.get(action)), name, kind) for action, name, kind in change_set.changes]
        click.echo(table(rows), err=True)


def _note(text: str) -> None:
    click.echo(f"  {text}", err=True)


def _document(stack: Stack) -> Mapping[str, Any]:
    return {**asdict(stack), "root": stack.root}


def _print_stack(stack: Stack, file: Path | None) -> None:
    from pipelines.terminal import table

    rows = [("stack", stack.name), ("region", stack.region), ("account", stack.account), ("root", stack.root)]
    rows += [(f"role {name}", arn) for name, arn in stack.roles.items()]
    rows += [(f"image {kind}", uri) for kind, uri in stack.images.items()]
    click.echo(table([*rows, ("written to", str(file))]))
    if not stack.images:
        click.echo(f"  next    fourscore infra image --stack {stack.name}", err=True)
