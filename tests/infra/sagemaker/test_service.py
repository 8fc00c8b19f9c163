"""What is asked of SageMaker, and how its answers are read."""

import pytest

from infra.sagemaker import service
from infra.sagemaker.service import ExecutionState, Service


class Answering(Service):
    """One execution, whose states are read one after the other; the last one stays."""

    def __init__(self, *statuses):
        self.statuses, self.at, self.looks, self.tokens = list(statuses), {}, 0, []

    def _execution(self, _arn):
        class Execution:
            def retry(_, client_request_token):  # noqa: N805 - self is the service
                self.tokens.append(client_request_token)

        return Execution()

    def execution(self, arn):
        self.looks += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return ExecutionState(arn, status, "", ())


@pytest.mark.parametrize(
    ("statuses", "looks"),
    [(("Failed", "Failed", "Executing", "Failed"), 3), (("Stopped",), service.LOOKS)],
    ids=["it has begun when the execution no longer shows how it ended", "it is not waited for for ever"],
)
def test_a_retry_is_waited_for(statuses, looks, monkeypatch):
    monkeypatch.setattr(service, "PAUSE", 0)
    found = Answering(*statuses)
    found.retry("arn", "token")
    found.wait_until_begun("arn")
    assert (found.looks, found.tokens) == (looks, ["token"])
