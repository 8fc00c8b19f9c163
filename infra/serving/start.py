"""The command line of the server, which is small: a container has nothing else, and variables may stand for each option."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.serving.settings import Limits, Settings
from steps.errors import FourscoreError

SAGEMAKER_MODEL, SAGEMAKER_PORT = "/opt/ml/model", "SAGEMAKER_BIND_TO_PORT"
"""Where SageMaker lays a model, and the variable in which it names another port than 8080."""


def main(arguments: Sequence[str]) -> int:
    """Serve a model until SIGTERM; return the exit code."""
    options = _parser().parse_args([word for word in arguments if word != "serve"])  # SageMaker's only argument
    try:
        _serve(options)
    except FourscoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message for people
        return error.exit_code
    return 0


def _serve(options: argparse.Namespace) -> None:
    from infra.serving.model import load
    from infra.serving.openapi import document
    from infra.serving.server import serve

    model = load(options.model, digest=options.digest or None, level=options.intervals)
    limits = Limits(int(options.max_mb * 2**20), options.max_rows, options.arrival_seconds)
    if options.openapi:
        sys.stdout.write(json.dumps(document(model.schema, model.digest, limits), indent=1, ensure_ascii=False) + "\n")
        return
    settings = Settings(options.host, options.port, limits, options.capture, page=options.page)
    serve(model, settings, lambda url: print(f"answers on {url}; Ctrl-C ends it", file=sys.stderr))  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    """Return the parser of options, each with a variable that a container may set instead."""
    variable, limits = os.environ.get, Limits()
    parser = argparse.ArgumentParser(prog="python -m infra.serving", allow_abbrev=False)
    parser.add_argument("model", nargs="?", type=Path, default=variable("FOURSCORE_MODEL", SAGEMAKER_MODEL))
    parser.add_argument(
        "--digest", default=variable("FOURSCORE_MODEL_DIGEST"), help="The digest that the model must have."
    )
    parser.add_argument("--host", default=variable("FOURSCORE_HOST", Settings.host))
    port = variable("FOURSCORE_PORT", variable(SAGEMAKER_PORT, str(Settings.port)))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--intervals", type=float, metavar="LEVEL", default=variable("FOURSCORE_INTERVALS"))
    parser.add_argument("--max-rows", type=int, default=variable("FOURSCORE_MAX_ROWS", str(limits.rows)))
    parser.add_argument("--max-mb", type=float, default=variable("FOURSCORE_MAX_MB", str(limits.body_bytes >> 20)))
    parser.add_argument("--capture", type=Path, metavar="DIR", default=variable("FOURSCORE_CAPTURE"))
    is_on = variable("FOURSCORE_PAGE", "0") == "1"
    parser.add_argument("--page", action="store_true", default=is_on, help="Show a page to try the model at /.")
    parser.add_argument("--openapi", action="store_true", help="Print the description of the server and end.")
    arrival = variable("FOURSCORE_ARRIVAL_SECONDS", str(limits.arrival_seconds))
    parser.add_argument("--arrival-seconds", type=float, default=arrival)
    return parser
