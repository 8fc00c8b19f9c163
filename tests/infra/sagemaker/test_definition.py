"""A plan compiles to one definition, always the same, that holds what is left to do and nothing that is not there."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from graphlib import CycleError

import compiled
import pytest
from api_shapes import api_faults, check_order
from compiled import STAGES, make_definition, make_plan, make_stack
from hypothesis import given
from hypothesis import strategies as st

from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.definition import all_steps, compile_plan, fit, gets, pipeline_name, text
from infra.sagemaker.jobs import Decision, decided, fuse
from infra.sagemaker.requests import package_group
from infra.store.manifest import Manifest
from pipelines.training import TRAINING
from steps.core import Config
from steps.errors import FourscoreError, InputError
from steps.train import Budget, TrainConfig

PREPARE = [step.name for step in TRAINING if step.job == "prepare"]
JOB_OF = {step.address: step.job for step in TRAINING}
FILES = compiled.files()
WHOLE = make_plan()


def by_name(definition):
    return {step["Name"]: step for step in all_steps(definition["Steps"])}


def parameters(definition):
    return {item["Name"]: item for item in definition["Parameters"]}


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


@pytest.mark.parametrize("name", FILES)
def test_the_golden_files_are_what_the_compiler_writes(name):
    """After a change on purpose: ``python tests/support/compiled.py``, and read the difference."""
    assert (compiled.GOLDEN / name).read_text(encoding="utf-8") == FILES[name]


def test_a_thousand_compiles_have_one_text():
    assert {text(make_definition(make_plan())) for _ in range(1000)} == {FILES["all-stages.json"]}


def test_another_process_with_other_hashes_compiles_the_same_bytes():
    code = "import compiled, sys; sys.stdout.write(compiled.text(compiled.make_definition(compiled.make_plan())))"
    seeds = [
        {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "tests/support", "PYTHONUTF8": "1"} for seed in ("1", "2")
    ]
    outputs = [subprocess.run([sys.executable, "-c", code], cwd=compiled.ROOT, capture_output=True, check=True, env=env).stdout for env in seeds]  # fmt: skip
    assert outputs[0].decode() == outputs[1].decode() == FILES["all-stages.json"]


def test_compiling_imports_no_sdk_and_nothing_heavy():
    code = "import compiled, sys; compiled.cases(); print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["boto3", "botocore", "sagemaker", "moto", "mlflow", "torch", "numpy", "pandas", "polars"]
    env = {**os.environ, "PYTHONPATH": "tests/support"}
    process = subprocess.run([sys.executable, "-c", code, *heavy], cwd=compiled.ROOT, capture_output=True, text=True, check=True, env=env)  # fmt: skip
    assert process.stdout.strip() == "[]"


def test_changing_a_definition_changes_no_other():
    by_name(make_definition(WHOLE))["train"]["RetryPolicies"][0]["ExceptionType"].clear()
    assert text(make_definition(WHOLE)) == FILES["all-stages.json"]


MACHINES = st.fixed_dictionaries(
    {
        "train": st.fixed_dictionaries(
            {
                "spot": st.booleans(),
                "instances": st.integers(1, 4),
                "instance": st.sampled_from(["ml.m5.xlarge", "ml.g5.xlarge"]),
            }
        )
    }
)


@given(
    cached=st.sets(st.sampled_from(STAGES)),
    until=st.sampled_from(STAGES),
    smoke=st.booleans(),
    config=MACHINES,
    verdict=st.sampled_from(["pass", "rejected"]),
    key=st.sampled_from([None, "arn:aws:kms:eu-central-1:123456789012:key/k"]),
)
def test_whatever_is_cached_the_definition_is_whole(cached, until, smoke, config, verdict, key):
    """Every reference exists, nothing waits for itself, the jobs cover what is not cached in order, the API takes each request."""
    plan = make_plan(cached, until, smoke)
    waiting = [planned.step.name for planned in plan.steps if not planned.cached]
    assert [step["step"].partition(":")[2] for job in fuse(plan) for step in job.spec["steps"]] == waiting
    assert all(JOB_OF[step["step"]] == job.name for job in fuse(plan) for step in job.spec["steps"])
    try:
        definition = make_definition(plan, Decision(verdict, ("x" * 500,)), make_stack(kms_key=key), **config)
    except FourscoreError:
        assert not waiting
        return
    steps = list(all_steps(definition["Steps"]))
    assert max(Counter(step["Name"] for step in steps).values()) == 1
    jobs = {step["Name"]: step["Description"] for step in steps if step["Type"] in ("Processing", "Training")}
    assert jobs == {job.name: ", ".join(planned.step.name for planned in job.steps) for job in fuse(plan)}
    assert set(parameters(definition)) == {
        item.split(".")[1] for item in gets(definition["Steps"]) if item.startswith("Parameters.")
    }
    check_order(definition)
    assert list(api_faults(definition)) == []
    assert max(len(item) for step in steps for item in strings(step)) <= 256


vpc_ids = st.lists(st.from_regex(r"[-0-9a-zA-Z]{1,32}", fullmatch=True), min_size=1, max_size=5)


@given(
    problem=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
    network=st.none() | st.tuples(vpc_ids, vpc_ids),
    minutes=st.integers(1, 7200),
    volume=st.integers(1, 16384),
    wait=st.none() | st.integers(1, 7200),
    instances=st.integers(1, 64),
)
def test_whatever_a_problem_file_may_say_the_api_takes_it(problem, network, minutes, volume, wait, instances):
    machine = {"minutes": minutes, "volume_gb": volume}
    spot = {} if wait is None else {"spot": True, "spot_wait_minutes": wait}
    config = {"prepare": machine, "assess": machine, "train": {**machine, **spot, "instances": instances}}
    if network:
        config |= {"subnets": network[0], "security_groups": network[1]}
    stack = make_stack(kms_key="arn:aws:kms:eu-central-1:123456789012:key/k")
    settings = SageMakerConfig.model_validate(config)
    definition = compile_plan(WHOLE, problem, settings, stack, "0" * 64)
    assert list(api_faults(definition)) == []


SEEDED = {
    "a type that there is not": ("DefaultValue", "ml.p99.xlarge", lambda result: result["Parameters"][1]),
    "a tag with a forbidden character": ("Value", "#", lambda result: arguments_of(result, "train")["Tags"][0]),
    "an unknown member": ("Spot", True, lambda result: arguments_of(result, "train")),
    "text for a number": ("VolumeSizeInGB", "30", lambda result: arguments_of(result, "train")["ResourceConfig"]),
    "a value that is too long": (
        "FOURSCORE_BASE",
        "x" * 257,
        lambda result: arguments_of(result, "prepare")["Environment"],
    ),
    "eleven inputs": ("ProcessingInputs", [{"InputName": "a"}] * 11, lambda result: arguments_of(result, "prepare")),
}


def arguments_of(definition, name):
    return by_name(definition)[name]["Arguments"]


@pytest.mark.parametrize("name", SEEDED)
def test_the_check_against_the_api_notices(name):
    member, value, place = SEEDED[name]
    definition = make_definition(WHOLE)
    place(definition)[member] = value
    assert list(api_faults(definition)) != []


def test_the_check_of_the_order_notices_circles_and_what_is_not_there():
    circle, missing, unknown = (make_definition(WHOLE) for _ in range(3))
    by_name(circle)["prepare"]["DependsOn"] = ["assess"]
    by_name(missing)["train"]["DependsOn"] = ["prepara"]
    by_name(unknown)["train"]["Arguments"]["RoleArn"] = {"Get": "Parameters.Role"}
    for definition, error in ((circle, CycleError), (missing, AssertionError), (unknown, AssertionError)):
        with pytest.raises(error):
            check_order(definition)


def test_three_jobs_stand_in_for_eight_stages():
    jobs = {job.name: [planned.step.name for planned in job.steps] for job in fuse(WHOLE)}
    assert jobs == {"prepare": PREPARE, "train": ["train"], "assess": ["evaluate", "register"]}


def test_the_model_package_waits_for_approval_and_names_what_it_was_made_from():
    package = by_name(make_definition(WHOLE))["register-model"]["Arguments"]
    keys = {planned.step.name: planned.key for planned in WHOLE.steps}
    root = make_stack().root
    assert "Tags" not in package
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    model = package["InferenceSpecification"]["Containers"][0]["ModelDataSource"]["S3DataSource"]["S3Uri"]
    assert model == f"{root}store/{keys['train']}/model/"
    assert package["CustomerMetadataProperties"]["evaluate_key"] == keys["evaluate"]
    assert package["CustomerMetadataProperties"]["mlflow_run_id"] == {"Get": "Parameters.MlflowRunId"}


class Answers(Config):
    """The part of the problem that a person writes."""

    question: str = "Which lumps are benign?"
    owner: str = "to be written: who answers for it"
    cost_of_error: str = "to be written"


def test_a_model_that_nobody_answers_for_is_registered_as_rejected_with_the_reason():
    define, *rest = WHOLE.steps
    definition = make_definition(replace(WHOLE, steps=(replace(define, config=Answers()), *rest)))
    package = by_name(definition)["register-model"]["Arguments"]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "write owner, cost_of_error in the problem file" in package["ModelPackageDescription"]
    assert package["CustomerMetadataProperties"]["to_be_written"] == "owner cost_of_error"
    assert list(api_faults(definition)) == []


def test_a_cached_prefix_leaves_the_rest():
    assert list(by_name(make_definition(make_plan(PREPARE)))) == [
        "train", "assess", "verdict", "register-model", "rejected",
    ]  # fmt: skip


def test_a_known_verdict_leaves_the_package_or_the_reasons():
    cached_plan = make_plan(STAGES)
    assert list(by_name(make_definition(cached_plan, Decision("pass")))) == ["register-model"]
    rejected = make_definition(cached_plan, Decision("rejected", ("roc_auc is too low",)))
    assert by_name(rejected) == {"rejected": {"Name": "rejected", "Type": "Fail", "Arguments": {"ErrorMessage": "rejected: roc_auc is too low"}}}  # fmt: skip
    assert rejected["Parameters"] == []


def test_a_model_lost_from_the_store_is_trained_again_before_it_is_registered():
    names = list(by_name(make_definition(make_plan(set(STAGES) - {"train"}), Decision("pass"))))
    assert names == ["train", "register-model"]


@pytest.mark.parametrize("plan", [make_plan(until="evaluate"), make_plan(smoke=True)], ids=["until", "smoke"])
def test_a_part_of_the_stages_or_a_rehearsal_registers_nothing(plan):
    assert list(by_name(make_definition(plan))) == ["prepare", "train", "assess"]


def test_a_verdict_that_is_in_the_store_must_be_given():
    with pytest.raises(FourscoreError, match="verdict was not given"):
        make_definition(make_plan(STAGES))


def test_where_nothing_is_left_nothing_is_compiled():
    with pytest.raises(FourscoreError, match="nothing to compile"):
        make_definition(make_plan(STAGES, until="split"))


def test_spot_waits_longer_than_it_runs_and_keeps_checkpoints_by_key():
    train = by_name(make_definition(WHOLE, train={"spot": True, "minutes": 30, "spot_wait_minutes": 15}))["train"][
        "Arguments"
    ]
    assert train["EnableManagedSpotTraining"] is True
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 2700}
    assert train["CheckpointConfig"]["S3Uri"].endswith(f"checkpoints/{WHOLE.steps[5].key}/")


def test_on_demand_is_asked_for_without_the_fields_that_only_spot_may_have():
    train = by_name(make_definition(WHOLE))["train"]["Arguments"]
    assert "EnableManagedSpotTraining" not in train
    assert "MaxWaitTimeInSeconds" not in train["StoppingCondition"]


def test_several_instances_differ_in_their_count_alone():
    one, two = (
        text(make_definition(WHOLE)).splitlines(),
        text(make_definition(WHOLE, train={"instances": 2})).splitlines(),
    )
    assert [(a.strip(), b.strip()) for a, b in zip(one, two, strict=True) if a != b] == [('"DefaultValue": 1', '"DefaultValue": 2')]  # fmt: skip


def test_the_key_encrypts_every_disk_and_output_but_disks_that_hardware_encrypts():
    stack = make_stack(kms_key="arn:aws:kms:eu-central-1:123456789012:key/k")
    plain = by_name(make_definition(WHOLE, stack=stack))
    assert plain["prepare"]["Arguments"]["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == stack.kms_key
    assert plain["train"]["Arguments"]["ResourceConfig"]["VolumeKmsKeyId"] == stack.kms_key
    assert plain["train"]["Arguments"]["OutputDataConfig"]["KmsKeyId"] == stack.kms_key
    assert plain["assess"]["Arguments"]["ProcessingOutputConfig"]["KmsKeyId"] == stack.kms_key
    local = by_name(make_definition(WHOLE, stack=stack, train={"instance": "ml.r5d.xlarge"}))
    assert "VolumeKmsKeyId" not in local["train"]["Arguments"]["ResourceConfig"]


def test_a_gpu_takes_the_image_for_it_or_says_that_there_is_none():
    train = by_name(make_definition(WHOLE, train={"instance": "ml.g5.xlarge"}))["train"]["Arguments"]
    assert train["AlgorithmSpecification"]["TrainingImage"] == make_stack().images["gpu"]
    bare = make_stack(images={"cpu": make_stack().images["cpu"]})
    with pytest.raises(
        InputError, match=r"stack dev has no gpu image, which ml.g5.xlarge needs.*fourscore infra image"
    ):
        make_definition(WHOLE, stack=bare, train={"instance": "ml.g5.xlarge"})


def test_a_job_that_would_stop_before_its_training_is_refused():
    long = TrainConfig(task="binary-classification", budget=Budget(minutes=120))
    steps = [replace(item, config=long) if item.step.name == "train" else item for item in WHOLE.steps]
    plan = replace(WHOLE, steps=tuple(steps))
    with pytest.raises(
        InputError, match=r"train.budget.minutes is 120, and sagemaker.train.minutes stops the job after 120"
    ):
        make_definition(plan)
    make_definition(plan, train={"minutes": 150})


def test_everything_that_takes_tags_has_them():
    tagged = [step for step in all_steps(make_definition(WHOLE)["Steps"]) if step["Type"] in ("Processing", "Training")]
    assert len(tagged) == 3
    for step in tagged:
        assert [tag["Key"] for tag in step["Arguments"]["Tags"]] == [
            f"fourscore:{name}" for name in ("project", "problem", "run", "stack")
        ]


@given(st.from_regex(r"^[a-z0-9][a-z0-9_-]{0,62}\Z"))
def test_a_problem_of_any_name_has_a_pipeline_name_that_is_taken_and_its_own(name):
    result = pipeline_name(name)
    assert len(result) <= 256
    assert "--" not in result or "--" in name
    assert result == fit(result, 256)
    assert pipeline_name(f"{name}_") != result


def test_names_that_differ_in_what_is_not_allowed_stay_different():
    stack = make_stack()
    assert package_group(stack, "breast-cancer") == "fourscore-dev-breast-cancer"
    assert package_group(stack, "a.b") != package_group(stack, "a-b") != package_group(stack, "a_b")
    assert len(package_group(stack, "m" * 128)) == 63


def test_a_description_has_neither_who_started_it_nor_where_its_files_lay():
    prepare, train, assess = fuse(WHOLE)
    assert "/somewhere" not in "".join(job.text for job in (prepare, train, assess))
    cells = {"name": "cells.csv", "sha256": compiled.digest("cells"), "size": 119913}
    assert prepare.spec["sources"]["raw"]["files"] == {"cells": [cells]}
    assert train.spec["sources"] == {}
    assert assess.spec["sources"]["champion"]["key"] == compiled.digest("champion")
    assert [list(job.spec["divided"].values()) for job in fuse(WHOLE)] == [[], [], [compiled.digest("label")]]


def test_a_job_lies_under_the_digest_of_its_bytes():
    for job in fuse(WHOLE):
        assert job.digest == hashlib.sha256(job.text.encode()).hexdigest()
        assert f"/jobs/{job.digest}/" in FILES["all-stages.json"]


def of(verdicts):
    """A store in which each stage has the verdict that is given, or passed."""
    keys = {planned.key: planned.step.name for planned in WHOLE.steps}
    return lambda key: Manifest(key, keys[key], {}, verdict=verdicts.get(keys[key], "pass"), reasons=[f"because of {keys[key]}"])  # fmt: skip


def test_what_is_decided_already_is_read_from_the_store():
    cached_plan = make_plan(STAGES)
    assert decided(cached_plan, of({})) == Decision("pass", ("because of register",))
    assert decided(cached_plan, of({"evaluate": "rejected", "register": "rejected"})).verdict == "rejected"
    assert decided(cached_plan, of({"validate": "refused"})) == Decision("refused", ("because of validate",))


def test_nothing_is_decided_before_the_whole_assessment_is_cached():
    assert decided(make_plan({*PREPARE, "train", "evaluate"}), of({"evaluate": "rejected"})) is None
    assert decided(make_plan(PREPARE), of({})) is None
    assert decided(make_plan(STAGES, until="train"), of({})) is None


def with_job(plan, stage, job):
    steps = [
        replace(planned, step=replace(planned.step, job=job)) if planned.step.name == stage else planned
        for planned in plan.steps
    ]
    return replace(plan, steps=tuple(steps))


def test_a_stage_of_no_known_job_is_named():
    with pytest.raises(FourscoreError, match="stage 'label' has the job 'cellar'"):
        fuse(with_job(WHOLE, "label", "cellar"))


def test_stages_of_one_job_stand_together():
    with pytest.raises(FourscoreError, match="not consecutive: prepare, train, prepare"):
        fuse(with_job(make_plan(), "label", "train"))
