"""What commands share: options that mean the same everywhere, and the one document on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there."
)


def in_workspace(holds: str) -> Callable[[F], F]:
    """The option ``--workspace``, whose help says what it holds for the command."""
    return click.option(
        "--workspace", type=click.Path(path_type=Path, file_okay=False), default=Path(".fourscore"),
        envvar="FOURSCORE_WORKSPACE", show_default=True, help=holds,
    )  # fmt: skip


workspace_of_runs = in_workspace("Where runs, results and tracking are kept.")
tracking_uri = click.option("--tracking-uri", help="MLflow server; default: the problem's, or sqlite in the workspace.")


def print_json(document: Any) -> None:
    """One document on standard output; where that is, the group above decides."""
    meta = click.get_current_context().meta
    meta["printed"] = True
    click.echo(json.dumps(document, ensure_ascii=False, indent=1), file=meta.get("document"))
