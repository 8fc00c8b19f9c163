"""What only the API's own model knows of a person's values is said before anything is compiled, by the name of its field."""

import pytest
from compiled import make_plan, make_stack

from infra.sagemaker.backend import compiled
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.limits import check_limits
from infra.store.local import LocalStore
from steps.errors import InputError


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
