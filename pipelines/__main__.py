"""The command line: all commands in one group that turns errors into messages and exit codes."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from pipelines.commands import approving, comparing, deploying, infra, monitoring, results, running, serving
from pipelines.terminal import plain
from steps.errors import GO_ON, Interrupted

INTERRUPTED = Interrupted.exit_code
EXIT_CODES = "Exit codes: 0 done, 1 something broke, 2 the input is wrong, 3 a gate said no, 130 interrupted."


class Commands(click.Group):
    """Turns every error meant for a person into a message and its exit code; other errors are not caught."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _only_the_document(ctx):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(ctx, f"interrupted; {GO_ON}" if ctx.invoked_subcommand == "run" else "interrupted", INTERRUPTED)
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
    """With --json, send everything but the document to standard error, even what Fortran code writes."""
    try:
        real = ctx.meta.get("json") and (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    except (OSError, AttributeError):  # a test's output has no file descriptor; the shell may have closed it
        real = False
    if not real:
        yield
        return
    sys.stdout.flush()
    stdout_copy, stdout = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        with open(stdout_copy, "w", encoding="utf-8", closefd=False) as ctx.meta["document"]:
            yield
    finally:
        sys.stdout = stdout
        os.dup2(stdout_copy, 1)
        os.close(stdout_copy)


def _fail(ctx: click.Context, message: str, code: int) -> None:
    from infra.secrets import redacted

    message = redacted(message)
    _print_failure(ctx, message, code)
    title = "" if code == INTERRUPTED else f"{click.style('error', fg='red', bold=True)}: "  # nothing is wrong then
    click.echo(f"{title}{plain(message)}", err=True)
    ctx.exit(code)


def _print_failure(ctx: click.Context, message: str, code: int) -> None:
    """With --json, print the failure as a document; that of ``run`` has all keys of a run's document, empty."""
    if not ctx.meta.get("json") or ctx.meta.get("printed"):
        return
    from pipelines.summary import empty_summary

    document = {"verdict": "error", "message": message, "exit_code": code}
    if ctx.invoked_subcommand == "run":
        document = empty_summary() | document
    click.echo(json.dumps(document, ensure_ascii=False), file=ctx.meta.get("document"))


@click.group(
    cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="fourscore", prog_name="fourscore")
def main() -> None:
    """From a problem definition and a dataset to a registered model, through gates that can refuse it."""
    gc.set_threshold(200_000, 20, 20)  # imports make many objects and little garbage: a tenth of a command's start
    atexit.register(gc.freeze)  # nor is anything collected at the end, which takes as long again


for command in (
    running.new, running.plan, running.run, running.attach, running.retry, running.stop,
    results.report, results.predict, serving.serve, results.runs, results.show, comparing.compare, approving.review,
    approving.approve, approving.reject, approving.revoke, approving.approvers, approving.promote, approving.rollback,
    deploying.deploy, deploying.deployments, deploying.trace, monitoring.monitor,
    results.ui, results.home, results.doctor, infra.infra,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()
