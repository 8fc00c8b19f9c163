"""A step decides a condition, ends the execution with a reason, or runs a job again where a retry policy is for it."""

import pytest
from emulated import NUMBER, VERDICT, WORD, condition, equals, fail, get, join, saying, step, verdict_of


def test_a_condition_takes_one_branch_and_the_other_is_not_executed(lab):
    ran = lab.run(
        saying(lab, "assess", '{"verdict": "pass"}', PropertyFiles=VERDICT),
        condition(
            "verdict",
            equals(verdict_of("assess"), "pass"),
            {"Type": "LessThanOrEqualTo", "LeftValue": get("Parameters.Number"), "RightValue": 3.0},
            yes=[saying(lab, "after", "1")],
            no=[fail("rejected", "no")],
            DependsOn=["assess"],
        ),
        parameters=[NUMBER],
    )
    assert ran.status == "Succeeded"
    assert ran.steps["verdict"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert list(ran.steps) == ["assess", "verdict", "after"]


def test_a_fail_step_fails_the_execution_and_its_reason_is_among_the_steps(lab):
    reasons = join("refused by ", get("Parameters.Word"), ": ", verdict_of("assess", "reasons"))
    ran = lab.run(
        saying(lab, "assess", '{"verdict": "rejected", "reasons": "roc_auc .71 < .80"}', PropertyFiles=VERDICT),
        condition("verdict", equals(verdict_of("assess"), "pass"), no=[fail("rejected", reasons)]),
        parameters=[WORD],
    )
    message = "refused by hello: roc_auc .71 < .80"
    assert ran.status == "Failed"
    assert ran.statuses() == {"assess": "Succeeded", "verdict": "Succeeded", "rejected": "Failed"}
    assert ran.reason("rejected") == message
    assert ran.steps["rejected"]["Metadata"] == {"Fail": {"ErrorMessage": message}}
    assert ran.described["FailureReason"] == "Step failure: One or multiple steps failed."


def test_a_fail_step_in_the_branch_that_is_taken_goes_before_everything_that_waits_for_its_condition(lab):
    ran = lab.run(
        condition(
            "affordable",
            {"Type": "LessThanOrEqualTo", "LeftValue": 12.5, "RightValue": 10},
            no=[fail("too-expensive", "12.50 > 10 dollars")],
        ),
        saying(lab, "prepare", "1", DependsOn=["affordable"]),
    )
    assert ran.statuses() == {"affordable": "Succeeded", "too-expensive": "Failed"}


def test_a_property_file_without_the_value_fails_the_step_that_reads_it(lab):
    one = saying(lab, "one", '{"a": "1"}', PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one", "b"), "1")))
    assert ran.reason("c") == "ClientError: Steps.one.PropertyFiles.verdict: the file has no 'b'"


def test_a_property_file_that_was_not_written_fails_the_step_that_reads_it(lab):
    one = step("one", "Processing", lab.processing("true", outputs={"result": "one"}), PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one"), "1")))
    assert "property file verdict of step one" in ran.reason("c")


# retry policies


@pytest.mark.parametrize(
    ("reason", "exception"),
    [
        ("InternalServerError: We encountered an internal error.", "SageMaker.JOB_INTERNAL_ERROR"),
        ("CapacityError: Unable to provision requested ML compute capacity.", "SageMaker.CAPACITY_ERROR"),
        ("ThrottlingException: Rate exceeded", "Step.THROTTLING"),
        ("ResourceLimitExceeded: The account-level service limit is exceeded.", "SageMaker.RESOURCE_LIMIT"),
    ],
)
def test_a_retry_policy_tries_again_after_the_failures_that_it_is_for(lab, reason, exception):
    policies = [{"ExceptionType": [exception], "IntervalSeconds": 0, "BackoffRate": 2, "MaxAttempts": 2}]
    lab.inject("p", reason=reason, times=2)
    ran = lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Succeeded", 3)
    lab.inject("p", reason=reason, times=3)
    ran = lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies))
    assert (ran.status, ran.reason("p")) == ("Failed", f"ClientError: {reason}")


def test_a_failure_that_no_policy_is_for_is_not_tried_again(lab):
    policies = [{"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 0, "MaxAttempts": 5}]
    ran = lab.run(step("p", "Processing", lab.processing("exit 1"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Failed", 1)
