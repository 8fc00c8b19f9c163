"""Of several who start the same work at once one starts it; a start whose response was lost is not repeated."""

import itertools
import json
import threading

import pytest

from infra.aws_errors import ResourceNotFound
from infra.sagemaker.service import ExecutionState
from infra.sagemaker.starting import Work, start
from steps.errors import FourscoreError


class Pipelines:
    """SageMaker's pipelines as far as starting needs them; a token that was used once finds its execution."""

    def __init__(self):
        self.lock, self.definition, self.executions, self.tokens = threading.Lock(), "", {}, {}
        self.numbers, self.losses, self.unlisted, self.updates = itertools.count(1), [], False, []

    def upsert(self, _name, definition, *_):
        self.definition = definition

    def start(self, _name, parameters, token, _title, work):
        with self.lock:
            if self.updates:  # somebody else's update comes between our update and our start
                self.definition = self.updates.pop()
            if token not in self.tokens:
                arn = f"execution-{next(self.numbers)}"
                self.tokens[token] = (arn, parameters)
                self.executions[arn] = {"work": work, "definition": self.definition, "status": "Executing"}
            arn, first = self.tokens[token]
        if parameters != first:
            raise FourscoreError("ConflictException: this token started an execution with other parameters")
        if self.losses:
            raise self.losses.pop()
        return arn

    def latest(self, _name, work):
        with self.lock:
            arns = [arn for arn, execution in self.executions.items() if execution["work"] == work]
            return ExecutionState(arns[-1], self.executions[arns[-1]]["status"], "", ()) if arns else None

    def execution(self, arn):
        if arn not in self.executions:
            raise ResourceNotFound(arn)
        return ExecutionState(arn, self.executions[arn]["status"], "", ())

    def definition_of(self, arn):
        self.execution(arn)
        return self.executions[arn]["definition"]

    def stop(self, arn):
        self.executions[arn]["status"] = "Stopped"


def work_of(run="a", seed=1):
    definition = {"Parameters": [{"Name": "Run"}], "Steps": [{"seed": seed}]}
    return Work("flights", definition, "arn:role", [], run)


def started(pipelines, work=None):
    arns = []
    start(pipelines, work or work_of(), arns.append)
    return arns[-1]


@pytest.fixture
def pipelines():
    return Pipelines()


def test_the_second_who_starts_the_same_work_follows_the_first(pipelines):
    assert started(pipelines, work_of("a")) == started(pipelines, work_of("b")) == "execution-1"


@pytest.mark.parametrize(("mlflow_run", "expected"), [(None, {"Run": "a"}), ("m", {"Run": "a", "MlflowRunId": "m"})])
def test_an_execution_gets_the_mlflow_run_of_a_run_that_has_one(pipelines, mlflow_run, expected):
    definition = {"Parameters": [{"Name": "Run"}, {"Name": "MlflowRunId"}], "Steps": []}
    arn = started(pipelines, Work("flights", definition, "arn:role", [], "a", mlflow_run))
    assert [parameters for token_arn, parameters in pipelines.tokens.values() if token_arn == arn] == [expected]


def test_other_work_is_another_execution(pipelines):
    assert started(pipelines, work_of()) != started(pipelines, work_of(seed=2))


@pytest.mark.parametrize("status", ["Failed", "Succeeded", "Stopped"])
def test_an_execution_that_is_over_does_not_block_its_work(pipelines, status):
    arns = []
    for _ in range(3):
        arns.append(started(pipelines))
        pipelines.executions[arns[-1]]["status"] = status
    assert arns == ["execution-1", "execution-2", "execution-3"]


def test_an_execution_that_was_deleted_does_not_block_its_work(pipelines):
    """The pipeline was deleted and is created again; SageMaker still remembers the token of its first start."""
    started(pipelines)
    pipelines.executions.clear()
    assert started(pipelines) == "execution-2"


@pytest.mark.parametrize("over", [False, True], ids=["the first start", "a start after one that is over"])
def test_twenty_who_start_at_once_get_one_execution(pipelines, over):
    if over:
        pipelines.stop(started(pipelines))
    before, arns, barrier = set(pipelines.executions), [], threading.Barrier(20)

    def begin(number):
        barrier.wait()
        arns.append(started(pipelines, work_of(f"run-{number}")))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(arns) == 20
    assert set(arns) == set(pipelines.executions) - before
    assert len(set(arns)) == 1


def test_a_start_whose_response_was_lost_is_found(pipelines):
    pipelines.losses = [FourscoreError("no response")]
    assert started(pipelines) == "execution-1"
    assert len(pipelines.executions) == 1


def test_ctrl_c_while_it_starts_leaves_the_execution_in_the_record(pipelines):
    pipelines.losses, arns = [KeyboardInterrupt()], []
    with pytest.raises(KeyboardInterrupt):
        start(pipelines, work_of(), arns.append)
    assert arns == ["execution-1"]


def test_a_start_that_died_unnoticed_is_not_repeated_by_the_next_command(pipelines):
    """Not even if the list of executions does not show it yet: the token is the same."""
    started(pipelines)
    pipelines.latest = lambda *_: None
    assert started(pipelines) == "execution-1"


def test_a_pipeline_that_another_plan_changed_in_between_is_started_again_and_foreign_is_stopped(pipelines):
    foreign = json.dumps({"Parameters": [], "Steps": []})
    pipelines.updates = [foreign]
    assert started(pipelines) == "execution-2"
    assert pipelines.executions["execution-1"]["status"] == "Stopped"
    assert pipelines.executions["execution-2"]["definition"] != foreign


def test_a_pipeline_that_is_changed_all_the_time_is_given_up(pipelines):
    pipelines.updates = ["{}"] * 9
    with pytest.raises(FourscoreError, match="changed by others again and again"):
        started(pipelines)
    assert {execution["status"] for execution in pipelines.executions.values()} == {"Stopped"}
