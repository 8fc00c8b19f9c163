"""Of several who ask for the same work at once, one execution does it."""

import itertools
import threading

import pytest

from infra.sagemaker.claim import claim


class Objects:
    """Conditional writes as S3 makes them: by absence, or by the tag of what is replaced."""

    def __init__(self):
        self.lock = threading.Lock()
        self.content = {}

    def get_with_tag(self, name):
        with self.lock:
            return self.content.get(name)

    def put(self, name, content, *, absent=False, tag=None):
        with self.lock:
            there = self.content.get(name)
            if (absent and there) or (tag and (there is None or there[1] != tag)):
                return False
            self.content[name] = (content, str(len(self.content)) + str(hash(content)))
            return True


class Executions:
    """Starting is idempotent in the token, as StartPipelineExecution is."""

    def __init__(self):
        self.by_token, self.ended, self.lock = {}, set(), threading.Lock()
        self.numbers = itertools.count(1)

    def start(self, claimed):
        with self.lock:
            if claimed.token not in self.by_token:
                self.by_token[claimed.token] = f"execution-{next(self.numbers)}"
            return self.by_token[claimed.token]

    def lives(self, arn):
        return arn not in self.ended


def dies(_claimed):
    raise KeyboardInterrupt


@pytest.fixture
def cloud():
    return Objects(), Executions()


def test_the_first_starts_and_the_second_follows(cloud):
    objects, executions = cloud
    first = claim(objects, "work", "run-a", "none", executions.start, executions.lives)
    second = claim(objects, "work", "run-b", "none", executions.start, executions.lives)
    assert (first.execution, first.run) == ("execution-1", "run-a")
    assert second == first


def test_other_work_is_another_execution(cloud):
    objects, executions = cloud
    one, other = (claim(objects, work, "run", "none", executions.start, executions.lives) for work in ("this", "that"))
    assert one.execution != other.execution


def test_work_whose_execution_ended_is_started_anew(cloud):
    objects, executions = cloud
    first = claim(objects, "work", "run-a", "none", executions.start, executions.lives)
    executions.ended.add(first.execution)
    again = claim(objects, "work", "run-b", "none", executions.start, executions.lives)
    assert (again.execution, again.run) == ("execution-2", "run-b")


def test_a_claim_whose_maker_died_before_the_start_is_taken_over_with_its_token(cloud):
    objects, executions = cloud

    with pytest.raises(KeyboardInterrupt):
        claim(objects, "work", "run-a", "none", dies, executions.lives)
    found = claim(objects, "work", "run-b", "none", executions.start, executions.lives)
    assert (found.execution, found.run) == ("execution-1", "run-a")


def test_whoever_takes_a_claim_over_starts_with_its_makers_parameters(cloud):
    objects, _ = cloud

    with pytest.raises(KeyboardInterrupt):
        claim(objects, "work", "run-a", "link-a", dies, bool)
    started = []
    claim(objects, "work", "run-b", "link-b", lambda mine: started.append(mine) or "arn", bool)
    assert [(each.run, each.link) for each in started] == [("run-a", "link-a")]


def test_twenty_at_once_get_one_execution(cloud):
    objects, executions = cloud
    found, barrier = [], threading.Barrier(20)

    def ask(number):
        barrier.wait()
        found.append(claim(objects, "work", f"run-{number}", "none", executions.start, executions.lives))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.execution for each in found} == {"execution-1"}
    assert len({each.run for each in found}) == 1
