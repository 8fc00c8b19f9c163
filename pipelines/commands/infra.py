"""fourscore infra: the stack in AWS up, down and shown, the image of the jobs, the price table, and whether a model was approved"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import options
from pipelines.commands.options import as_json, print_json

if TYPE_CHECKING:
    from infra.aws.changes import ChangeSet
    from infra.aws.removal import Removal

COLOURS = {"Add": "green", "Remove": "red", "Replace": "red", "Modify": "yellow"}
GREW = {"create": "green", "update": "green", "delete": "yellow"}

in_workspace = options.in_workspace("Where the stack is written down.")
stack_option = click.option("--stack", default="dev", show_default=True, help="Name of the stack: letters and digits.")
region_option = click.option("--region", help="Such as eu-central-1; default: what AWS's own settings say.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def infra() -> None:
    """The stack in AWS: bucket, key, roles, image, approvals, budget."""


@infra.command()
@stack_option
@region_option
@click.option("--model", "models", multiple=True, help="A registered model that gets a package group now.")
@click.option("--notify", multiple=True, metavar="EMAIL", help="Who hears of approvals and of the budget.")
@click.option("--budget", "budget_dollars", type=float, help="Dollars a month; default 200.")
@click.option("--repository", metavar="ORG/NAME", help="On GitHub, to train and deploy from; or ORG@ID/NAME@ID.")
@click.option("--branch", help="Its branch; default main.")
@click.option("--train-environment", help="GitHub environment that may train; default train.")
@click.option("--deploy-environment", help="GitHub environment that may deploy; default deploy.")
@click.option("--oidc-provider", type=click.Choice(["create", "existing"]), help="GitHub's; found out when left out.")
@click.option("--codebuild/--no-codebuild", default=None, help="A project that builds images, for machines without Docker.")  # fmt: skip
@click.option("--private/--no-private", default=None, help="Jobs may run in a network of your own.")
@click.option("--tracking-uri", help="MLflow as the jobs reach it: a server's URL, or the ARN of a managed one.")
@click.option("--prefix", help="Below which everything lies in the bucket; default fourscore.")
@click.option("--log-bucket", help="Where S3 writes access logs.")
@click.option("--permissions-boundary", metavar="ARN", help="Policy that bounds every role.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@yes_option
@in_workspace
@as_json
def up(
    stack: str, region: str | None, dry_run: bool, yes: bool, workspace: Path, as_json: bool, **options: Any
) -> None:
    """Make the stack, or make it be what is said now; shows what would change first.

    What was said before stays: name only what is to be different.
    """
    from infra.aws import stacks
    from infra.aws.account import account
    from infra.sagemaker.stack import save
    from pipelines.training import TRAINING

    _can_ask(yes or dry_run, as_json, f"fourscore infra up --stack {stack} --yes  (or --dry-run to look first)")
    here = account(region)
    given = {name: value for name, value in options.items() if value not in (None, ())}

    def show(proposed: list[ChangeSet]) -> bool:
        _say_changes(proposed)
        return not dry_run and (yes or click.confirm("make these changes?", err=True))

    outcome = stacks.up(here, stack, given, TRAINING, show, _tell)
    made = outcome.stack
    file = save(workspace, made) if made else None
    if as_json:
        print_json({
            "stack": stack, "region": here.region, "account": here.account, "executed": outcome.executed,
            "changes": [_document(each) for each in outcome.proposed], "file": str(file) if file else None,
            "outputs": _facts(made) if made else None,
        })  # fmt: skip
        return
    if made is None:
        click.echo("nothing was changed", err=True)
        return
    if not outcome.proposed:
        click.echo(f"stack {stack} is what was asked for already; nothing to change", err=True)
    _say_stack(made, file)


def _end_local_cloud(workspace: Path, *, delete_data: bool, yes: bool, as_json: bool) -> None:
    from infra.emulator import local_cloud
    from infra.emulator.local_stack import NAME

    held = [str(local_cloud.home(workspace))] if local_cloud.home(workspace).exists() else []
    deleted = delete_data and bool(held)
    if deleted:
        _can_ask(yes, as_json, f"fourscore infra down --stack {NAME} --delete-data --yes")
        click.echo(
            f"  {click.style('goes', fg='red')}  {held[0]}: results, executions and models of its runs", err=True
        )
        deleted = yes or click.prompt(f"data cannot be brought back; type {NAME} to delete it", err=True) == NAME
    ended = local_cloud.stop(workspace)
    if deleted:
        local_cloud.delete(workspace)
    if as_json:
        gone, kept = (held, []) if deleted else ([], held)
        print_json({"stack": NAME, "executed": ended or deleted, "gone": gone, "kept": kept})
        return
    stays = "what it holds is deleted" if deleted else "what it holds stays, and --on sagemaker-local starts it again"
    click.echo(f"the local cloud of {workspace} {'has ended' if ended else 'does not run'}; {stays}", err=True)


@infra.command()
@stack_option
@region_option
@click.option("--delete-data", is_flag=True, help="Delete bucket, images and registered models, too; the key 30 days later.")  # fmt: skip
@yes_option
@in_workspace
@as_json
def down(stack: str, region: str | None, delete_data: bool, yes: bool, workspace: Path, as_json: bool) -> None:
    """Take the stack away, but for its data; refuses while something in it is in use. Of 'local': the local cloud."""
    from infra.emulator.local_stack import NAME

    if stack == NAME:
        _end_local_cloud(workspace, delete_data=delete_data, yes=yes, as_json=as_json)
        return
    from infra.aws import removal
    from infra.aws.account import account
    from infra.sagemaker.stack import path_of

    _can_ask(yes, as_json, f"fourscore infra down --stack {stack} --yes")
    here = account(region)

    def show(found: Removal) -> bool:
        for word, colour, things in (("goes", "red", found.goes), ("stays", "green", found.stays)):
            for thing in things:
                click.echo(f"  {click.style(f'{word:<6}', fg=colour)}{thing}", err=True)
        if yes:
            return True
        if delete_data:
            return bool(click.prompt(f"data cannot be brought back; type {stack} to delete it", err=True) == stack)
        return click.confirm("take it down?", err=True)

    found, done = removal.down(here, stack, delete_data=delete_data, show=show, tell=_tell)
    if done:
        path_of(workspace, stack).unlink(missing_ok=True)
    if as_json:
        print_json({"stack": stack, "executed": done, "gone": found.goes, "kept": found.stays})
    else:
        kept = f"; its data stays: 'fourscore infra up --stack {stack}' stands around it again" if found.stays else ""
        click.echo(f"stack {stack} is down{kept}" if done else "nothing was changed", err=True)


@infra.command()
@stack_option
@region_option
@in_workspace
@as_json
def show(stack: str, region: str | None, workspace: Path, as_json: bool) -> None:
    """The stack as it stands in AWS; writes it down here, as CI and a second machine need it."""
    from infra.aws.account import account
    from infra.aws.stacks import show_stack
    from infra.sagemaker.stack import save

    found = show_stack(account(region), stack)
    file = save(workspace, found)
    if as_json:
        print_json({**_facts(found), "file": str(file)})
    else:
        _say_stack(found, file)


@infra.command()
@stack_option
@region_option
@click.option("--gpu", is_flag=True, help="For instances with NVIDIA GPUs; the plain one is for CPUs.")
@click.option("--with", "builder", type=click.Choice(["docker", "codebuild"]), default="docker", show_default=True)
@click.option("--as-root", is_flag=True, help="Jobs run as root, where SageMaker gives /opt/ml to nobody else.")
@click.option("--propose", is_flag=True, help="Name AWS's own image that comes nearest, and do nothing.")
@click.option("--use", metavar="URI@sha256:DIGEST", help="Pin this image, built elsewhere, and build none.")
@in_workspace
@as_json
def image(
    stack: str,
    region: str | None,
    gpu: bool,
    builder: str,
    as_root: bool,
    propose: bool,
    use: str | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Build the image of the jobs, push it, and pin its digest in the stack."""
    if propose:
        _propose(region, gpu=gpu, as_json=as_json)
        return
    if use:
        _use(stack, region, use, workspace, gpu=gpu, as_json=as_json)
        return
    from infra.aws.account import account
    from infra.aws.image import make_image
    from infra.aws.stacks import show_stack
    from infra.sagemaker.stack import save

    here = account(region)
    made = make_image(here, stack, "gpu" if gpu else "cpu", builder, workspace, _note, as_root=as_root)
    found = show_stack(here, stack)
    file = save(workspace, _with_image(found, made.kind, made.uri))
    if as_json:
        print_json({"kind": made.kind, "tag": made.tag, "image": made.uri, "built": made.built, "file": str(file)})
    else:
        click.echo(f"{'built' if made.built else 'was there already'}: {made.uri}\npinned in {file}", err=True)


@infra.command()
@click.argument("package")
@stack_option
@region_option
@click.option("--fetch", type=click.Path(path_type=Path, file_okay=False), help="Put the model there, verified.")
@in_workspace
@as_json
def approved(package: str, stack: str, region: str | None, fetch: Path | None, workspace: Path, as_json: bool) -> None:
    """Was the model package PACKAGE (an ARN) approved? Exit code 3 if it was not."""
    from infra.aws import approval
    from infra.aws.account import account
    from infra.aws.stacks import show_stack

    here = account(region)
    found = show_stack(here, stack)
    document = approval.approved(here, found, package)
    if fetch is not None:
        document["model"] = str(approval.fetch_model(found, document, workspace, fetch))
    if as_json:
        print_json(document)
    else:
        click.echo(f"{package} was approved by {document['by']}; it is of run {document['run']}")


@infra.command()
@click.option("--refresh", is_flag=True, help="Fetch a region's prices from AWS's public list.")
@click.option("--region", help="Of the prices to show or to fetch.")
@as_json
def prices(refresh: bool, region: str | None, as_json: bool) -> None:
    """What instances cost by the hour, and how old that is."""
    from infra.sagemaker import prices as table
    from pipelines.terminal import table as aligned

    if refresh:
        if region is None:
            raise click.UsageError("--refresh wants the region: --region eu-central-1")
        _note(f"{len(table.refresh(region))} prices of {region} fetched")
    rows = [row for row in table.load().rows.values() if region in (None, row.region)]
    if as_json:
        documents = [{"region": row.region, "instance": row.instance, "job": row.job, "dollars": row.dollars,
                      "date": row.date, "age_days": row.age(), "source": row.source} for row in rows]  # fmt: skip
        print_json({"prices": documents})
        return
    shown = sorted(rows, key=lambda row: (row.region, row.instance, row.job))
    click.echo(aligned([
        (row.region, row.instance, row.job, f"${row.dollars:.3f}", f"{row.age()} days old", row.source) for row in shown
    ]))  # fmt: skip
    if not shown:
        click.echo(f"no prices of {region}: fourscore infra prices --refresh --region {region}", err=True)


def _can_ask(answered: bool, as_json: bool, instead: str) -> None:
    """Nothing is changed that nobody said yes to.

    Raises:
        UsageError: nobody is there to be asked.
    """
    if not answered and (as_json or not sys.stdin.isatty()):
        raise click.UsageError(f"nobody is here to be asked; say  {instead}")


def _propose(region: str | None, *, gpu: bool, as_json: bool) -> None:
    from infra.aws.account import region_of
    from infra.aws.proposal import propose

    found = propose(region_of(region), gpu=gpu)
    if as_json:
        print_json({"image": found.uri, "torch": found.torch, "wanted": found.wanted, "fits": found.fits})
        return
    click.echo(found.uri)
    if not found.fits:
        click.echo(
            f"its torch is {found.torch}, keys are made of {found.wanted} here: jobs would refuse to run in it; "
            "'fourscore infra image' builds one that fits",
            err=True,
        )


def _use(stack: str, region: str | None, uri: str, workspace: Path, *, gpu: bool, as_json: bool) -> None:
    from infra.aws.account import account
    from infra.aws.proposal import check_pinned
    from infra.aws.stacks import show_stack
    from infra.sagemaker.stack import save

    kind, pinned = "gpu" if gpu else "cpu", check_pinned(uri)
    file = save(workspace, _with_image(show_stack(account(region), stack), kind, pinned))
    if as_json:
        print_json({"kind": kind, "tag": None, "image": uri, "built": False, "file": str(file)})
    else:
        click.echo(f"{uri}\npinned in {file}", err=True)


def _with_image(stack: Any, kind: str, uri: str) -> Any:
    from dataclasses import replace

    return replace(stack, images={**stack.images, kind: uri})


def _say_changes(proposed: list[ChangeSet]) -> None:
    from pipelines.terminal import table

    for each in proposed:
        click.echo(f"stack {each.stack}: {len(each.changes)} changes", err=True)
        rows = [
            (click.style(change.action, fg=COLOURS.get(change.action)), change.name, change.kind, ", ".join(change.properties))
            for change in each.changes
        ]  # fmt: skip
        click.echo(table(rows), err=True)


def _tell(name: str, kind: str, status: str, reason: str) -> None:
    colour = "red" if "FAILED" in status or "ROLLBACK" in status else GREW.get(status.partition("_")[0].lower())
    click.echo(f"  {click.style(f'{status:<20}', fg=colour)} {name}  {kind}  {reason}".rstrip(), err=True)


def _note(text: str) -> None:
    click.echo(f"  {text}", err=True)


def _facts(stack: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(stack), "root": stack.root}


def _say_stack(stack: Any, file: Path | None) -> None:
    from pipelines.terminal import table

    facts = [("region", stack.region), ("account", stack.account), ("root", stack.root)]
    facts += [(f"role {name}", arn) for name, arn in stack.roles.items()]
    facts += [(f"image {kind}", uri) for kind, uri in stack.images.items()]
    click.echo(table([("stack", stack.name), *facts, ("written to", str(file))]))
    if not stack.images:
        click.echo(f"  next    fourscore infra image --stack {stack.name}", err=True)


def _document(each: ChangeSet) -> dict[str, Any]:
    from dataclasses import asdict

    return {"stack": each.stack, "changes": [asdict(change) for change in each.changes]}
