"""Lines of the server's capture, of its log and of SageMaker's data capture become the same rows."""

import base64
import json
import random

import pytest
from monitored import SCHEMA

from steps.monitoring.captured import Skipped, batches, exchange_of

NAMES = [entry["name"] for entry in SCHEMA["inputs"]]
ROWS = [{"income": 1.5, "colour": "red"}, {"income": None, "colour": "blue"}]
TIME = "2026-03-01T10:00:00Z"


def sagemaker(body, media, encoding=None):
    text = base64.b64encode(body.encode()).decode() if encoding == "BASE64" else body
    output = {
        "observedContentType": "application/json",
        "data": '{"predictions": [{"prediction": "good"}]}',
        "encoding": "JSON",
    }
    return {
        "captureData": {
            "endpointInput": {"observedContentType": media, "data": text, "encoding": encoding},
            "endpointOutput": output,
        },
        "eventMetadata": {"eventId": "e1", "inferenceTime": TIME},
    }


@pytest.mark.parametrize(
    ("body", "media", "encoding"),
    [
        (json.dumps(ROWS), "application/json", "JSON"),
        (json.dumps({"instances": ROWS}), "application/json", "BASE64"),
        (
            json.dumps({"dataframe_split": {"columns": NAMES, "data": [[1.5, "red"], [None, "blue"]]}}),
            "application/json",
            None,
        ),
        ("\n".join(map(json.dumps, ROWS)), "application/jsonlines", None),
        ("1.5,red\n,blue\n", "text/csv", "CSV"),
        ("colour,income\nred,1.5\nblue,\n", "text/csv; charset=utf-8", "BASE64"),
    ],
)
def test_sagemakers_data_capture_is_read_in_the_forms_that_the_server_speaks(tmp_path, body, media, encoding):
    path = tmp_path / "capture.jsonl"
    path.write_text(json.dumps(sagemaker(body, media, encoding)) + "\n")
    skipped = Skipped()
    (batch,) = batches([path], SCHEMA, skipped)
    assert skipped.broken == []
    assert batch.rows["income"].to_list() == [1.5, None]
    assert batch.rows["colour"].to_list() == ["red", "blue"]
    assert batch.rows["_answer.prediction"].to_list() == ["good", None]


def test_the_reader_keeps_other_columns_for_labels_and_counts_what_it_cannot_read(tmp_path):
    inputs = [*ROWS, {"income": "much", "colour": "red"}]
    content = {
        "time": TIME,
        "request_id": "q",
        "inputs": [row | {"customer": 7} for row in inputs],
        "answers": [{}] * 3,
    }
    path = tmp_path / "capture.jsonl"
    path.write_text(json.dumps(content) + "\n")
    (batch,) = batches([path], SCHEMA, Skipped())
    assert batch.rows["_extra.customer"].to_list() == ["7", "7"]
    assert batch.rows["_row"].to_list() == [1, 2]
    assert batch.faults == {"income": 1}
    assert batch.requests.row(0, named=True)["unreadable"] == 1


@pytest.mark.parametrize("content", [{"event": "start"}, {"a": 1}, {"event": "answer", "request_id": "q"}])
def test_other_lines_of_the_log_are_passed_over(content):
    assert exchange_of(json.dumps(content).encode(), NAMES) is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '"a"', '{"inputs": [1]}', '{"inputs": [], "time": 3}', '{"captureData": {}}']
)
def test_broken_lines_are_counted_with_their_place(tmp_path, text):
    path = tmp_path / "capture.jsonl"
    path.write_text(text + "\n")
    skipped = Skipped()
    assert list(batches([path], SCHEMA, skipped)) == []
    assert skipped.broken[0].startswith("capture.jsonl:1: ")


def test_requests_that_another_model_answered_are_skipped(tmp_path):
    path = tmp_path / "capture.jsonl"
    contents = [{"time": TIME, "request_id": name, "model": name, "inputs": ROWS, "answers": []} for name in ("a", "b")]
    path.write_text("".join(json.dumps(content) + "\n" for content in contents))
    skipped = Skipped()
    (batch,) = batches([path], SCHEMA, skipped, digest="a")
    assert (batch.requests["_request"].to_list(), skipped.of_others) == (["a"], 1)


VALUES = [
    None,
    1,
    -1.5,
    "red",
    "",
    "1e999",
    10**30,
    True,
    [1],
    {"a": {"b": [1]}},
    "\x00",
    1e308,
    "NaN",
    "2026-01-01",
    [],
    {},
]
NAMES_IN_USE = ["income", "colour", "x", "_time", "_request", "_answer.prediction", "row", ""]
TIMES = [TIME, TIME, TIME, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-01", 5, None, "x"]


def test_whatever_a_line_holds_it_is_read_counted_or_passed_over(tmp_path):
    draw, path, rows = random.Random(0), tmp_path / "capture.jsonl", 0  # noqa: S311  the same lines each time
    for _ in range(60):
        contents = [
            {
                "time": draw.choice(TIMES),
                "request_id": draw.choice(["a", None, 5]),
                "inputs": [{draw.choice(NAMES_IN_USE): draw.choice(VALUES) for _ in range(3)} for _ in range(3)],
                "answers": [
                    {"prediction": draw.choice(VALUES), "probability_good": draw.choice(VALUES)} for _ in range(2)
                ],
                "status": draw.choice([200, "x", None, 10**30]),
                "seconds": draw.choice([0.1, "x", None, 1e300]),
            }
            for _ in range(3)
        ]
        path.write_text("".join(json.dumps(content) + "\n" for content in contents))
        rows += sum(batch.rows.height for batch in batches([path], SCHEMA, Skipped()))
    assert rows > 60
