"""The section sagemaker of a problem file: good when left out, refused where its parts do not go together."""

import pytest
from botocore.loaders import Loader
from compiled import make_plan, make_stack
from pydantic import ValidationError

from infra.sagemaker.backend import compiled
from infra.sagemaker.config import SageMakerConfig, check_limits, has_gpu, has_local_disk
from infra.store.local import LocalStore
from steps.errors import InputError

TYPES = Loader().load_service_model("sagemaker", "service-2")["shapes"]["TrainingInstanceType"]["enum"]


def test_it_needs_nothing():
    assert SageMakerConfig().train.instance == "ml.m5.xlarge"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"train": {"instance": "ml.trn1.2xlarge"}}, "accelerators that the image cannot use"),
        (
            {"train": {"instance": "m5.xlarge"}},
            "'m5.xlarge' is not an instance type of SageMaker; an example is ml.m5.xlarge",
        ),
        ({"train": {"instances": 0}}, "greater than or equal to 1"),
        ({"subnets": ["subnet-1"]}, "subnets without security_groups"),
        ({"security_groups": ["sg-1"]}, "security_groups without subnets"),
        ({"max_dollars": 0}, "greater than 0"),
        ({"prepare": {"spot": True}}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        SageMakerConfig.model_validate(section)


@pytest.mark.parametrize("instance", [name for name in TYPES if not name.startswith(("ml.trn", "ml.inf"))])
def test_every_type_that_can_run_the_image_may_be_named(instance):
    assert SageMakerConfig.model_validate({"train": {"instance": instance}}).train.instance == instance


def test_kinds_of_machines_are_known_by_their_families():
    families = {name.split(".")[1] for name in TYPES}
    disks = {family for family in families if has_local_disk(f"ml.{family}.xlarge")}
    assert disks == {"g4dn", "g5", "g6", "g6e", "g7", "g7e", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "p6e-gb200", "r5d"}  # fmt: skip
    assert {family for family in families if has_gpu(f"ml.{family}.xlarge")} == disks - {"r5d"} | {"p2", "p3"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"train": {"instance": "ml.p99.xlarge"}}, r"sagemaker\.train\.instance: ml\.p99\.xlarge is not an instance type for training"),
        ({"train": {"instance": "ml.m5.5xlarge"}}, r"sagemaker\.train\.instance: ml\.m5\.5xlarge .*did you mean 'ml\.m5\.xlarge'"),
        ({"assess": {"instance": "ml.g5g.xlarge"}}, r"sagemaker\.assess\.instance: ml\.g5g\.xlarge is not an instance type for processing"),
    ],
)  # fmt: skip
def test_an_instance_type_that_there_is_not_is_named_with_its_field(config, message):
    with pytest.raises(InputError, match=message):
        check_limits(SageMakerConfig.model_validate(config))


def test_several_faults_are_listed_together():
    config = SageMakerConfig.model_validate({job: {"instance": "ml.p99.xlarge"} for job in ("prepare", "assess")})
    with pytest.raises(InputError, match=r"(?s)sagemaker\.prepare\.instance.*\n.*sagemaker\.assess\.instance"):
        check_limits(config)


def test_plan_and_run_check_before_they_compile(tmp_path):
    config = SageMakerConfig.model_validate({"train": {"instance": "ml.p99.xlarge"}})
    with pytest.raises(InputError, match=r"ml\.p99\.xlarge"):
        compiled(make_plan(), "flights", config, make_stack(), LocalStore(tmp_path))
