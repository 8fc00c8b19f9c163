"""The container's entry: python -m steps JOB, with JOB one of prepare, train, assess."""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    # The one place that knows of a layer above its own, by name and only when it is called: a job needs the store, and a
    # container starts here since this is the folder that it is about.
    sys.exit(import_module("infra.job").main(sys.argv[1:]))


if __name__ == "__main__":
    main()
