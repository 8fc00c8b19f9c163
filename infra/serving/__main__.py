"""The entry of a container: python -m infra.serving [serve] [DIRECTORY]; ``fourscore serve`` starts the same program."""

from __future__ import annotations

import sys

from infra.serving.start import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
