"""A request in any form of SageMaker's and MLflow's clients gets the answers of the same rows, or one clear refusal."""

import contextlib
import io
import json
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_server import INTERVALS, JSON, model

from infra.serving import unpack
from infra.serving.refusals import Refusal

ROWS = [
    {"age": 30, "price": 5.5, "place": "north"},
    {"age": None, "price": 7.0, "place": "süd 'x'"},
    {"age": 41, "price": None, "place": "NA"},
]
CELLS = [list(row.values()) for row in ROWS]
NAMES = list(ROWS[0])
TABLE = pl.DataFrame(ROWS)


def ask(body, kind=JSON, accept="", served=None, **options):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    served = served or model()
    question = served.question(content, kind, accept, **{"most_rows": 1_000, **options})
    reply, quick = served.reply(question), served.quick_reply(question)
    assert quick in (None, reply)
    return reply


def predictions(body, kind=JSON, **options):
    return json.loads(ask(body, kind, **options).content)["predictions"]


def refusal(body, kind=JSON, **options):
    with pytest.raises(Refusal) as refused:
        ask(body, kind, **options)
    return refused.value


def dump(method, **options):
    file = io.BytesIO()
    getattr(TABLE, method)(file, **options)
    return file.getvalue()


FORMS = {
    "records": (ROWS, JSON),
    "split": ({"columns": NAMES, "data": CELLS}, JSON),
    "split with an index": ({"columns": NAMES, "data": CELLS, "index": [7, 8, 9]}, JSON),
    "lists": (CELLS, JSON),
    "other order and more": ([{"id": 1, **dict(reversed(row.items()))} for row in ROWS], JSON),
    "dataframe_split": ({"dataframe_split": {"columns": NAMES, "data": CELLS}}, JSON),
    "dataframe_records": ({"dataframe_records": ROWS}, JSON),
    "instances": ({"instances": ROWS}, JSON),
    "instances as lists": ({"instances": CELLS, "signature_name": "serving_default"}, JSON),
    "inputs": ({"inputs": {name: [row[name] for row in ROWS] for name in NAMES}}, JSON),
    "JSON lines": (b"\n".join(json.dumps(row).encode() for row in ROWS), "application/jsonlines"),
    "lines of lists": (b"\r\n".join(json.dumps(row).encode() for row in CELLS) + b"\r\n", "application/x-ndjson"),
    "CSV": (dump("write_csv"), "text/csv"),
    "CSV with a mark": (b"\xef\xbb\xbf" + dump("write_csv"), "text/csv; charset=UTF-8"),
    "CSV without header": (dump("write_csv", include_header=False), "text/csv"),
    "CSV that says so": (dump("write_csv", include_header=False), "text/csv; header=absent"),
    "semicolons": (dump("write_csv", separator=";"), "text/csv"),
    "tabs": (dump("write_csv", separator="\t", include_header=False), "text/csv"),
    "Parquet": (dump("write_parquet"), "application/x-parquet"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gets_the_same_answers(form):
    expected = model().predictor.answers(model().predictor.read(TABLE).frame).to_dicts()
    assert predictions(*FORMS[form]) == expected
    assert len({row["probability_yes"] for row in expected}) == 3


def test_one_object_is_one_row():
    assert predictions(ROWS[0]) == predictions(ROWS)[:1]


def test_one_line_in_is_one_line_out():
    lines = dump("write_csv", include_header=False).splitlines()
    singly = [ask(line, "text/csv", "text/csv").content for line in lines]
    assert b"".join(singly) == ask(b"\n".join(lines), "text/csv", "text/csv").content
    assert all(line.count(b"\n") == 1 for line in singly)
    line = json.dumps(ROWS[0]).encode()
    answer = ask(line, "application/jsonlines", "application/jsonlines").content
    assert answer.count(b"\n") == 1
    assert json.loads(answer) == predictions(ROWS)[0]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/html, application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("text/csv; header=absent", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
    ],
)
def test_accept_decides_the_form_of_the_answers(accept, kind):
    answer = ask(ROWS, accept=accept)
    assert answer.media == kind
    assert answer.rows == 3
    if kind == "text/csv":
        assert answer.content.startswith(b"prediction,") == ("absent" not in accept)


def test_unknown_forms_are_named_with_those_that_work():
    assert (refusal(ROWS, "application/x-npy").status, refusal(ROWS, "").status) == (415, 415)
    assert "text/csv, application/json" in refusal(ROWS, "application/x-npy").message
    assert refusal(ROWS, accept="image/png").status == 406
    assert refusal(b"age", "text/csv; charset=latin-1").status == 415


def test_each_bad_row_is_named_with_its_columns():
    bad = [ROWS[0], ROWS[1] | {"age": "old", "price": "dear"}, ROWS[2] | {"age": 1.5}]
    refused = refusal(bad)
    document = refused.document("r-1")
    assert refused.status == 400
    assert document["bad_rows"] == [{"row": 2, "columns": ["age", "price"]}, {"row": 3, "columns": ["age"]}]
    assert "column 'age': 2 values cannot be read as a whole number (rows 2, 3): 'old', '1.5'" in document["message"]
    assert (document["error_code"], document["request_id"]) == ("BAD_REQUEST", "r-1")


WRONG = {
    "no JSON": (b"{", JSON, "the body is not JSON"),
    "nothing": (b"", JSON, "not JSON"),
    "deep": (b"[" * 5_000, JSON, "depth"),
    "infinity": (b'[{"age": 1e999}]', JSON, "infinity"),
    "NaN": (b'[{"age": NaN}]', JSON, "not JSON"),
    "a number": (b"5", JSON, "no list"),
    "no rows": (b"[]", JSON, "no rows"),
    "numbers": (b"[1, 2]", JSON, "row 1 is a number"),
    "mixed rows": (b'[{"age": 1}, [2]]', JSON, "row 2 is a list"),
    "short row": (b"[[1, 2, 3], [4]]", JSON, "row 2 has 1 cells"),
    "missing column": (b'[{"age": 1, "place": "north"}]', JSON, "column 'price' is missing"),
    "list as a value": (b'[{"age": [1], "price": 1, "place": "north"}]', JSON, "column 'age'"),
    "object as a value": (b'[{"age": {"a": 1}, "price": 1, "place": "north"}]', JSON, "column 'age' is missing"),
    "split without rows": (b'{"columns": ["age"], "data": 3}', JSON, "are lists"),
    "twice": (b'{"columns": ["age", "age", "price", "place"], "data": [[1, 1, 1, "north"]]}', JSON, "two columns"),
    "uneven inputs": (b'{"inputs": {"age": [1], "price": [1, 2], "place": ["north"]}}', JSON, "columns of 1 and of 2"),
    "null rows": (b'{"instances": null}', JSON, "no list"),
    "no parameters": (b'{"instances": [], "params": 3}', JSON, "params is no object"),
    "a bad line": (b'{"age": 1}\n{', "application/jsonlines", "line 2 is not JSON"),
    "no text": (b"\xff\xfe", "text/csv", "not UTF-8"),
    "open quote": (b'age,price,place\n1,2,"north', "text/csv", "not CSV"),
    "ragged": (b"age,price,place\n1,2,north\n1,2\n", "text/csv", "row 2 has 2 cells"),
    "header only": (b"age,price,place\n", "text/csv", "no rows"),
    "no Parquet": (b"PAR1", "application/x-parquet", "no Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_table_is_refused_with_its_place(case):
    body, kind, sentence = WRONG[case]
    refused = refusal(body, kind)
    assert refused.status == 400
    assert sentence in refused.message


def test_more_rows_than_the_limit_are_refused():
    for body, kind in (FORMS["records"], FORMS["CSV"], FORMS["JSON lines"], FORMS["Parquet"], FORMS["inputs"]):
        assert refusal(body, kind, most_rows=2).status == 413


def test_many_names_cost_what_the_body_has_and_not_rows_times_names():
    records = [{**ROWS[0], f"other {i}": 1} for i in range(1_000)]
    assert len(predictions(records)) == 1_000
    assert refusal([{f"other {i}": 1} for i in range(1_000)]).message.endswith("other 19")


def test_fields_of_an_object_are_columns_with_a_point_in_their_name():
    inputs = [dict(model().schema["inputs"][0], name="home.age"), *model().schema["inputs"][1:]]
    served = model(inputs=inputs, numeric=["home.age", "price"])
    row = {"home": {"age": 30}, "price": 5.5, "place": "north"}
    assert predictions([row], served=served) == predictions(ROWS[:1])


def test_blanks_hide_words_only_where_pandas_made_the_rows():
    row = ROWS[0] | {"place": None}
    hidden, plain = ask({"dataframe_records": [row]}), ask([row])
    assert json.loads(hidden.content)["predictions"] == predictions([row | {"place": "NA"}])
    assert json.loads(plain.content)["predictions"] != json.loads(hidden.content)["predictions"]


def test_values_unlike_training_are_answered_and_said():
    answer = ask([ROWS[0] | {"age": 500, "place": "west"}, ROWS[1] | {"place": "west"}])
    document = json.loads(answer.content)
    assert len(document["predictions"]) == 2
    assert answer.unlike == {"age": 1, "place": 2}
    assert "outside of what training had, 0 to 100" in document["unlike_training"][0]


def test_intervals_are_added_where_the_request_or_the_server_asks_for_them():
    served = model(task="regression", classes=[], intervals=INTERVALS)
    [plain] = predictions(ROWS[0], served=served)
    assert list(plain) == ["prediction"]
    body = {"dataframe_records": ROWS[:1], "params": {"intervals": 0.95}}
    [wide] = predictions(body, served=served)
    assert wide == plain | {"prediction_low": plain["prediction"] - 2, "prediction_high": plain["prediction"] + 3}
    assert predictions(ROWS[0], served=served, level="0.95") == [wide]
    served.level = 0.95
    assert predictions(ROWS[0], served=served) == [wide]
    assert predictions(ROWS[0], served=served, level="0") == [plain]
    assert "no intervals of level 0.7" in refusal(ROWS[0], served=served, level=0.7).message
    assert "wanted a share" in refusal(ROWS[0], served=served, level="wide").message
    assert "wanted a share" in refusal(body | {"params": {"intervals": True}}, served=served).message
    assert "this model predicts classes" in refusal(ROWS[0], level="0.95").message


def test_numbers_keep_their_meaning_beside_others_and_text():
    mixed = [
        ROWS[0] | {"age": 30, "price": 5},
        ROWS[0] | {"age": 41.0, "price": 5.5},
        ROWS[0] | {"age": "30", "price": "5"},
    ]
    first, second, third = predictions(mixed)
    assert first == third == predictions(ROWS[0] | {"price": 5})[0]
    assert second == predictions(ROWS[0] | {"age": 41})[0]
    assert ask([ROWS[0] | {"age": 2**70}]).unlike == {"age": 1}


def test_a_column_without_a_name_is_one_that_the_model_does_not_need():
    assert predictions([row | {"": 1, "column_0": 2, " ": 3} for row in ROWS]) == predictions(ROWS)
    assert predictions({"columns": [*NAMES, ""], "data": [[*cells, 1] for cells in CELLS]}) == predictions(ROWS)


KEYS = st.sampled_from(
    [
        *NAMES,
        *(f" {name}" for name in NAMES),
        "",
        "column_0",
        "a.b",
        "dataframe_split",
        "inputs",
        "columns",
        "data",
        "params",
    ]
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.sampled_from(["north", "NA", "1,5", "2024-01-01", "\x00"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(KEYS, parts, max_size=3), max_leaves=6
)
RECORDS = st.lists(
    st.tuples(st.sampled_from(ROWS), st.dictionaries(KEYS, VALUES, max_size=3)).map(lambda pair: pair[0] | pair[1]), min_size=1, max_size=4
)  # fmt: skip
DOCUMENTS = st.one_of(
    VALUES,
    RECORDS,
    RECORDS.map(lambda rows: {"dataframe_records": rows}),
    RECORDS.map(lambda rows: {"instances": rows}),
)


def check_document(document):
    """The document is answered or refused; no other error is raised."""
    with contextlib.suppress(Refusal):
        ask(document)


@settings(max_examples=60)
@given(DOCUMENTS)
def test_any_json_is_answered_or_refused(document):
    check_document(document)


@pytest.mark.slow
def test_very_much_json_is_answered_or_refused():
    settings(max_examples=4_000)(given(DOCUMENTS)(check_document))()


def test_a_parquet_file_that_ends_the_process_which_reads_it_is_refused(monkeypatch):
    monkeypatch.setattr(unpack, "sys", SimpleNamespace(executable="/bin/false"))
    assert "no Parquet file that can be read" in refusal(*FORMS["Parquet"]).message
