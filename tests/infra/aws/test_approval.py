"""The registry's word and a signed approval are both wanted; packages of other stacks are not asked for, and models come as published."""

import random

import pytest
import signed
from compiled import make_stack
from judged import judged, key_of
from templates import ACCOUNT, BUCKET, REGION

from infra.approvals.standing import Standing
from infra.aws.approval import approved, fetch_model, mirror, verified
from infra.store.manifest import Manifest
from infra.store.s3 import S3Store
from pipelines.training import TRAINING
from steps.errors import FourscoreError, GateRefused, InputError

STACK = make_stack(bucket=BUCKET, prefix="fourscore")
KEY = "ab" * 32
PACKAGE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/fourscore-dev-x/1"


def with_metadata(aws, properties):
    def add(parsed, **_):
        parsed["CustomerMetadataProperties"] = properties

    aws.client("sagemaker").meta.events.register("after-call.sagemaker.DescribeModelPackage", add)


@pytest.fixture
def package(aws):
    """A model package of the stack that waits; its metadata, which moto forgets, is put back into the responses."""

    with_metadata(aws, {"run": "r1", "problem": "x", "train_key": KEY})
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="fourscore-dev-x")
    specification = {"Containers": [{"Image": "i"}], "SupportedContentTypes": [], "SupportedResponseMIMETypes": []}
    return sagemaker.create_model_package(
        ModelPackageGroupName="fourscore-dev-x",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification=specification,
    )["ModelPackageArn"]


def test_a_package_that_waits_is_refused_and_an_approved_one_described(aws, package):
    with pytest.raises(GateRefused, match=r"not approved \(PendingManualApproval\)"):
        approved(aws, STACK, package)
    aws.client("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    document = approved(aws, STACK, package)
    assert (document["status"], document["run"], document["train_key"]) == ("Approved", "r1", KEY)


@pytest.mark.parametrize(
    ("current", "status"),
    [
        (Standing(), "Approved"),
        (Standing(reasons=("it wants 1 more of role risk",)), "PendingManualApproval"),
        (Standing(reasons=("risk has rejected it: no",), rejected=True), "Rejected"),
    ],
)
def test_the_registry_says_what_the_log_says(aws, package, current, status):
    assert mirror(aws, package, current) == status
    answer = aws.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert answer["ModelApprovalStatus"] == status


def test_a_model_that_nobody_answers_for_is_refused_whoever_approved_it(aws, package):
    aws.client("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    with_metadata(aws, {"run": "r1", "to_be_written": "owner cost_of_error"})
    with pytest.raises(GateRefused, match="write owner, cost_of_error in the problem file"):
        approved(aws, STACK, package)


@pytest.mark.parametrize(
    "other",
    [
        PACKAGE.replace(ACCOUNT, "210987654321"),
        PACKAGE.replace("fourscore-dev-x", "fourscore-prod-x"),
        PACKAGE.replace(REGION, "us-east-1"),
        f"{PACKAGE}; rm -rf /",
        "fourscore-dev-x/1",
    ],
)
def test_a_package_of_another_stack_is_not_even_asked_for(aws, other):
    with pytest.raises(InputError, match="is no model package of stack dev"):
        approved(aws, STACK, other)


def test_the_model_is_fetched_as_it_was_published_and_into_an_empty_directory_only(aws, client, tmp_path):
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    results = tmp_path / "results"
    (results / "model").mkdir(parents=True)
    (results / "model/model.pt2").write_bytes(b"weights")
    S3Store(tmp_path / "elsewhere", STACK.root).publish(results, Manifest(KEY, "train", {}, "pass"))
    document = {"package": PACKAGE, "train_key": KEY}
    directory = fetch_model(STACK, document, tmp_path / "work", tmp_path / "model")
    assert (directory / "model.pt2").read_bytes() == b"weights"
    with pytest.raises(InputError, match="is not empty"):
        fetch_model(STACK, document, tmp_path / "work", directory)


def test_a_package_without_a_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="was not registered by Fourscore"):
        fetch_model(STACK, {"package": PACKAGE, "train_key": ""}, tmp_path, tmp_path / "model")


@pytest.fixture
def store(aws, client, tmp_path):
    """A store on S3 with an approved run, a rejected one and one that nobody decided about."""
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    store = S3Store(tmp_path, STACK.root)
    for run, verdict in (("good", "pass"), ("bad", "rejected"), ("new", "pass")):
        judged(tmp_path, run, verdict, store=store)
    signed.approve(tmp_path, "good")
    return store


def described(run):
    """What the registry says of the package of a run."""
    training = key_of(run, "train")
    return {
        "package": PACKAGE,
        "run": run,
        "train_key": training,
        "evaluate_key": key_of(run, "evaluate"),
        "model_data": f"{STACK.root}store/{training}/model/",
    }


def test_an_approved_package_names_who_signed_for_its_model(store):
    assert verified(store, described("good"), TRAINING.sources)["approval"]["approver"] == "owner"


def test_a_package_that_was_pointed_at_another_model_is_refused_whatever_the_registry_says(store):
    for run in ("bad", "new"):
        with pytest.raises(GateRefused, match="is not approved: nobody has decided about it"):
            verified(store, described(run), TRAINING.sources)
    for name in ("run", "evaluate_key", "model_data"):
        with pytest.raises(GateRefused, match=rf"what was not signed \({name}\)"):
            verified(store, described("good") | {name: described("bad")[name]}, TRAINING.sources)


def test_no_changed_answer_of_the_registry_is_accepted(store):
    rng = random.Random(0)  # noqa: S311
    names = ["run", "train_key", "evaluate_key", "model_data"]
    for _ in range(300):
        answer = described("good")
        for name in rng.sample(names, rng.randint(1, 4)):
            other = described(rng.choice(["bad", "new"]))[name]
            place = rng.randrange(len(answer[name]))
            flipped = f"{answer[name][:place]}{rng.choice('0123456789abcdef/')}{answer[name][place + 1 :]}"
            answer[name] = rng.choice([other, flipped, "", answer[name].upper()])
        if answer != described("good"):
            with pytest.raises(FourscoreError):
                verified(store, answer, TRAINING.sources)
