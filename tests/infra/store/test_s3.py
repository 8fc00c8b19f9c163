"""Behaviour of the store on S3 beyond the contract: other machines, lost responses, a busy service, plain messages."""

import base64
import hashlib
import shutil
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import botocore.endpoint
import numpy as np
import pytest
from published import KEY, publish
from toy import toy_plan, toy_record

from infra.backends.local import LocalBackend
from infra.places import open_store
from infra.s3.objects import Objects, parse_root, s3_client
from infra.store.ledger import divisions, ledgers
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution, Manifest
from infra.store.s3 import S3Store
from steps.errors import FourscoreError, InputError


@pytest.fixture
def machine(workspace, root):
    """A store on S3 as each of several machines has it."""
    return lambda name, **more: S3Store(workspace / name, root, **{"pause": 0.02, **more})


@pytest.fixture
def soon(monkeypatch):
    """Shorten every wait to a moment."""
    monkeypatch.setattr(
        botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
    )


def text_in(store):
    return (store.open(KEY, "table") / "data.txt").read_text()


def names_at(root):
    prefix = root.removeprefix("s3://lake/")
    entries = boto3.client("s3").list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])
    return sorted(item["Key"].removeprefix(prefix) for item in entries)


def object_at(root, name):
    return {"Bucket": "lake", "Key": f"{root.removeprefix('s3://lake/')}{name}"}


# Where a store can be


def test_a_root_ends_in_a_slash_which_may_be_left_out():
    assert parse_root("s3://my-team") == ("my-team", "")
    assert parse_root("s3://my-team/a b/c") == ("my-team", "a b/c/")
    assert S3Store(Path("w"), "s3://my-team/x").uri == "s3://my-team/x/"


@pytest.mark.parametrize(
    "uri", ["", "my-team/x", "https://my-team/x", "s3:/my-team", "s3://", "s3:///x", "s3://My_Team/x", "s3://a/x", "s3://my-team//x"]
)  # fmt: skip
def test_what_is_no_root_is_refused_with_an_example(uri, workspace):
    with pytest.raises(InputError, match=r"wanted s3://bucket/prefix/, such as s3://"):
        open_store(workspace, uri)


# One machine's work is every machine's


def test_a_run_on_one_machine_is_cached_on_every_other(workspace, root, machine):
    plan = toy_plan(workspace / "one", {})
    first = LocalBackend(machine("one")).run(plan, toy_record(plan), lambda *_: None)
    assert {stage.status for stage in first.stages} == {"ran"}
    second = LocalBackend(machine("two")).run(plan, toy_record(plan), lambda *_: None)
    assert {stage.status for stage in second.stages} == {"cached"}
    for stage in second.stages:
        assert (workspace / "two" / stage.journal).is_file()
    third = toy_plan(workspace / "three", {"judge": {"reject": True}})
    record = LocalBackend(machine("three")).run(third, toy_record(third), lambda *_: None)
    assert {stage.name: stage.status for stage in record.stages} == {
        "start": "cached",
        "double": "cached",
        "judge": "ran",
    }


def test_what_was_made_before_there_was_a_store_on_s3_is_brought_there_when_it_is_asked_for(workspace, machine):
    plan = toy_plan(workspace / "one", {})
    LocalBackend(LocalStore(workspace / "one")).run(plan, toy_record(plan), lambda *_: None)
    assert machine("two").find(plan.steps[0].key) is None
    again = LocalBackend(machine("one")).run(plan, toy_record(plan), lambda *_: None)
    assert {stage.status for stage in again.stages} == {"cached"}
    for planned in plan.steps:
        machine("two").verify(machine("two").find(planned.key))


def test_readings_of_the_sealed_test_set_are_counted_wherever_they_were_made(workspace, root, machine):
    """Also of other divisions of the same table, which this machine has never seen."""
    plan = toy_plan(workspace / "one", {})
    split = plan.steps[1].key
    for name, run, settings in (
        ("one", "first", {}),
        ("two", "second", {"judge": {"reject": True}}),
        ("three", "third", {"double": {"times": 3}}),
    ):
        plan_ = toy_plan(workspace / name, settings)
        LocalBackend(machine(name)).run(plan_, toy_record(plan_, run), lambda *_: None)
        machine(name).exchange_readings()
    for _ in range(2):
        machine("one").exchange_readings()
    for name, count in (("one", 2), ("two", 1), ("three", 2)):  # the third came after the second had looked
        assert sorted(line["run"] for line in ledgers(workspace / name)[split]) == ["first", "second"]
        assert divisions(workspace / name, split) == count


def test_an_input_that_rotted_on_s3_is_made_again(workspace, root, machine):
    plan = toy_plan(workspace / "one", {})
    LocalBackend(machine("one")).run(plan, toy_record(plan), lambda *_: None)
    key = plan.steps[0].key
    boto3.client("s3").put_object(**object_at(root, f"store/{key}/started/x.txt"), Body=b"rot")
    longer, events = toy_plan(workspace / "two", {"double": {"times": 5}}), []
    record = LocalBackend(machine("two", patience=0)).run(
        longer, toy_record(longer), lambda _, event: events.append(event)
    )
    assert {stage.name: stage.status for stage in record.stages} == {"start": "ran", "double": "ran", "judge": "ran"}
    (warning,) = [event["text"] for event in events if event.get("level") == "warning"]
    assert f"{root}store/{key}/started/x.txt differs from its manifest (stage start)" in warning
    machine("three").verify(machine("three").find(key))


def test_a_copy_that_rotted_here_is_put_aside_and_the_one_on_s3_is_read(workspace, machine):
    store = machine("one")
    publish(store)
    (workspace / "one/store" / KEY / "table/data.txt").write_text("rot")
    assert text_in(machine("one")) == "content"
    assert len(list((workspace / "one/quarantine").iterdir())) == 1


def test_a_cached_copy_that_rotted_is_fetched_again(workspace, machine):
    publish(machine("one"))
    path = machine("two").open(KEY, "table") / "data.txt"
    path.write_text("rot")
    assert text_in(machine("two")) == "content"
    journal = machine("two").file(KEY, "journal.jsonl")
    journal.write_text("rot")
    machine("two").verify(machine("two").find(KEY))


def test_nothing_is_kept_of_a_download_that_is_not_what_was_published(workspace, root, machine):
    publish(machine("one"))
    boto3.client("s3").put_object(**object_at(root, f"store/{KEY}/table/data.txt"), Body=b"cOntent")
    store = machine("two")
    for read in (lambda: store.open(KEY, "table"), lambda: store.file(KEY, "table/data.txt")):
        with pytest.raises(CorruptExecution, match=r"^s3://lake/.*/table/data\.txt differs from its manifest"):
            read()
    assert [path.name for path in (workspace / "two/s3").rglob("*") if path.is_file() and "data" in path.name] == []


def test_what_is_deleted_on_s3_is_made_again_though_it_was_seen_here(workspace, root, machine):
    publish(machine("one"))
    assert text_in(machine("two")) == "content"
    assert machine("two").file(KEY, "journal.jsonl").is_file()
    for name in names_at(root):
        boto3.client("s3").delete_object(**object_at(root, name))
    assert machine("two").find(KEY) is None
    assert machine("two").look(KEY) is not None, "a report of before still knows it"
    shutil.rmtree(workspace / "one")
    publish(machine("two"), "anew")
    assert text_in(machine("three")) == "anew"


def test_reading_what_is_here_asks_s3_nothing(workspace, root, machine, s3_server):
    publish(machine("one"))
    machine("two").open(KEY, "table")
    machine("two").file(KEY, "journal.jsonl")
    s3_server.requests.clear()
    assert text_in(machine("one")) == "content"
    assert machine("one").find(KEY)
    assert machine("two").look(KEY)
    machine("two").verify(machine("two").look(KEY))
    assert s3_server.requests == []


def test_processes_that_want_the_same_artifact_fetch_it_once(workspace, machine, s3_server):
    publish(machine("one"))
    s3_server.requests.clear()
    readers = [threading.Thread(target=lambda: machine("two").open(KEY, "table")) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len([path for method, path in s3_server.requests if method == "GET" and path.endswith("data.txt")]) == 1
    assert text_in(machine("two")) == "content"


# Publishing


@pytest.mark.parametrize("texts", [("one", "one", "one"), ("one", "two", "three")])
def test_threads_that_race_publish_once_and_all_are_told_what_counts(machine, soon, texts):
    stores = [machine(f"m{number}") for number in range(len(texts))]
    barrier, results = threading.Barrier(len(texts)), []

    def race(store, text):
        barrier.wait()
        results.append(publish(store, text).files)

    racers = [threading.Thread(target=race, args=pair) for pair in zip(stores, texts, strict=True)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(results) == len(texts)
    assert all(files == results[0] for files in results)
    assert {text_in(store) for store in stores} == {text_in(machine("another"))}


def test_the_first_execution_counts_and_the_run_that_made_another_says_so(workspace, machine):
    """Both work, since S3 has no lock; one is published, and the other machine goes on with that one."""
    plan, events = toy_plan(workspace / "one", {}), []
    key = plan.steps[0].key

    class Late(S3Store):
        def publish(self, directory, manifest):
            if manifest.key == key:
                with machine("two").working(key) as other:
                    shutil.copytree(directory, other, dirs_exist_ok=True)
                    (other / "started/x.txt").write_text("their x")
                    machine("two").publish(other, Manifest(key=key, step="start", ingredients={}, verdict="pass"))
            return super().publish(directory, manifest)

    record = LocalBackend(Late(workspace / "one", machine("one").uri)).run(
        plan, toy_record(plan), lambda _, event: events.append(event)
    )
    (text,) = [event["text"] for event in events if event.get("level") == "warning"]
    assert "has another execution of this step, with other files; it counts" in text
    assert record.status == "pass"
    doubled = machine("three").open(plan.steps[1].key, "doubled") / "x.txt"
    assert doubled.read_text() == "their xtheir x"
    assert len(list((workspace / "one/quarantine").iterdir())) == 1


def test_an_upload_that_was_abandoned_with_other_files_is_removed_and_one_that_goes_on_is_waited_for(
    root, machine, soon
):
    place, client = f"store/{KEY}/", boto3.client("s3")
    client.put_object(**object_at(root, f"{place}table/data.txt"), Body=b"of someone who died")
    client.put_object(**object_at(root, f"{place}table/more.txt"), Body=b"of someone who died")
    client.put_object(**object_at(root, f"{place}table/"), Body=b"")  # what the console makes to show a folder
    store, finished = machine("one"), threading.Event()
    waiting = threading.Thread(target=lambda: (publish(store), finished.set()))
    waiting.start()
    assert not finished.wait(0.5)
    store.patience = 0
    assert finished.wait(20)
    waiting.join()
    machine("two").verify(machine("two").find(KEY))
    assert names_at(root) == [
        f"{place}{name}" for name in ("journal.jsonl", "manifest.json", "table/", "table/data.txt")
    ]


def test_an_upload_that_took_long_looks_again_before_it_is_published(machine, root):
    """Someone may have thought us dead meanwhile, and removed our files to publish their own."""
    client, removals = s3_client(root), []

    def remove_once(**_):
        if not removals:
            removals.append(boto3.client("s3").delete_object(**object_at(root, f"store/{KEY}/table/data.txt")))
            time.sleep(0.1)

    client.meta.events.register("after-call.s3.PutObject", remove_once)
    publish(machine("one", patience=0.05, client=lambda: client))
    assert removals
    machine("two").verify(machine("two").find(KEY))


def test_nothing_of_an_execution_is_ever_overwritten(machine, root):
    publish(machine("one"))
    objects = Objects(root)
    assert not objects.put(f"store/{KEY}/manifest.json", b"{}")
    assert objects.put("runs/r/live/train.jsonl", b"1")
    assert objects.put("runs/r/live/train.jsonl", b"2")
    assert not objects.put("runs/r/live/train.jsonl", b"3", absent=True)
    assert objects.get("runs/r/live/train.jsonl") == b"2"


def test_large_files_travel_in_parts(machine, root, s3_server):
    store = machine("one")
    store.objects.part = 5 << 20
    content = np.random.default_rng(0).bytes((11 << 20) + 3)
    s3_server.requests.clear()
    with store.working(KEY) as directory:
        (directory / "table").mkdir()
        (directory / "table/large.bin").write_bytes(content)
        (directory / "table/small.bin").write_bytes(content[:100])
        store.publish(directory, Manifest(key=KEY, step="ingest", ingredients={}, verdict="pass"))
    parts = [item for item in s3_server.requests if item[0] == "PUT" and item[1].endswith("large.bin")]
    assert len(parts) == 3, s3_server.requests
    opened = machine("two").open(KEY, "table")
    assert (opened / "large.bin").read_bytes() == content
    name = f"store/{KEY}/table/large.bin"
    entry = machine("two").find(KEY).files["table/large.bin"]
    assert Objects(root).holds(name, entry), "it is recognised by what its uploader said of it"
    assert not Objects(root).holds(name, {**entry, "sha256": "0" * 64})


def test_objects_are_encrypted_with_the_key_that_is_given(workspace, root):
    key = "arn:aws:kms:us-east-1:123456789012:key/6d1f2a3b"
    publish(S3Store(workspace, root, kms_key=key))
    for name in names_at(root):
        head = boto3.client("s3").head_object(**object_at(root, name))
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_s3_compares_what_arrives_with_the_digest_of_the_manifest(machine, root):
    publish(machine("one"))
    head = boto3.client("s3").head_object(**object_at(root, f"store/{KEY}/table/data.txt"), ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"content").digest()).decode()


# Trouble on the way


@pytest.mark.slow
def test_a_service_that_refuses_every_third_request_is_asked_until_it_answers(workspace, machine, soon, s3_server):
    chance, refused = np.random.default_rng(7), []
    with s3_server.disturbed(refuses=lambda *_: chance.random() < 0.3 and not refused.append(1)):
        for number in range(3):
            store = machine("one")
            with store.working(f"{number:064}") as directory:
                for name in "ab":
                    (directory / name).mkdir()
                    (directory / name / "data.bin").write_bytes(chance.bytes(1000))
                store.publish(directory, Manifest(key=f"{number:064}", step="ingest", ingredients={}, verdict="pass"))
        for number in range(3):
            store = machine("two")
            assert (store.open(f"{number:064}", "a") / "data.bin").stat().st_size == 1000
    assert len(refused) > 3


def _of_manifests(method, path):
    return method == "PUT" and path.endswith("manifest.json")


def test_a_manifest_whose_answer_was_lost_is_found_to_be_there(machine, soon, s3_server):
    """The first time it is written and no answer comes; the next try is told that there is one; it is ours."""
    lost = []
    with s3_server.disturbed(loses=lambda *arguments: _of_manifests(*arguments) and not lost and not lost.append(1)):
        publish(machine("one"))
    assert lost
    assert text_in(machine("two")) == "content"


def test_a_manifest_that_never_gets_an_answer_is_looked_for(machine, soon, s3_server):
    with s3_server.disturbed(loses=_of_manifests):
        publish(machine("one"))
    assert text_in(machine("two")) == "content"


def test_work_is_kept_here_while_s3_is_away_and_brought_there_the_next_time(machine, root, soon, s3_server):
    impatient = machine("one", client=lambda: s3_client(root, attempts=3))
    with (
        s3_server.disturbed(refuses=_of_manifests),
        pytest.raises(FourscoreError, match=r"^s3://lake/.*SlowDown.*run again later"),
    ):
        publish(impatient)
    assert machine("two").find(KEY) is None
    assert text_in(machine("one")) == "content"
    s3_server.requests.clear()
    machine("one").push(KEY)
    assert [path for method, path in s3_server.requests if method == "PUT" and not path.endswith("manifest.json")] == []
    assert text_in(machine("two")) == "content"


def test_a_file_that_rotted_here_is_not_brought_to_s3(workspace, machine, root):
    publish(LocalStore(workspace / "one"))
    (workspace / "one/store" / KEY / "table/data.txt").write_text("rot")
    with pytest.raises(CorruptExecution, match=r"data\.txt differs from its manifest"):
        machine("one").push(KEY)
    assert names_at(root) == []


@pytest.mark.parametrize(
    ("disturb", "error", "message"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, FourscoreError, "S3 cannot be reached"),
        ({"AWS_PROFILE": "nobody"}, InputError, "nobody.*set AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, InputError, "no AWS credentials.*aws configure"),
        ({"AWS_SECRET_ACCESS_KEY": None}, InputError, "credentials.*aws configure"),
    ],
)
def test_what_is_wrong_here_is_said_in_one_message(workspace, root, soon, monkeypatch, disturb, error, message):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in disturb.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(error, match=f"^s3://lake/.*{message}") as caught:
        S3Store(workspace, root).find(KEY)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("AccessDenied", 403, "s3:ListBucket on the bucket, s3:GetObject"),
        ("ExpiredToken", 400, "have expired; sign in: run 'aws configure'"),
        ("KMS.DisabledException", 400, "enable the key"),
    ],
)
def test_what_s3_refuses_is_said_with_what_would_work(workspace, root, code, status, message):
    client = boto3.client("s3")

    def answer(request, **_):
        from botocore.awsrequest import AWSResponse

        class Raw:
            def stream(self):
                yield f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

            def read(self, *_):
                return b""

        return AWSResponse(request.url, status, {}, Raw())

    client.meta.events.register("before-send.s3", answer)
    with pytest.raises(InputError, match=f"^s3://lake/.*{message}"):
        S3Store(workspace, root, client=lambda: client).find(KEY)


def test_a_role_that_may_list_only_below_a_prefix_is_told_403_of_what_is_not_there_and_finds_out(machine, s3_server):
    with s3_server.disturbed(denies=lambda method, path: method == "GET" and path.endswith("manifest.json")):
        assert machine("one").find(KEY) is None
        publish(machine("one"))
        with pytest.raises(InputError, match=r"manifest\.json: S3 answered AccessDenied"):
            machine("two").find(KEY)


def test_a_bucket_that_is_not_there_is_named(workspace, root):
    with pytest.raises(InputError, match=r"^s3://pond/x/.*NoSuchBucket.*check its name"):
        S3Store(workspace, "s3://pond/x/").find(KEY)


def test_without_boto3_it_says_what_to_install(workspace, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(
        InputError, match=r"^s3://lake/: S3 needs boto3; install the extra aws, .*: pip install -e '\.\[aws\]'"
    ):
        S3Store(workspace, "s3://lake/").find(KEY)
