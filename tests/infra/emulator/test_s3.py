"""The local cloud's S3 answers as moto's does, and keeps its objects as files."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from infra.s3.objects import Conflict, Objects

BUCKET = "lake"


@pytest.fixture(scope="module", params=["local cloud", "moto"])
def client(request, cloud):
    if request.param == "moto":
        return request.getfixturevalue("s3_server").client()
    place, server = cloud
    (place / "s3" / BUCKET).mkdir()
    return server.address.client("s3")


@pytest.fixture
def prefix(request):
    """A prefix of the test's own, with a blank, a quote, a plus and a letter outside ASCII."""
    return f"{abs(hash(request.node.name))}/a b'+%20 ü/"


@pytest.fixture
def root(client, prefix):
    return Objects(f"s3://{BUCKET}/{prefix}", client=lambda: client)


def test_what_is_written_is_read_and_listed_in_order(root):
    for name in ("b", "a/c d", "a b"):
        assert root.put(name, name.encode())
    listing = root.list("")
    assert list(listing) == ["a b", "a/c d", "b"]
    assert {name: entry.size for name, entry in listing.items()} == {"a b": 3, "a/c d": 5, "b": 1}
    assert all(-2 <= entry.age < 60 for entry in listing.values())
    assert list(root.list("a/")) == ["c d"]
    assert root.get("a/c d") == b"a/c d"
    assert root.get("nothing") is None
    assert root.get("a") is None


def test_an_object_is_written_only_where_there_is_none(root):
    assert root.put("x", b"1", absent=True)
    assert not root.put("x", b"2", absent=True)
    assert root.get("x") == b"1"


def test_an_object_is_deleted_only_in_the_version_that_was_read(root):
    root.put("x", b"1")
    old = root.list("")["x"].tag
    root.put("x", b"2")
    root.delete("x", old)
    assert root.get("x") == b"2"
    root.delete("x", root.list("")["x"].tag)
    assert root.get("x") is None
    root.delete("x", old)


def test_below_the_store_the_first_of_many_writers_wins(root):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: root.put("store/key/manifest.json", b"%d" % number), range(24)))
    assert results.count(True) == 1
    assert root.get("store/key/manifest.json") == b"%d" % results.index(True)


def test_files_travel_in_parts_and_are_compared_by_their_checksum(root, tmp_path):
    root.part = 5 << 20
    contents = {"small": b"s", "empty": b"", "large": bytes(range(256)) * (6 << 12)}
    files = {f"store/{name}": tmp_path / name for name in contents}
    entries = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        entries[f"store/{name}"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    root.upload(files, entries)
    assert all(root.holds(name, entry) for name, entry in entries.items())
    assert not root.holds("store/small", entries["store/small"] | {"sha256": "0" * 64})
    assert not root.holds("store/other", entries["store/small"])
    with pytest.raises(Conflict):
        root.upload(files, entries)
    root.download({f"store/{name}": tmp_path / "back" / name for name in contents})
    assert {name: (tmp_path / "back" / name).read_bytes() for name in contents} == contents


def test_a_part_of_an_object_is_read(client, prefix):
    client.put_object(Bucket=BUCKET, Key=f"{prefix}x", Body=b"0123456789")
    reply = client.get_object(Bucket=BUCKET, Key=f"{prefix}x", Range="bytes=2-4")
    assert (reply["Body"].read(), reply["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert client.get_object(Bucket=BUCKET, Key=f"{prefix}x", Range="bytes=7-")["Body"].read() == b"789"


def test_a_listing_comes_in_pages(client, prefix):
    for number in range(5):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}{number}", Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix=prefix, PaginationConfig={"PageSize": 2}
    )
    assert [[entry["Key"][-1] for entry in page["Contents"]] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]


def test_a_bucket_that_does_not_exist_is_named(client):
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.get_object(Bucket="no-such-bucket", Key="x")


# what moto does not do


def test_content_that_is_not_that_of_its_checksum_is_refused(lab):
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    with pytest.raises(ClientError, match="BadDigest"):
        lab.s3.put_object(Bucket=lab.bucket, Key="x", Body=b"x", ChecksumSHA256=wrong)
    assert lab.keys() == []


def test_an_upload_in_parts_can_be_abandoned(lab):
    name = {"Bucket": lab.bucket, "Key": "x"}
    name["UploadId"] = lab.s3.create_multipart_upload(**name)["UploadId"]
    lab.s3.upload_part(PartNumber=1, Body=b"x", **name)
    lab.s3.abort_multipart_upload(**name)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        lab.s3.upload_part(PartNumber=2, Body=b"x", **name)
    assert lab.keys() == []


def test_objects_are_files_and_a_key_that_is_not_a_path_is_refused(lab):
    lab.put("store/key/model.pt2", "weights")
    assert (lab.place / "s3" / lab.bucket / "store/key/model.pt2").read_text() == "weights"
    with pytest.raises(ClientError, match="is not a path"):
        lab.put("../../escaped", "x")
