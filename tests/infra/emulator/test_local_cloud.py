"""The local cloud outlives the command that started it and loses nothing when it is killed."""

import http.client
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import emulated
import pytest
from botocore.exceptions import ClientError
from emulated import QUICK, step

from infra.emulator import local_cloud
from infra.emulator.journal import Journal

ROOT = Path(__file__).parents[3]


class Outside(emulated.Lab):
    """The same pipelines, in a local cloud that is a process of its own."""

    def __init__(self, cloud, role=None):
        self.cloud, self.clients = cloud, {}
        self.server = SimpleNamespace(address=cloud.address)
        self.role = role or self.make_role("sagemaker", emulated.TRUST)

    def with_bucket(self, name):
        self.bucket = self.pipeline = name
        self.client("s3").create_bucket(Bucket=name)
        return self


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("a 0'%20 [ü]") / ".fourscore"


@pytest.fixture(scope="module")
def cloud(place):
    yield local_cloud.start(place, options=QUICK)
    local_cloud.stop(place)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"
    except FileNotFoundError:
        return False


def until(asked, patience=30):
    ends = time.monotonic() + patience
    while not (found := asked()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)
    return found


def test_starting_what_runs_answers_with_what_runs(place, cloud):
    assert local_cloud.start(place) == cloud
    assert local_cloud.running(place) == cloud


def test_it_outlives_the_command_that_started_it_and_several_that_start_it_at_once_share_one(tmp_path):
    code = f"from pathlib import Path; from infra import local_cloud; print(local_cloud.start(Path({str(tmp_path)!r})).address.pid)"
    with ThreadPoolExecutor(3) as pool:
        done = list(
            pool.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
                ),
                range(3),
            )
        )
    try:
        (pid,) = {int(each.stdout) for each in done}
        assert local_cloud.running(tmp_path).address.pid == pid
    finally:
        assert local_cloud.stop(tmp_path)
    assert local_cloud.running(tmp_path) is None
    assert not local_cloud.stop(tmp_path)


def test_it_ends_by_itself_when_nobody_asks_anything(tmp_path):
    pid = local_cloud.start(tmp_path, idle_minutes=0.005).address.pid
    until(lambda: not alive(pid))
    assert "nobody asked anything" in (tmp_path / "cloud/server.log").read_text()


def test_it_ends_when_its_workspace_is_taken_away(tmp_path):
    pid = local_cloud.start(tmp_path).address.pid
    shutil.rmtree(tmp_path / "cloud")
    until(lambda: not alive(pid))


def test_it_listens_on_loopback_only_and_its_key_is_nobody_elses_to_read(place, cloud):
    assert cloud.endpoint.startswith("http://127.0.0.1:")
    port = f"{int(cloud.endpoint.rpartition(':')[2]):04X}"
    listening = [
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"
    ]
    assert [each for each in listening if each.endswith(f":{port}")] == [f"0100007F:{port}"]
    assert stat.S_IMODE((place / "cloud/server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "cloud").stat().st_mode) == 0o700


def asked(cloud, path="/", **headers):
    """Status and body of the answer to a GET."""
    connection = http.client.HTTPConnection(cloud.endpoint.removeprefix("http://"))
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_requests_under_a_foreign_host_name_or_without_its_key_are_refused(cloud):
    ours = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={cloud.address.access_key}/20260101/us-east-1/s3/aws4_request, SignedHeaders=, Signature="
    }
    assert asked(cloud, **ours)[0] == 200
    assert asked(cloud, Host="evil.example", **ours)[0] == 403
    assert asked(cloud)[0] == 403
    assert asked(cloud, "/moto-api/data.json")[0] == 403
    assert asked(cloud, Authorization=ours["Authorization"].replace(cloud.address.access_key, "testing"))[0] == 403


def test_a_presigned_link_works(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="linked")
    s3.put_object(Bucket="linked", Key="a b/ü", Body=b"content")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "linked", "Key": "a b/ü"})
    assert asked(cloud, link.removeprefix(cloud.endpoint)) == (200, b"content")


def test_of_many_that_write_an_object_only_if_there_is_none_one_does(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="raced")

    def put(number):
        try:
            return (
                s3.put_object(Bucket="raced", Key="manifest.json", Body=str(number).encode(), IfNoneMatch="*") and "won"
            )
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(8) as pool:
        said = sorted(pool.map(put, range(24)))
    assert said == ["PreconditionFailed"] * 23 + ["won"]


def test_a_client_talks_to_it_whatever_the_environment_says(cloud, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account


@dataclass
class Before:
    """What was there before the cloud was killed."""

    lab: Outside
    workspace: Path
    role: str
    mark: str
    versions: dict
    latest: str
    etag: str
    key_id: str
    running: str
    finished: str
    worker: int
    endpoint: str
    package: str
    extra: dict = field(default_factory=dict)


WORKING = """
import os, pathlib, subprocess, sys, time
BASE = os.environ["BASE"]
print("pid", os.getpid(), flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(MARK)"])
state = pathlib.Path(BASE, "checkpoints/epoch")
epoch = int(state.read_text()) if state.exists() else 0
print("from", epoch, flush=True)
while epoch < 5 or (epoch < 500 and not pathlib.Path(BASE, "input/data/code/go").exists()):
    epoch += 1
    state.write_text(str(epoch))
    time.sleep(0.05)
child.kill()
pathlib.Path(BASE, "model/epochs").write_text(str(epoch))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A cloud with something of everything in it and a training under way, killed with -9 and started again."""
    workspace = tmp_path_factory.mktemp("killed") / ".fourscore"
    cloud = local_cloud.start(workspace, options=QUICK)
    lab = Outside(cloud)
    s3 = lab.with_bucket("kept").client("s3")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for text in ("one", "two"):
        lab.put("changed", text)
    lab.put("a b/ü'\"%20+", b"\x00\xff" * 5000)
    lab.put("gone", "x")
    s3.delete_object(Bucket="kept", Key="gone")
    s3.put_object(Bucket="kept", Key="first", Body=b"only", IfNoneMatch="*")
    tag = s3.get_object(Bucket="kept", Key="first")["ETag"]
    s3.put_object(Bucket="kept", Key="first", Body=b"then", IfMatch=tag)
    s3.copy_object(Bucket="kept", Key="copied", CopySource={"Bucket": "kept", "Key": "changed"})
    lab.put("changed", "three")
    upload = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    parts = [
        s3.upload_part(
            Bucket="kept", Key="parts", UploadId=upload, PartNumber=number, Body=bytes([number]) * (5 << 20)
        )["ETag"]
        for number in (1, 2)
    ]
    s3.complete_multipart_upload(
        Bucket="kept",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": tag} for n, tag in enumerate(parts)]},
    )
    s3.put_object_tagging(Bucket="kept", Key="changed", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    key_id = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    sagemaker = lab.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="models")
    finished = lab.run(step("done", "Processing", lab.processing("echo said")))
    package = sagemaker.create_model_package(
        ModelPackageGroupName="models", ModelApprovalStatus="PendingManualApproval"
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    mark = f"600.{uuid.uuid4().int}"
    train = lab.training(
        ["python", "-c", WORKING.replace("MARK", mark)], CheckpointConfig={"S3Uri": lab.uri("checkpoints/")}
    )
    running = lab.start(
        step("first", "Processing", lab.processing("true")),
        step("train", "Training", train, DependsOn=["first"]),
        step("last", "Processing", lab.processing("true"), DependsOn=["train"]),
    )
    until(lambda: "train" in lab.look(running).steps and lab.keys("checkpoints/epoch"))
    log = next((workspace / "cloud/jobs").glob("*train*/algo-1.log"))
    worker = int(until(lambda: log.read_text().startswith("pid") and log.read_text().split()[1]))
    versions = {
        each["VersionId"]: each["Key"] for each in s3.list_object_versions(Bucket="kept", Prefix="changed")["Versions"]
    }
    etag = s3.head_object(Bucket="kept", Key="parts")["ETag"]
    latest = s3.head_object(Bucket="kept", Key="changed")["VersionId"]
    os.kill(cloud.address.pid, signal.SIGKILL)
    until(lambda: not alive(cloud.address.pid))
    before = Before(
        lab,
        workspace,
        lab.role,
        mark,
        versions,
        latest,
        etag,
        key_id,
        running,
        finished.arn,
        worker,
        cloud.endpoint,
        package,
    )
    with (workspace / "cloud/journal.jsonl").open("ab") as file:
        file.write(b'{"n": 99999, "environ": {"REQ')  # killed while it wrote
    again = local_cloud.start(workspace, options=QUICK)
    before.lab = Outside(again, lab.role)
    before.lab.bucket, before.lab.pipeline = "kept", "kept"
    yield before
    local_cloud.stop(workspace)


def test_killed_it_has_every_object_with_its_content_and_its_conditions(killed):
    s3 = killed.lab.client("s3")
    found = {
        key: s3.get_object(Bucket="kept", Key=key)["Body"].read()
        for key in ("changed", "first", "copied", "a b/ü'\"%20+")
    }
    assert found == {"changed": b"three", "first": b"then", "copied": b"two", "a b/ü'\"%20+": b"\x00\xff" * 5000}
    assert killed.lab.keys("gone") == []
    assert s3.head_object(Bucket="kept", Key="parts")["ETag"] == killed.etag
    assert s3.get_object_tagging(Bucket="kept", Key="changed")["TagSet"] == [{"Key": "k", "Value": "v"}]
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="kept", Key="first", Body=b"late", IfNoneMatch="*")


def test_killed_it_gives_what_it_made_the_same_identifiers_again(killed):
    s3 = killed.lab.client("s3")
    versions = {
        each["VersionId"]: each["Key"] for each in s3.list_object_versions(Bucket="kept", Prefix="changed")["Versions"]
    }
    assert versions.items() <= killed.versions.items()  # an overwritten one may be forgotten
    assert s3.head_object(Bucket="kept", Key="changed")["VersionId"] == killed.latest
    assert killed.lab.client("kms").describe_key(KeyId=killed.key_id)["KeyMetadata"]["KeyId"] == killed.key_id
    assert killed.lab.client("iam").get_role(RoleName="sagemaker")["Role"]["Arn"] == killed.role


def test_killed_it_has_its_pipelines_packages_executions_and_logs(killed):
    sagemaker, logs = killed.lab.client("sagemaker"), killed.lab.client("logs")
    assert sagemaker.describe_model_package(ModelPackageName=killed.package)["ModelApprovalStatus"] == "Approved"
    assert (
        sagemaker.list_pipeline_versions(PipelineName="kept")["PipelineVersionSummaries"][0]["PipelineVersionId"] == 2
    )
    finished = killed.lab.look(killed.finished)
    assert (finished.status, finished.statuses()) == ("Succeeded", {"done": "Succeeded"})
    job = killed.lab.job(finished, "done")["ProcessingJobName"]
    (stream,) = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=job)[
        "logStreams"
    ]
    events = logs.get_log_events(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream["logStreamName"])[
        "events"
    ]
    assert [each["message"] for each in events] == ["said"]


def test_killed_it_is_found_by_those_who_know_where_it_was(killed):
    assert killed.lab.cloud.endpoint == killed.endpoint


def test_killed_it_takes_its_jobs_with_it(killed):
    left = [
        each
        for each in Path("/proc").glob("[0-9]*/cmdline")
        if killed.mark.encode() in (each.read_bytes() if each.exists() else b"")
    ]
    assert left == []


def test_killed_it_says_so_of_what_ran_and_a_retry_goes_on_from_the_checkpoint(killed):
    lab = killed.lab
    ran = lab.look(killed.running)
    assert (ran.status, ran.statuses()) == ("Failed", {"first": "Succeeded", "train": "Failed"})
    assert "was stopped while the execution ran" in ran.described["FailureReason"]
    job = lab.job(ran, "train")
    assert (job["TrainingJobStatus"], job["FailureReason"].split(":")[0]) == ("Failed", "InternalServerError")
    reached = int(lab.read("checkpoints/epoch"))
    lab.put("code/go", "")
    lab.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=killed.running)
    again = lab.ended(killed.running)
    assert again.statuses() == dict.fromkeys(["first", "train", "last"], "Succeeded")
    log = (killed.workspace / "cloud/jobs" / lab.job(again, "train")["TrainingJobName"] / "algo-1.log").read_text()
    assert int(log.split("from ")[1].split()[0]) >= reached


@pytest.mark.timeout(100)  # a job that hears no SIGTERM would have 120 seconds of grace
def test_stopped_it_ends_the_jobs_at_once_and_the_next_one_finds_them_failed(tmp_path):
    lab = Outside(local_cloud.start(tmp_path)).with_bucket("lake")
    arn = lab.start(step("p", "Processing", lab.processing("trap '' TERM; while :; do sleep 0.1; done")))
    lab.under_way(arn, "p")
    local_cloud.stop(tmp_path)
    lab = Outside(local_cloud.start(tmp_path), lab.role)
    try:
        assert lab.look(arn).status == "Failed"
    finally:
        local_cloud.stop(tmp_path)


def test_what_is_overwritten_takes_no_place_on_the_disk(place, cloud):
    s3, bodies = cloud.client("s3"), place / "cloud/bodies"
    s3.create_bucket(Bucket="checkpoints")

    def size():
        return sum(each.stat().st_size for each in bodies.iterdir())

    before = size()
    for number in range(4):
        s3.put_object(Bucket="checkpoints", Key="small", Body=bytes([number]) * 100_000)
        upload = s3.create_multipart_upload(Bucket="checkpoints", Key="large")["UploadId"]
        tag = s3.upload_part(
            Bucket="checkpoints", Key="large", UploadId=upload, PartNumber=1, Body=bytes([number]) * 300_000
        )["ETag"]
        s3.complete_multipart_upload(
            Bucket="checkpoints",
            Key="large",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
        )
    assert size() - before == 400_000
    for key in ("small", "large"):
        s3.delete_object(Bucket="checkpoints", Key=key)
    assert size() == before


def entry(number, method, path, query="", file=None, upload=None, **more):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": "Credential=k/d/r/s3/aws4_request",
    }
    found = {"n": number, "environ": environ | more, "body": ""}
    return found | ({"file": file} if file else {}) | ({"upload": upload} if upload else {})


def test_the_journal_forgets_what_was_overwritten_and_keeps_what_a_copy_was_made_of(tmp_path):
    journal = Journal(tmp_path)
    for name in ("old", "new", "part"):
        (journal.bodies / name).write_text(name)
    entries = [
        entry(1, "PUT", "/b"),
        entry(2, "PUT", "/b/live", file="old"),
        entry(3, "PUT", "/b/live", "tagging="),
        entry(4, "PUT", "/b/source"),
        entry(5, "PUT", "/b/copy", HTTP_X_AMZ_COPY_SOURCE="/b/source"),
        entry(6, "PUT", "/b/source"),
        entry(7, "POST", "/b/live", "uploads=", upload="u"),
        entry(8, "PUT", "/b/live", "partNumber=1&uploadId=u", file="part"),
        entry(9, "POST", "/b/live", "uploadId=u"),
        entry(10, "PUT", "/b/live", file="new"),
        entry(11, "DELETE", "/b/gone"),
        entry(12, "POST", "/b/aborted", "uploads=", upload="v"),
        entry(13, "DELETE", "/b/aborted", "uploadId=v"),
        entry(14, "POST", "/b/under-way", "uploads=", upload="w"),
    ]
    lines = [json.dumps(each) + "\n" for each in entries]
    journal.path.write_text("".join([*lines[:4], "\x00\x00 no entry\n", *lines[4:], '{"n": 15, "environ": {"REQ']))
    for _ in range(2):
        assert [each["n"] for each in journal.load()] == [1, 4, 5, 6, 10, 11, 14]
    assert [each.name for each in journal.bodies.iterdir()] == ["new"]
