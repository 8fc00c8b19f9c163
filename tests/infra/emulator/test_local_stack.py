"""The stack of the local cloud makes clients that it answers itself, and changes nothing else in the process."""

import os

from infra.emulator.local_stack import local_objects, local_stack


def test_neither_objects_nor_clients_need_a_process(tmp_path):
    environment = dict(os.environ)
    stack = local_stack(tmp_path)
    objects = local_objects(stack)
    assert objects.get("x") is None
    assert not (tmp_path / "cloud").exists()
    objects.put("x", b"x")
    assert local_objects(local_stack(tmp_path)).get("x") == b"x"
    group = stack.client("sagemaker").create_model_package_group(ModelPackageGroupName="g")
    assert group["ModelPackageGroupArn"].endswith(":model-package-group/g")
    assert os.environ == environment
