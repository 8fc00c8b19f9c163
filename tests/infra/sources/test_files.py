"""Sources: which files a path stands for, and whether their content is still the same."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.sources import files
from infra.sources.files import digest, materialise, resolve
from steps.errors import FourscoreError, InputError


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "dätä [1] 'x'"
    folder.mkdir()
    for name, text in {"a.csv": "x\n1\n", "b.csv": "x\n2\n", "c d.csv": "x\n3\n", "notes.txt": "?"}.items():
        (folder / name).write_text(text)
        os.utime(folder / name, (1_600_000_000, 1_600_000_000))
    return folder


def exchange(path, text):
    """Other content of the same size and time, as ``cp -p`` or ``rsync -t`` leave it."""
    stat = path.stat()
    assert len(text) == stat.st_size
    while path.stat().st_ctime_ns == stat.st_ctime_ns:  # clocks of file systems tick every few milliseconds
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def resolve_one(path, base, workspace):
    return [file.name for file in resolve({"s": path}, base, workspace)["s"]]


def test_a_tilde_in_front_of_a_name_is_part_of_it(base, workspace, monkeypatch):
    (base / "~list.csv").write_text("x\n1\n")
    assert resolve_one("~list.csv", base, workspace) == ["~list.csv"]
    monkeypatch.setenv("HOME", str(base))
    assert resolve_one("~/a.csv", base, workspace) == ["a.csv"]


def test_a_link_to_nothing_and_a_device_are_named_as_what_they_are(base, workspace):
    (base / "link.csv").symlink_to("gone.csv")
    with pytest.raises(InputError, match=r"link\.csv is a link to gone\.csv, where there is no file"):
        resolve_one("link.csv", base, workspace)
    with pytest.raises(InputError, match="/dev/null is no regular file"):
        resolve_one("/dev/null", base, workspace)


def test_paths_are_relative_to_the_problem_file_and_may_be_absolute(base, workspace):
    assert resolve_one("a.csv", base, workspace) == ["a.csv"]
    assert resolve_one(str(base / "c d.csv"), Path("/"), workspace) == ["c d.csv"]
    assert resolve_one(f"file://{base / 'a.csv'}", Path("/"), workspace) == ["a.csv"]
    assert resolve_one(("b.csv", "a.csv"), base, workspace) == ["b.csv", "a.csv"]


def test_a_glob_gives_its_files_sorted(tmp_path, workspace):
    for name in ("part-2.csv", "part-1.csv", "other.txt"):
        (tmp_path / name).write_text(name)
    assert resolve_one("part-*.csv", tmp_path, workspace) == ["part-1.csv", "part-2.csv"]


def test_a_file_of_an_installed_package_is_found_without_importing_it(tmp_path, workspace, monkeypatch):
    package = tmp_path / "brittle"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data/table.csv").write_text("x\n1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_one("package://brittle/data/table.csv", tmp_path, workspace) == ["table.csv"]
    with pytest.raises(InputError, match=r"no file .*brittle/data/tabel.csv; did you mean 'table.csv'"):
        resolve_one("package://brittle/data/tabel.csv", tmp_path, workspace)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("aa.csv", r"source 's': there is no file .*aa.csv; did you mean 'a.csv'"),
        ("A.CVS", r"no file .*A.CVS; did you mean 'a.csv'"),
        ("nowhere/a.csv", "there is no folder"),
        ("*.parquet", "no file matches"),
        (".", r"is a folder; name its files"),
        ("package://no_such_package/x.csv", r"no package 'no_such_package' is installed here; install it"),
        ("package://numpy/../secret", "wanted package://NAME/path/inside"),
        ("package://numpy", "wanted package://NAME/path/inside"),
        ("ftp://host/a.csv", r"ftp:// is not supported; use a path"),
        ("http://example.org/a.csv", "wanted https://"),
        ("s3://bucket", "wanted s3://bucket/key"),
    ],
)
def test_what_is_not_there_is_named_with_what_would_work(base, workspace, path, match):
    with pytest.raises(InputError, match=match):
        resolve({"s": path}, base, workspace)


def test_the_digest_knows_content_not_names(base, workspace):
    before = digest(resolve({"s": "a.csv"}, base, workspace))
    (base / "a.csv").rename(base / "renamed.csv")
    assert digest(resolve({"s": "renamed.csv"}, base, workspace)) == before
    assert digest(resolve({"t": "renamed.csv"}, base, workspace)) != before
    assert digest(resolve({"s": "b.csv"}, base, workspace)) != before
    (base / "renamed.csv").rename(base / "a.tsv")
    assert digest(resolve({"s": "a.tsv"}, base, workspace)) != before


def test_other_content_of_the_same_size_and_time_is_read(base, workspace):
    first = resolve({"s": "a.csv"}, base, workspace)["s"][0]
    exchange(base / "a.csv", "x\n9\n")
    assert resolve({"s": "a.csv"}, base, workspace)["s"][0].sha256 != first.sha256


def test_a_file_that_cannot_be_read_is_named(base, workspace, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "sha256_of", refuse)
    with pytest.raises(InputError, match=r"source 's': .*a\.csv: cannot be read: Permission denied"):
        resolve({"s": "a.csv"}, base, workspace)


def test_copies_are_made_in_order(base, workspace, tmp_path):
    resolved = resolve({"s": ("b.csv", "c d.csv")}, base, workspace)
    materialise(resolved, tmp_path / "raw")
    assert [path.name for path in sorted((tmp_path / "raw/s").iterdir())] == ["01-b.csv", "02-c d.csv"]
    assert (tmp_path / "raw/s/02-c d.csv").read_text() == "x\n3\n"


def grow(path):
    path.write_text("x\n1\n2\n")


def exchange_link(path):
    path.unlink()
    path.symlink_to("b.csv")


CHANGES = {"longer": grow, "gone": Path.unlink, "same size and time": lambda path: exchange(path, "x\n9\n")}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changed_since_the_plan_is_refused(base, workspace, tmp_path, change):
    resolved = resolve({"s": "a.csv"}, base, workspace)
    CHANGES[change](base / "a.csv")
    with pytest.raises(FourscoreError, match=r"a.csv changed since the plan was made; nothing was kept, run again"):
        materialise(resolved, tmp_path / "raw")


def test_a_link_that_points_elsewhere_since_the_plan_is_refused(base, workspace, tmp_path):
    link = base / "link.csv"
    link.symlink_to("a.csv")
    resolved = resolve({"s": "link.csv"}, base, workspace)
    exchange_link(link)
    with pytest.raises(FourscoreError, match=r"link.csv changed since the plan was made"):
        materialise(resolved, tmp_path / "raw")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_reads_what_was_planned_even_if_the_file_is_exchanged_and_put_back(base, workspace, tmp_path, in_place):
    """Whoever compares before and after the step notices nothing; the step must not see what was there between."""
    path = base / "a.csv"
    text, stat = path.read_text(), path.stat()
    resolved = resolve({"s": "a.csv"}, base, workspace)
    materialise(resolved, tmp_path / "raw")
    if in_place:
        path.write_text("x\n9\n")
    else:
        path.rename(base / "kept.csv")
        path.write_text("x\n9\n")
    assert (tmp_path / "raw/s/01-a.csv").read_text() == text
    if in_place:
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        (base / "kept.csv").replace(path)
    assert (tmp_path / "raw/s/01-a.csv").read_text() == text


def test_a_file_that_only_got_another_name_or_permission_is_unchanged(base, workspace, tmp_path):
    resolved = resolve({"s": "a.csv"}, base, workspace)
    (base / "a.csv").chmod(0o600)
    (base / "another name.csv").hardlink_to(base / "a.csv")
    materialise(resolved, tmp_path / "raw")


def test_the_module_imports_nothing_heavy():
    program = "import sys, infra.sources.files; print(*sorted({'polars', 'numpy', 'boto3', 'urllib.request', 'pandas'} & set(sys.modules)))"
    root = Path(files.__file__).parents[2]
    output = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == ""


# https


@pytest.fixture
def server():
    """A server on this machine; ``content`` path -> (body, etag); ``asked`` what was asked and how it was answered."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body, etag = self.server.content.get(self.path, (None, None))
            if self.path == "/moved.csv":
                self.send_response(302)
                self.send_header("Location", "http://example.org/a.csv")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status = 404 if body is None else 304 if etag and self.headers.get("If-None-Match") == etag else 200
            self.server.requests.append((self.path, status))
            self.send_response(status)
            if etag:
                self.send_header("ETag", etag)
            body = body if status == 200 else b""
            self.send_header("Content-Length", str(len(body) + (10 if self.path == "/cut.csv" else 0)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.content, httpd.requests = {}, []
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_what_is_fetched_is_fetched_again_only_if_it_changed(server, base, workspace):
    server.content["/data/a%20b.csv"] = b"x\n1\n", '"1"'
    url = f"{server.url}/data/a%20b.csv"
    first = resolve({"s": url}, base, workspace)["s"][0]
    assert (first.name, first.path.read_bytes()) == ("a b.csv", b"x\n1\n")
    assert resolve({"s": url}, base, workspace)["s"][0] == first
    server.content["/data/a%20b.csv"] = b"x\n2\n", '"2"'
    assert resolve({"s": url}, base, workspace)["s"][0].sha256 != first.sha256
    assert [status for _, status in server.requests] == [200, 304, 200]


@pytest.mark.parametrize("name", ["answer.json", "lock", ".1.part", "content", "%2e%2e", "a%2Fb%00c.csv"])
def test_no_name_of_a_file_collides_with_what_is_kept_of_it(server, base, workspace, name):
    server.content[f"/{name}"] = b'{"etag": "none of ours"}\n', '"1"'
    url = f"{server.url}/{name}"
    first = resolve({"s": url}, base, workspace)["s"][0]
    assert first.path.read_bytes() == b'{"etag": "none of ours"}\n'
    assert first.path.is_relative_to(workspace)
    assert resolve({"s": url}, base, workspace)["s"][0] == first
    assert [status for _, status in server.requests] == [200, 304]


def test_what_a_server_does_not_have_or_cuts_off_or_sends_elsewhere_is_told(server, base, workspace):
    server.content["/cut.csv"] = b"x\n1\n", None
    with pytest.raises(InputError, match="answered 404"):
        resolve({"s": f"{server.url}/none.csv"}, base, workspace)
    with pytest.raises(FourscoreError, match=r"cut.csv|cannot be fetched"):
        resolve({"s": f"{server.url}/cut.csv"}, base, workspace)
    with pytest.raises(InputError, match="wanted https://"):
        resolve({"s": f"{server.url}/moved.csv"}, base, workspace)


def test_a_server_that_is_away_is_told_with_the_earlier_copy(server, base, workspace):
    server.content["/a.csv"] = b"x\n1\n", '"1"'
    url = f"{server.url}/a.csv"
    path = resolve({"s": url}, base, workspace)["s"][0].path
    server.shutdown()
    server.server_close()
    with pytest.raises(FourscoreError, match="cannot be fetched") as caught:
        resolve({"s": url}, base, workspace)
    assert str(path) in str(caught.value)


# S3


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a real (moto) S3 server."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake")
    client.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    yield client
    server.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_objects_of_s3_are_fetched_by_version(bucket, base, workspace):
    old = bucket.put_object(Bucket="lake", Key="in/a 1.csv", Body=b"x\n1\n")["VersionId"]
    bucket.put_object(Bucket="lake", Key="in/b.csv", Body=b"x\n2\n")
    first = resolve({"s": "s3://lake/in/*.csv"}, base, workspace)["s"]
    assert [file.name for file in first] == ["a 1.csv", "b.csv"]
    bucket.put_object(Bucket="lake", Key="in/a 1.csv", Body=b"x\n9\n")
    second = resolve({"s": "s3://lake/in/*.csv"}, base, workspace)["s"]
    assert [file.path.read_bytes() for file in second] == [b"x\n9\n", b"x\n2\n"]
    assert second[1] == first[1]
    pinned = resolve({"s": f"s3://lake/in/a 1.csv?versionId={old}"}, base, workspace)["s"]
    assert pinned[0].sha256 == first[0].sha256
    for uri, match in (
        ("s3://lake/in/none.csv", "404|no such object"),
        ("s3://lake/out/*.csv", "no object matches"),
        ("s3://pond/a.csv", "404|NoSuchBucket"),
    ):
        with pytest.raises(InputError, match=match):
            resolve({"s": uri}, base, workspace)


def test_s3_without_boto3_says_what_to_install(base, workspace, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(InputError, match=r"needs boto3; install the extra aws, .*: pip install -e '\.\[aws\]'"):
        resolve({"s": "s3://lake/a.csv"}, base, workspace)
