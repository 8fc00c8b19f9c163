"""The process that projects a run to MLflow while it goes on: ``python -m infra.track --follow RUN_FILE``."""

from infra.places import store_of
from infra.tracking.follower import main

if __name__ == "__main__":
    main(store_of)
