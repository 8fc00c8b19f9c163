"""Options that several commands share, and the one document of --json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else."
)


def in_workspace(contents: str) -> Callable[[F], F]:
    """Return the option ``--workspace`` with a help text that says what it holds for the command."""
    return click.option(
        "--workspace", type=click.Path(path_type=Path, file_okay=False), default=Path(".fourscore"),
        envvar="FOURSCORE_WORKSPACE", show_default=True, help=contents,
    )  # fmt: skip


workspace_of_runs = in_workspace("Folder of runs, results and tracking.")
tracking_uri = click.option("--tracking-uri", help="MLflow server; default: the problem's, or sqlite in the workspace.")


def print_json(document: Any) -> None:
    """Print one document to standard output, which the command group may have redirected."""
    meta = click.get_current_context().meta
    meta["printed"] = True
    click.echo(json.dumps(document, ensure_ascii=False, indent=1), file=meta.get("document"))


def key_values(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return what --set gives, by key; a callback of click.

    Raises:
        BadParameter: a value has no key.
    """
    settings = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as split.by=row")
        settings[key.strip()] = text
    return settings


def settings_option(meaning: str) -> Callable[[F], F]:
    """Return the option --set, with a help text that says what it sets."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", callback=key_values, help=meaning)
