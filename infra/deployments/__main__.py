"""The process of a deployment's server: python -m infra.deployments DIRECTORY WORKSPACE SOURCE..."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from infra.deployments import state
from infra.deployments.server import DeploymentServer, Versions, approved_model, watch
from infra.files import locked
from infra.serving.server import serve
from infra.serving.settings import Settings
from steps.errors import FourscoreError


def main(directory: Path, workspace: Path, sources: list[str]) -> int:
    """Serve a deployment until SIGTERM; return the exit code."""
    stop = threading.Event()
    with locked(directory / "server.lock", blocking=False) as free:
        return _serve(directory, workspace, sources, stop) if free else 0


def _serve(directory: Path, workspace: Path, sources: list[str], stop: threading.Event) -> int:
    try:
        versions = Versions(directory, approved_model(workspace, sources))
        settings = Settings(
            host=versions.target.host,
            port=versions.target.port,
            capture=directory / "capture" if versions.target.capture else None,
        )

        def ready(address: str) -> None:
            versions.address = address
            versions.say()
            watch(versions, stop)

        serve(versions.stable.model, settings, ready, lambda _model, settings: DeploymentServer(versions, settings))
    except FourscoreError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message for people
        if current := state.status(directory):
            state.say(directory, replace(current, state="refused", reason=str(error)))
        return error.exit_code
    finally:
        stop.set()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
