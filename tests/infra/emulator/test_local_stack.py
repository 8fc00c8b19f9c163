"""The stack of the local cloud makes clients that talk to it, and changes nothing else in the process."""

import os
from dataclasses import replace

from infra.emulator import local_cloud
from infra.emulator.local_stack import BUCKET, local_stack
from infra.store.s3 import S3Store


def test_the_local_cloud_is_started_when_the_first_client_is_needed(tmp_path):
    environment = dict(os.environ)
    stack = local_stack(tmp_path)
    store = S3Store(tmp_path, stack.root, client=lambda: stack.client("s3"))
    assert local_cloud.running(tmp_path) is None
    try:
        assert store.find("0" * 64) is None
        assert local_cloud.running(tmp_path) is not None
        tracked = replace(stack, tracking_uri="http://127.0.0.1:5000")
        tracked.client("s3").put_object(Bucket=BUCKET, Key="x", Body=b"x")
        assert store.objects.get("x") == b"x"
        group = tracked.client("sagemaker").create_model_package_group(ModelPackageGroupName="g")
        assert group["ModelPackageGroupArn"].endswith(":model-package-group/g")
        assert os.environ == environment
    finally:
        local_cloud.stop(tmp_path)
