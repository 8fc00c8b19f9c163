"""The time of fourscore plan --on sagemaker, its S3 answered by the local cloud, beside plan --on local; aim: at most 0.6 CPU s."""

import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from measure import cpu_seconds, in_turn, show, show_ratio

from infra.emulator import local_cloud
from infra.emulator.local_stack import local_stack
from infra.sagemaker.stack import Stack, save

PROBLEM = Path(__file__).parents[1] / "examples/breast-cancer/problem.yaml"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        workspace = Path(place)
        try:
            os.environ.update(local_cloud.start(workspace).environment)  # for what is started below
            values = {field.name: getattr(local_stack(workspace), field.name) for field in fields(Stack)}
            save(workspace, Stack(**values | {"name": "dev", "endpoint": None}))
            plan = [sys.executable, "-m", "pipelines", "plan", str(PROBLEM), "--workspace", place, "--on"]
            cpu_seconds([*plan, "sagemaker"])
            cloud, laptop = in_turn(9, lambda: cpu_seconds([*plan, "sagemaker"]), lambda: cpu_seconds([*plan, "local"]))
        finally:
            local_cloud.stop(workspace)
        show("plan --on sagemaker, nothing cached (aim <= 0.6)", cloud)
        show("plan --on local", laptop)
        show_ratio("plan --on sagemaker / plan --on local", cloud, laptop, "none; the aim is in seconds")
