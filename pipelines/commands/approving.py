"""Commands about decisions: review, approve, reject, revoke, approvers, promote and rollback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipelines.commands.options import as_json, print_json, tracking_uri, workspace_of_runs

if TYPE_CHECKING:
    from infra.approvals.log import Entry
    from infra.approvals.standing import Standing
    from infra.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever reads the log later.")
key_option = click.option(
    "--key",
    metavar="KEY",
    envvar="FOURSCORE_KEY",
    help="The private key that signs: an Ed25519 file of OpenSSH or PEM, or awskms:ID; default: your own.",
)
approvers_option = click.option(
    "--approvers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The approvers.yaml that must be in force; default: the one beside the problem file.",
)
store_option = click.option("--store", "root", metavar="S3_URI", help="The store on S3 instead of the workspace's own.")


@click.command()
@click.argument("run")
@reason_option
@click.option(
    "--answer", "answers", multiple=True, metavar="NUMBER=TEXT", help="The answer to a question of the problem."
)
@click.option("--anyway", is_flag=True, help="Although a simpler model or the champion does as well or better.")
@key_option
@approvers_option
@workspace_of_runs
@as_json
def approve(
    run: str,
    reason: str,
    answers: tuple[str, ...],
    anyway: bool,
    key: str | None,
    approvers: Path | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Sign that the model of RUN may be used: exactly these files, numbers, thresholds, data and code."""
    _decide("approve", run, reason, answers, key, approvers, workspace, anyway=anyway, as_json=as_json)


@click.command()
@click.argument("run")
@reason_option
@key_option
@approvers_option
@workspace_of_runs
@as_json
def reject(run: str, reason: str, key: str | None, approvers: Path | None, workspace: Path, as_json: bool) -> None:
    """Sign that the model of RUN may not be used; it stays so until you approve it."""
    _decide("reject", run, reason, (), key, approvers, workspace, anyway=False, as_json=as_json)


def _decide(
    decision: str,
    run: str,
    reason: str,
    answers: tuple[str, ...],
    key: str | None,
    approvers: Path | None,
    workspace: Path,
    *,
    anyway: bool,
    as_json: bool,
) -> None:
    from infra.approvals import keys
    from infra.approvals.standing import summary
    from pipelines.approval import decide, questions_of

    entry, current = decide(
        workspace,
        run,
        decision,
        reason,
        keys.signer(key),
        answers=questions_of(workspace, run, answers),
        anyway=anyway,
        approvers=approvers,
    )
    _mirror(workspace, run, current)
    if as_json:
        print_json({"run": run, **summary(entry), "standing": current.document()})
    else:
        click.echo(f"{entry.approver.name} {entry.content.decision}s run {run} (statement {entry.digest[:12]})")  # type: ignore[union-attr]
        click.echo(_standing_in_words(run, current))


def _mirror(workspace: Path, run: str, current: Standing) -> None:
    """Let the registry of SageMaker say what the log says; the decision stands if it is away."""
    from infra.runs import records
    from steps.errors import FourscoreError

    record = records.load(workspace, run)
    if record.on != "sagemaker" or not record.package:
        return
    from infra.aws.account import account
    from infra.aws.approval import mirror

    try:
        mirror(account(record.package.split(":")[3]), record.package, current)
    except FourscoreError as error:
        click.echo(
            f"note: the model package does not say so yet ({error}); sign again later, or set its status", err=True
        )


def _standing_in_words(run: str, current: Standing) -> str:
    from pipelines.terminal import plain

    lines = [f"note: {note}" for note in current.notes]
    if current.approved:
        names = ", ".join(entry.approver.name for entry in current.approvals)
        lines.append(f"approved by {names} until {(current.expires or '')[:10]}; next: fourscore promote {run}")
    else:
        lines.append(f"not approved yet: {'; '.join(current.reasons)}")
    return plain("\n".join(lines))


class ReviewGroup(click.Group):
    """A group whose first word may be a run: then it means the page."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["page", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ReviewGroup)
def review() -> None:
    """Review a candidate: 'fourscore review RUN' opens its page; pack, verify and add for third parties; log."""


@review.command()
@click.argument("run")
@key_option
@approvers_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page; any that is free when left out.")
@click.option("--no-browser", is_flag=True, help="Print the link and open nothing.")
@workspace_of_runs
@as_json
def page(
    run: str, key: str | None, approvers: Path | None, port: int, no_browser: bool, workspace: Path, as_json: bool
) -> None:
    """Open the page on which you decide about RUN, on this machine's loopback address; it ends when you have signed."""
    from infra.approvals import keys
    from pipelines.pages.review.app import Review, serve
    from steps.errors import InputError

    signer, fault = None, ""
    try:
        signer = keys.signer(key)
    except InputError as error:
        fault = str(error)
    session = Review(workspace, run, signer, fault, approvers)

    def show_link(link: str) -> None:
        click.echo(f"review of {run}: {link}", err=True)
        if not no_browser and not as_json:
            click.launch(link)

    serve(session, port, show_link)
    if session.entry:
        _mirror(workspace, run, session.current)
    if as_json:
        print_json(
            {
                "run": run,
                "signed": session.entry.digest if session.entry else None,
                "standing": session.current.document(),
            }
        )
    else:
        words = session.entry.content.model_dump()["decision"] if session.entry else ""
        click.echo(f"{session.approver} {words}s run {run}" if words else f"nothing was signed about run {run}")
        click.echo(_standing_in_words(run, session.current))


@review.command()
@click.argument("run")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), required=False)
@workspace_of_runs
@as_json
def pack(run: str, target: Path | None, workspace: Path, as_json: bool) -> None:
    """Write the bundle of RUN (default: RUN.tar): all that a third party needs to compute its numbers anew."""
    from pipelines.bundle import pack as write

    document = write(workspace, run, target or Path(f"{run}.tar"))
    if as_json:
        print_json(document)
    else:
        rows = "with" if document["test_rows"] else "without"
        click.echo(f"wrote {document['file']} ({document['bytes'] / 1e6:.1f} MB, {rows} the test rows)")
        click.echo(f"sha256 {document['sha256']}; next, elsewhere: fourscore review verify {document['file']}")


@review.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--sign", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write a signed verdict there.")
@click.option("--reason", metavar="TEXT", help="Why, in the signed verdict.")
@key_option
@as_json
def verify(bundle: Path, target: Path | None, reason: str | None, key: str | None, as_json: bool) -> None:
    """Compute every number of BUNDLE anew and say which are equal; exit code 3 if one is not.

    It wants nothing but the bundle and the packages of the lock. A signed verdict counts once it was added to the log of
    approvals: fourscore review add FILE.
    """
    from infra.approvals import keys
    from infra.files import write_atomically
    from pipelines.bundle import sign
    from pipelines.bundle import verify as compute

    if (target is None) != (reason is None):
        raise click.UsageError("a signed verdict wants both: --sign FILE --reason TEXT")
    signer = keys.signer(key) if target else None
    result = compute(bundle)
    if target and signer and reason:
        write_atomically(target, sign(result, reason, {}, signer) + b"\n")
    if as_json:
        print_json(result.document() | {"verdict_file": str(target) if target else None})
    else:
        from pipelines.terminal import plain

        for place, (old, new) in list(result.different.items())[:20]:
            click.echo(plain(f"  {place}: {old} in the bundle, {new} computed anew"))
        click.echo(plain(f"{result.content['run']}: {result.sentence()}"))
        if target:
            click.echo(f"signed verdict: {target}; it counts after: fourscore review add {target}")
    if result.outcome == "different":
        click.get_current_context().exit(3)


@review.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@workspace_of_runs
@as_json
def add(file: Path, root: str | None, workspace: Path, as_json: bool) -> None:
    """Add the verdict that a third party signed to the log of approvals."""
    from infra.approvals import log
    from steps.errors import InputError

    try:
        line = file.read_bytes().rstrip(b"\n")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    entry = log.add(_store(workspace, root), line)
    words = entry.content.model_dump()
    _say_entry(
        entry,
        f"{entry.approver.name} {words['decision']}s run {words['run']}: {words['recomputed']}",
        as_json=as_json,
    )


@review.command("log")
@store_option
@workspace_of_runs
@as_json
def show_log(root: str | None, workspace: Path, as_json: bool) -> None:
    """Verify the log of approvals from its first line, and show it."""
    from infra.approvals import log
    from pipelines.approval import document
    from pipelines.terminal import plain, table

    content = document(log.read(_store(workspace, root)))
    if as_json:
        print_json(content)
        return
    rows = [
        (
            str(entry["line"]),
            entry["statement"][:12],
            entry["time"][:16].replace("T", " "),
            entry["approver"],
            f"{entry.get('decision', entry['kind'])}{' (revoked)' if entry['revoked'] else ''}",
            entry.get("run") or entry.get("revokes", "")[:12],
            entry["reason"],
        )
        for entry in content["entries"]
    ]
    click.echo(table([tuple(map(plain, row)) for row in rows]) if rows else "nobody has signed anything yet")
    click.echo(f"{len(rows)} lines, all verified; head {content['head'] or 'none'}")


@click.command()
@click.argument("statement")
@reason_option
@key_option
@store_option
@workspace_of_runs
@as_json
def revoke(statement: str, reason: str, key: str | None, root: str | None, workspace: Path, as_json: bool) -> None:
    """Take back the decision STATEMENT (its digest in 'fourscore review log'); any approver may."""
    from infra.approvals import keys
    from pipelines.approval import revoke as take_back

    entry = take_back(_store(workspace, root), statement, reason, keys.signer(key))
    _say_entry(entry, f"{entry.approver.name} revoked {entry.content.statement[:12]}", as_json=as_json)  # type: ignore[union-attr]


@click.group()
def approvers() -> None:
    """Who may approve models: init, adopt, show."""


@approvers.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("approvers.yaml"))
@click.option("--name", help="Your name in the file, such as a role; default: your user name.")
@key_option
@store_option
@workspace_of_runs
@as_json
def init(file: Path, name: str | None, key: str | None, root: str | None, workspace: Path, as_json: bool) -> None:
    """Write FILE with you as the only approver, and put it in force; makes you a key if you have none."""
    import getpass

    from infra.approvals import keys
    from pipelines.approval import initiate

    signer, place = keys.own_or_new(key)
    entry = initiate(_store(workspace, root), file, name or getpass.getuser(), signer)
    if place and not as_json:
        click.echo(f"made a key: {place} (keep it to yourself; {place}.pub is the part for others)")
    _say_entry(entry, f"wrote {file}; {entry.approver.name} may approve models, with key {entry.key}", as_json=as_json)


@approvers.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("approvers.yaml"))
@reason_option
@key_option
@store_option
@workspace_of_runs
@as_json
def adopt(file: Path, reason: str, key: str | None, root: str | None, workspace: Path, as_json: bool) -> None:
    """Consent to the approvers in FILE; they are in force once enough of today's approvers have."""
    from infra.approvals import keys, log
    from pipelines.approval import adopt as consent
    from pipelines.approval import shortage_of

    store = _store(workspace, root)
    entry = consent(store, file, reason, keys.signer(key))
    missing = shortage_of(log.read(store), entry)
    state = f"not in force yet: it wants {missing}" if missing else "they are in force"
    _say_entry(entry, f"{entry.approver.name} adopts {file}; {state}", as_json=as_json)


@approvers.command("show")
@store_option
@workspace_of_runs
@as_json
def show_approvers(root: str | None, workspace: Path, as_json: bool) -> None:
    """Show the approvers in force and changes that wait for consent."""
    from infra.approvals import log
    from pipelines.approval import document
    from pipelines.terminal import plain

    content = document(log.read(_store(workspace, root)))
    if as_json:
        print_json({name: content[name] for name in ("approvers", "pending", "head")})
        return
    force = content["approvers"]
    if force is None:
        click.echo("nobody may approve yet: fourscore approvers init")
    else:
        for person in force["approvers"]:
            click.echo(plain(f"  {person['name']}: {', '.join(person['roles'])}"))
        quorums = (", ".join(f"{count} {role}" for role, count in force[name].items()) for name in ("quorum", "change"))
        click.echo(plain("a model wants {}; a change of approvers wants {}".format(*quorums)))
    for digest, names in content["pending"].items():
        click.echo(plain(f"waits for consent: approvers {digest[:12]}, adopted by {', '.join(names)}"))


@click.command()
@click.argument("run")
@approvers_option
@workspace_of_runs
@tracking_uri
@as_json
def promote(run: str, approvers: Path | None, workspace: Path, tracking_uri: str | None, as_json: bool) -> None:
    """Make the approved candidate of RUN the champion that later runs are compared with."""
    from pipelines.promotion import promote as move

    _say_promotion(move(workspace, run, tracking_uri, approvers=approvers), as_json=as_json)


@click.command()
@click.argument("model")
@approvers_option
@store_option
@workspace_of_runs
@tracking_uri
@as_json
def rollback(
    model: str, approvers: Path | None, root: str | None, workspace: Path, tracking_uri: str | None, as_json: bool
) -> None:
    """Make the champion of MODEL before this one the champion again, if its approval still stands."""
    from pipelines.promotion import rollback as back

    _say_promotion(back(workspace, model, tracking_uri, _store(workspace, root), approvers=approvers), as_json=as_json)


def _say_promotion(promotion: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(promotion)
    else:
        names = ", ".join(promotion["approved_by"])
        before = promotion["before"] or "none"
        click.echo(
            f"{promotion['name']}: champion is now run {promotion['run']}, approved by {names} (before: {before})"
        )


def _store(workspace: Path, root: str | None) -> Store:
    from infra.places import open_store

    return open_store(workspace, root)


def _say_entry(entry: Entry, sentence: str, *, as_json: bool) -> None:
    from pipelines.terminal import plain

    if as_json:
        print_json({"statement": entry.digest, "approver": entry.approver.name, "key": entry.key})
    else:
        click.echo(plain(f"{sentence} (statement {entry.digest[:12]})"))
