"""Starting an execution whose answer is lost: what may have been started is found, by the token of the claim."""

import json

import pytest

from infra.runs.records import RunRecord, now
from infra.sagemaker.backend import Compiled, SageMakerBackend
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.service import Gone
from infra.sagemaker.stack import Stack
from infra.store.local import open_store
from steps.errors import FourscoreError

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/p/execution/abc"
DEFINITION = {"Parameters": [], "Steps": []}


class Service:
    """AWS, whose first answers to a start are lost."""

    def __init__(self, *losses):
        self.losses, self.tokens, self.gone = list(losses), [], False

    def upsert(self, *_):
        pass

    def start(self, _name, _parameters, token, _shown):
        self.tokens.append(token)
        if self.losses:
            raise self.losses.pop(0)
        return ARN

    def definition_of(self, arn):
        if self.gone and arn == ARN:
            raise Gone(arn)
        return json.dumps(DEFINITION)


@pytest.fixture
def start(workspace, root):
    store = open_store(workspace, root)
    stack = Stack("dev", "eu-central-1", "123456789012", "lake", "", {"pipeline": "arn:role"}, {}, "fourscore-dev")
    backend = SageMakerBackend(store, stack, SageMakerConfig())
    record = RunRecord("p-1", "p", "p.yaml", {}, {}, smoke=False, status="running", started=now())

    def begin(service):
        backend._start(service, Compiled((), DEFINITION, None), record, "")

    begin.record = record
    return begin


@pytest.mark.parametrize("loss", [KeyboardInterrupt(), FourscoreError("no answer")])
def test_what_may_have_been_started_is_found_by_the_same_token(start, loss):
    service = Service(loss)
    with pytest.raises(type(loss)):
        start(service)
    assert start.record.execution == ARN
    assert len(service.tokens) == 2
    assert len(set(service.tokens)) == 1


def test_a_claim_on_an_execution_that_is_gone_is_replaced(start):
    service = Service()
    start(service)
    service.gone = True
    with pytest.raises(Gone):  # the new execution has the same name here, and is gone, too; it was asked for anew
        start(service)
    assert len(set(service.tokens)) == 2
