"""An execution runs its steps in their order, decides, registers, fails, stops and tries again as SageMaker's does."""

import pytest
from emulated import IMAGE, VERDICT, condition, equals, fail, get, join, refused, saying, step, verdict_of

WORD = {"Name": "Word", "Type": "String", "DefaultValue": "hello"}
WAITING = "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done"


def test_steps_run_in_the_order_in_which_they_stand(lab):
    copy = "cp $BASE/processing/input/data/verdict.json $BASE/processing/output/result/"
    second = step("second", "Processing", lab.processing(copy, {"data": "first/"}, "second"), DependsOn=["first"])
    ran = lab.run(saying(lab, "first", "1"), second, saying(lab, "third", "3", DependsOn=["second"]))
    assert ran.statuses() == dict.fromkeys(["first", "second", "third"], "Succeeded")
    assert (list(ran.steps), lab.read("second/verdict.json")) == (["first", "second", "third"], "1")


def test_what_stands_behind_a_failure_is_not_executed(lab):
    train = step("train", "Training", lab.training("printf 'train: no memory' > $BASE/output/failure; exit 1"))
    ran = lab.run(train, saying(lab, "assess", "1", DependsOn=["train"]))
    assert (ran.status, list(ran.steps)) == ("Failed", ["train"])
    assert ran.reason("train") == "ClientError: AlgorithmError: train: no memory, exit code: 1"
    assert ran.described["FailureReason"] == "Step failure: One or multiple steps failed."


def test_a_condition_takes_one_branch_and_the_other_is_not_executed(lab):
    passed = equals(verdict_of("assess"), "pass")
    decide = condition("verdict", passed, yes=[saying(lab, "after", "1")], no=[fail("rejected", "no")])
    ran = lab.run(saying(lab, "assess", '{"verdict": "pass"}'), decide)
    assert (ran.status, list(ran.steps)) == ("Succeeded", ["assess", "verdict", "after"])
    assert ran.steps["verdict"]["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_a_fail_step_fails_the_execution_and_its_reason_is_among_the_steps(lab):
    rejected = fail("rejected", join("refused by ", get("Parameters.Word"), ": ", verdict_of("assess", "reasons")))
    assess = saying(lab, "assess", '{"verdict": "rejected", "reasons": "roc_auc .71 < .80"}')
    ran = lab.run(assess, condition("verdict", equals(verdict_of("assess"), "pass"), no=[rejected]), parameters=[WORD])
    assert ran.statuses() == {"assess": "Succeeded", "verdict": "Succeeded", "rejected": "Failed"}
    assert (ran.status, ran.reason("rejected")) == ("Failed", "refused by hello: roc_auc .71 < .80")


@pytest.mark.parametrize(("script", "words"), [("printf '{}' > $BASE/processing/output/result/verdict.json", "KeyError: 'verdict'"), ("true", "No such file")])  # fmt: skip
def test_a_verdict_that_was_not_written_fails_the_step_that_reads_it(lab, script, words):
    assess = step("assess", "Processing", lab.processing(script, output="out"), PropertyFiles=VERDICT)
    assert words in lab.run(assess, condition("verdict", equals(verdict_of("assess"), "1"))).reason("verdict")


def test_a_model_is_registered_as_the_next_version_of_its_group(lab):
    group = f"g-{lab.pipeline}"
    lab.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    assert refused(lambda: lab.sagemaker.create_model_package_group(ModelPackageGroupName=group), "already exists")
    request = {
        "ModelPackageGroupName": group,
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {"Containers": [{"Image": IMAGE}]},
        "CustomerMetadataProperties": {"run": get("Parameters.Word")},
    }
    register = step("register", "RegisterModel", request)
    arns = [
        lab.run(register, parameters=[WORD]).steps["register"]["Metadata"]["RegisterModel"]["Arn"] for _ in range(2)
    ]
    package = lab.sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert (package["ModelApprovalStatus"], package["ModelPackageVersion"]) == ("PendingManualApproval", 2)
    assert package["CustomerMetadataProperties"] == {"run": "hello"}
    listing = lab.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [item["ModelPackageArn"] for item in listing] == arns[::-1]


# stop and retry


def test_stopping_ends_the_job_that_runs_and_a_retry_goes_on_from_there(lab):
    script = f"[ -e $BASE/processing/input/go/x ] && exit; {WAITING}"
    lab.put("go/y", "")
    arn = lab.start(
        saying(lab, "first", "1"),
        step("long", "Processing", lab.processing(script, {"go": "go/"}), DependsOn=["first"]),
        saying(lab, "last", "1", DependsOn=["long"]),
    )
    lab.under_way(arn, "long")
    assert refused(lambda: lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn), "Executing")
    lab.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert lab.look(arn).status in ("Stopping", "Stopped")
    ran = lab.ended(arn)
    assert (ran.status, ran.statuses()) == ("Stopped", {"first": "Succeeded", "long": "Stopped"})
    lab.put("go/x", "")
    lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    again = lab.ended(arn)
    assert again.statuses() == dict.fromkeys(["first", "long", "last"], "Succeeded")
    assert again.steps["first"] == ran.steps["first"]
    assert refused(lambda: lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn), "Succeeded")
