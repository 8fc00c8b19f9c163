"""The server as a process: limits, request ids, hostile connections, and an end that loses no answer."""

import http.client
import io
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from model_server import JSON, ROOT, reply, running
from tracked import write_model

from infra.serving.model import load
from model_code.digest import directory_digest
from model_code.serving import load as load_predictor
from steps.errors import InputError

ROW = {"age": 30, "price": 5.5, "when": "2024-05-06T07:08:09", "code": "1", "place": "north"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="module")
def server(directory):
    capture = directory.parent / "captured"
    options = ("--max-mb=0.1", "--max-rows=500", "--arrival-seconds=1")
    with running(directory, *options, FOURSCORE_CAPTURE=str(capture)) as server:
        server.capture = capture
        yield server


def invoke(server, rows, **headers):
    return server.ask(body=json.dumps(rows).encode(), Content_Type=JSON, **headers)


def test_it_answers_as_the_model_does(server, directory):
    answer = invoke(server, [ROW])
    predictor = load_predictor(directory)
    expected = predictor.answers(predictor.read(pl.DataFrame([ROW])).frame).to_dicts()
    assert answer.status == 200
    assert json.loads(answer.content)["predictions"] == expected
    assert server.ask("GET", "/ping").status == 200


def test_an_answer_names_its_request_and_hostile_names_are_replaced(server):
    assert invoke(server, [ROW], X_Request_Id="a-1").headers["x-request-id"] == "a-1"
    sagemaker = invoke(server, [ROW], X_Amzn_SageMaker_Inference_Id="b/2")
    assert sagemaker.headers["x-amzn-sagemaker-inference-id"] == "b/2"
    for hostile in ("<script>", "x" * 200, "a b", ""):
        fresh = invoke(server, [ROW], X_Request_Id=hostile).headers["x-request-id"]
        assert fresh != hostile
        assert len(fresh) == 32


def test_what_is_wrong_has_a_status_of_its_own_and_never_5xx(server):
    assert server.ask("GET").status == 405
    assert server.ask("GET", "/nowhere").status == 404
    assert invoke(server, [{**ROW, "age": "old"}]).status == 400
    assert invoke(server, [ROW] * 501).status == 413
    assert server.ask(body=b"x" * 200_000, Content_Type=JSON).status == 413
    assert server.ask(body=b"x" * 5_000_000, Content_Type=JSON).status == 413
    assert server.ask(body=b"{}").status == 415


def test_a_slow_client_is_told_so_and_disconnected(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n["
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    for beginning in (b"", b"POST /invoc", b"POST /invocations HTTP/1.1\r\nHost:"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
            slow.sendall(beginning)
            assert slow.recv(100) == b"", "closed"


def test_broken_http_is_refused_and_the_server_goes_on(server):
    for broken in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"A" * 70_000,
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as broken_client:
            broken_client.sendall(broken)
            assert broken_client.recv(20).startswith(b"HTTP/1.1 400")
    assert invoke(server, [ROW]).status == 200


def test_many_at_once_all_get_their_own_answers(server):
    rows = [{**ROW, "age": age} for age in range(40)]
    with ThreadPoolExecutor(8) as threads:
        singly = list(threads.map(lambda row: invoke(server, [row]), rows))
    together = json.loads(invoke(server, rows).content)["predictions"]
    assert [json.loads(answer.content)["predictions"][0] for answer in singly] == together


def test_an_answer_on_an_open_connection_does_not_wait_for_an_acknowledgement(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        connection.request("GET", "/ping")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - start)
    connection.close()
    assert min(seconds) < 0.03


def test_metrics_count_requests_rows_and_what_is_unlike_training(server):
    def value(name):
        lines = server.ask("GET", "/metrics").content.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    before = value("fourscore_rows_total"), value('fourscore_unlike_training_total{column="code"}')
    invoke(server, [ROW | {"code": "77"}] * 3)
    assert value("fourscore_rows_total") == before[0] + 3
    assert value('fourscore_unlike_training_total{column="code"}') == before[1] + 3
    assert value("fourscore_resident_memory_bytes") < 150e6


def test_captured_requests_are_lines_with_the_rows_as_they_were_read(server):
    invoke(server, [ROW], X_Request_Id="kept-1")
    answer = invoke(server, [ROW, ROW | {"age": "41", "place": "strange"}], X_Request_Id="kept-2")
    until = time.monotonic() + 10
    while b"kept-2" not in (text := b"".join(path.read_bytes() for path in server.capture.iterdir())):
        assert time.monotonic() < until
    lines = {line["request_id"]: line for line in map(json.loads, text.splitlines())}
    assert lines["kept-1"]["inputs"][0]["age"] == 30
    assert lines["kept-2"]["inputs"][1]["age"] == 41
    assert lines["kept-2"]["answers"] == json.loads(answer.content)["predictions"]
    assert lines["kept-2"]["model"] == json.loads(server.ask("GET", "/ping").content)["model"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (server.capture, *server.capture.iterdir()))


def test_openapi_describes_the_columns_and_is_valid(server):
    document = json.loads(server.ask("GET", "/openapi.json").content)
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)
    row = document["components"]["schemas"]["Row"]
    assert row["required"] == list(ROW)
    assert "süd 'x'" in row["properties"]["place"]["description"]


PIECES = (
    *b'{}[]",:\\\n;\r\x00\xff0123456789.eE+-',
    *(b'"age":', b'"place":', b"null", b"true", b"1e999", b'{"instances":', b"[[", b"PAR1"),
)
KINDS = (JSON, "text/csv", "application/jsonlines", "application/x-parquet", "text/csv; header=present", "nonsense", "")


def fuzz(server, count, seed):
    """Bodies of chance and broken ones of every form on one connection; the statuses that they got."""
    chance = random.Random(seed)  # noqa: S311
    frame = pl.DataFrame([ROW] * 3)
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    whole = [json.dumps([ROW]).encode(), frame.write_csv().encode(), frame.write_ndjson().encode(), parquet.getvalue()]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    statuses = Counter()
    for _ in range(count):
        if chance.random() < 0.5:
            choices = chance.choices(PIECES, k=chance.randrange(60))
            body = b"".join(piece if isinstance(piece, bytes) else bytes([piece]) for piece in choices)
            kind = chance.choices(KINDS, (6, 6, 6, 1, 6, 1, 1))[0]
        else:
            form = chance.choices(range(len(whole)), (10, 10, 10, 1))[0]  # a process reads each Parquet file
            body, kind = bytearray(whole[form]), KINDS[form]
            for _ in range(chance.randrange(4)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            body = bytes(body[: chance.choice((len(body), chance.randrange(len(body)) + 1))])
        connection.request(
            "POST", "/invocations", body, {"Content-Type": kind, "Accept": chance.choice((*KINDS, "*/*"))}
        )
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
    connection.close()
    return statuses


def test_no_body_makes_it_fail_or_stand_still(server):
    statuses = fuzz(server, 120, 0)
    assert set(statuses) <= {200, 400, 406, 413, 415}, statuses
    assert statuses[200]
    assert invoke(server, [ROW]).status == 200


@pytest.mark.slow
def test_no_body_of_very_many_makes_it_fail_or_stand_still(server, capsys):
    statuses = fuzz(server, 5_000, time.time_ns())
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(statuses)}\n")
    assert set(statuses) <= {200, 400, 406, 413, 415}


def test_a_log_line_has_no_value_of_a_row(directory):
    with running(directory) as server:
        invoke(server, [ROW | {"place": "SECRET-1"}], X_Request_Id="r-1")
        invoke(server, [ROW | {"age": "SECRET-2"}])
        server.ask("POST", "/SECRET-3?SECRET-4=1")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["ready", "answer", "answer", "stopped"]
    assert (lines[1]["request_id"], lines[1]["status"], lines[1]["rows"]) == ("r-1", 200, 1)
    assert "SECRET" not in log


def test_sigterm_ends_what_is_in_progress_and_takes_nothing_new(directory):
    with running(directory) as server:
        body = json.dumps([ROW] * 20_000).encode()
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(reply(server.port, "POST", "/invocations", body, {"Content-Type": JSON}))
        )
        asking.start()
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        asking.join()
        assert server.process.wait(30) == 0
        with pytest.raises(OSError, match="refused"):
            invoke(server, [ROW])
    assert answers[0].status == 200
    assert len(json.loads(answers[0].content)["predictions"]) == 20_000


def test_a_model_of_another_digest_is_not_loaded(directory):
    digest = directory_digest(directory)
    assert load(directory, digest=digest).digest == digest
    with pytest.raises(InputError, match="changed since it was published"):
        load(directory, digest="0" * 64)
    with pytest.raises(InputError, match="no such directory"):
        load(directory / "nowhere")


def test_a_check_sees_the_digest_before_anything_is_loaded(directory):
    def refuse(place, digest):
        raise InputError(f"{digest} has no approval")

    with pytest.raises(InputError, match="has no approval"):
        load(directory, check=refuse)


def test_the_process_imports_neither_torch_nor_mlflow_nor_pandas(directory):
    code = (
        "import sys, pathlib; from infra.serving.model import load; from infra.serving import server;"
        f"load(pathlib.Path({str(directory)!r}), digest={directory_digest(directory)!r});"
        "print({'torch', 'mlflow', 'pandas', 'pydantic', 'pyarrow', 'sklearn', 'onnx'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
