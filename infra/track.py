"""The process that projects a run to MLflow while it goes on: ``python -m infra.track RUN_FILE``."""

from infra.places import store_of
from infra.secrets import redact_output
from infra.tracking.follower import main

if __name__ == "__main__":
    redact_output()
    main(store_of)
