"""The time of fourscore plan --on sagemaker, its S3 answered by moto, beside plan --on local; aim: at most 0.6 CPU s."""

import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import boto3
from measure import cpu_seconds, in_turn, show, show_ratio
from moto.server import ThreadedMotoServer

from infra.emulator.local_stack import BUCKET, local_stack
from infra.sagemaker.stack import Stack, save

PROBLEM = Path(__file__).parents[1] / "examples/breast-cancer/problem.yaml"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        workspace, moto = Path(place), ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        try:
            host, port = moto.get_host_and_port()
            keys = {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            os.environ.update(keys, AWS_ENDPOINT_URL=f"http://{host}:{port}")  # for what is started below
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            values = {field.name: getattr(local_stack(workspace), field.name) for field in fields(Stack)}
            save(workspace, Stack(**values | {"name": "dev", "endpoint": None}))
            plan = [sys.executable, "-m", "pipelines", "plan", str(PROBLEM), "--workspace", place, "--on"]
            cpu_seconds([*plan, "sagemaker"])
            cloud, laptop = in_turn(9, lambda: cpu_seconds([*plan, "sagemaker"]), lambda: cpu_seconds([*plan, "local"]))
        finally:
            moto.stop()
        show("plan --on sagemaker, nothing cached (aim <= 0.6)", cloud)
        show("plan --on local", laptop)
        show_ratio("plan --on sagemaker / plan --on local", cloud, laptop, "none; the aim is in seconds")
