"""The container's entry: python -m infra.container JOB."""

import sys

from infra.container.job import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
