"""Every way to send a table gets the answers of `fourscore predict`, or is refused by the same sentence."""

import io
import json
import re
import sys
import warnings
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowException

from infra.serving import bodies
from infra.serving.model import Model
from infra.serving.refusals import Refusal
from infra.tracking import versions
from model_code.serving import Predictor, load
from model_code.tabular.encoding import describe
from pipelines.rows import read_rows
from steps import documents
from steps.errors import InputError
from steps.ingest import ColumnConfig, IngestConfig, Source, ingest
from steps.journal import Journal
from steps.tables.schema import TableSchema

TYPES = {"amount": "float", "count": "integer", "flag": "boolean", "day": "date", "moment": "datetime"}
TYPES |= {"code": "category", "word": "category", "truth": "category"}
NUMERIC = [name for name, kind in TYPES.items() if kind != "category"]
DAYS = ("%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d")
MOMENTS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
)
TRUTH = (("True", "False"), ("true", "false"), ("yes", "no"), ("1", "0"), ("T", "F"), ("ON", "OFF"))
CODES = (
    ("01234", "02134", "94110", "00501"),
    ("030", "0711", "089", "40"),
    ("1", "2", "10"),
    ("1E5", "2E3", "7"),
    ("1.0", "2.5", "3.10"),
    ("A1", "b2", "0x1"),
    ("123456789012345678", "000000000000000012"),
)
WORDS = (
    "süd 'x'",
    "north",
    "ein Wort, zwei",
    "Ελλάδα",
    "日本",
    'say "so"',
    "a;b",
    "\N{NO-BREAK SPACE}e\N{COMBINING ACUTE ACCENT}",
    "-",
)
STRANGE = {
    "amount": ("unknown", "12%", "1_0", "1e3", "+7", "nan", "-"),
    "count": ("12.5", "12.0", "1e3", "+5", "unknown", "NULL"),
    "flag": ("maybe", "2", " Yes ", "1.0", "True", "off"),
    "day": ("soon", "2023-11-01", "2023-11-01T08:00:00Z", "25/12/2023", "05.06.2023", "20231101", "2023/11/01"),
    "moment": (
        "2023-13-45",
        "2023-11-01",
        "2023-11-01T08:16:00Z",
        "2023-11-01 08:16:00.250+02:00",
        "2023-11-01T08:16",
        "11:30",
    ),
    "code": ("1234", "7", "007", "1.0", "1e5", "100000", "strange", "12", "True", "711.0"),
    "word": ("North", "süd", "0", "\N{ARABIC-INDIC DIGIT THREE}"),
    "truth": ("true", "FALSE", "y", "1"),
}


@st.composite
def tables(draw):
    """A training table and new rows as text cells, and how both are written."""
    day, moment = draw(st.sampled_from(DAYS)), draw(st.sampled_from(MOMENTS))
    decimal = draw(st.sampled_from(".,"))
    truth, codes = draw(st.sampled_from(TRUTH)), draw(st.sampled_from(CODES))
    missing = draw(st.sampled_from(["", "NA", "n/a", "?", "-999"]))
    instants = st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2039-12-31"))
    words = draw(st.lists(st.sampled_from(WORDS), min_size=2, unique=True))
    blank = draw(st.sampled_from(["", " "]))
    cells = {
        "amount": st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: repr(round(x, 4)).replace(".", decimal)),
        "count": st.integers(-998, 10**12).map(str),
        "flag": st.sampled_from(truth),
        "day": instants.map(lambda t: t.strftime(day)),
        "moment": instants.map(lambda t: t.strftime(moment)),
        "code": st.sampled_from(codes),
        "word": st.sampled_from(words).map(lambda word: blank + word + blank),
        "truth": st.sampled_from(["True", "False"] if draw(st.booleans()) else ["TRUE", "FALSE", "x"]),
    }

    def rows(count, strange):
        table = []
        for number in range(count):
            row = {name: draw(cell) for name, cell in cells.items()}
            for name in row:
                if name != "count" and draw(st.integers(0, 6)) == 0:
                    row[name] = missing
            if strange and draw(st.booleans()):
                column = draw(st.sampled_from([*STRANGE]))
                row[column] = draw(st.sampled_from(STRANGE[column]))
            table.append({**row, "id": f"{number:03}"})
        return table

    return SimpleNamespace(
        training=rows(6, strange=False),
        rows=rows(draw(st.integers(1, 5)), strange=True),
        delimiter=draw(st.sampled_from(",;\t|")),
        missing=("", "NA", "n/a", "?", "-999"),
        formats={"day": day, "moment": re.sub("Z$", "%#z", moment)},
        decimal=decimal,
    )


def csv_text(rows, delimiter):
    return pd.DataFrame(rows).to_csv(index=False, sep=delimiter)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A tiny model of these columns, loaded by predict and by MLflow; ``learn`` gives both the schema of a table."""
    import torch

    class Tiny(torch.nn.Module):
        def forward(self, numeric, category):
            scale = torch.tensor([1e-6, 1e-12, 1.0, 1e-9, 1e-9], dtype=torch.float64)
            place = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
            return (torch.nan_to_num(numeric, nan=-3.0) * scale).sum(1) + (category.to(torch.float64) * place).sum(1)

    folder = tmp_path_factory.mktemp("clients")
    (folder / "model").mkdir()
    batch = torch.export.Dim("batch")
    example = (torch.zeros(4, 5, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.int64))
    program = torch.export.export(Tiny(), example, dynamic_shapes=({0: batch}, {0: batch}))
    program.example_inputs = None
    torch.export.save(program, folder / "model/model.pt2")
    schema = {
        "format": 1,
        "task": "regression",
        "target": "y",
        "classes": [],
        "architecture": "tiny",
        "inputs": [],
        "numeric": NUMERIC,
    }
    schema["category"] = [name for name in TYPES if name not in NUMERIC]
    (folder / "model/schema.json").write_text(json.dumps(schema))
    versions.save(folder / "saved", folder / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        pyfunc = mlflow.pyfunc.load_model(str(folder / "saved"))
    predictor = load(folder / "model")

    def learn(table, number):
        place = folder / f"training {number}"
        (place / "table").mkdir(parents=True)
        (place / "raw/t").mkdir(parents=True)
        (place / "raw/t/01-t.csv").write_text(csv_text(table.training, table.delimiter), encoding="utf-8")
        columns = {name: ColumnConfig(type=kind, format=table.formats.get(name)) for name, kind in TYPES.items()}
        source = Source(
            path="t.csv", delimiter=table.delimiter, decimal=table.decimal, header=True, missing=table.missing
        )
        with Journal(place / "journal.jsonl") as log:
            ingest(place / "raw", place / "table", IngestConfig(sources={"t": source}, columns=columns), log)
        by_name = {column.name: column for column in documents.read(TableSchema, place / "table").columns}
        columns = [by_name[name].model_dump(include={"name", "type", "timezone", "reading"}) for name in TYPES]
        described = describe(pl.read_parquet(place / "table/data.parquet", glob=False), columns)
        for model in (predictor, pyfunc.unwrap_python_model().predictor):
            model.schema = schema | json.loads(json.dumps(described))

    return SimpleNamespace(folder=folder, predictor=predictor, pyfunc=pyfunc, learn=learn)


def sentence(error):
    """What a refusal says of columns and rows; the values are as the client wrote them."""
    lines = str(error).partition("Error: ")[2] or str(error)
    return [re.sub(r"\): '.*", ")", line) for line in lines.splitlines()]


def of_file(served, path):
    readout = read_rows(served.predictor, path).readout
    if readout.faults:
        raise InputError("\n".join(fault.text for fault in readout.faults))
    return served.predictor.answers(readout.frame)["prediction"].to_list()


def of_server(served, body, kind):
    from mlflow.pyfunc.scoring_server import invocations

    reply = invocations(body, kind, served.pyfunc, served.pyfunc.metadata.get_input_schema())
    return [answer["prediction"] for answer in json.loads(reply.response)["predictions"]]


def of_our_server(served, body, kind):
    fresh = Model(Predictor(served.predictor.schema, served.predictor._graph), "digest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "unpack", bodies.parquet_table)  # which takes a process for each file otherwise
        question = fresh.question(body, kind, most_rows=100)
    reply, quick = fresh.reply(question), fresh.quick_reply(question)
    assert quick in (None, reply)
    return [answer["prediction"] for answer in json.loads(reply.content)["predictions"]]


def json_bytes(frame, form):
    document = frame.to_json(orient=form, double_precision=15, date_format="iso", date_unit="us")
    return f'{{"dataframe_{form}": {document}}}'.encode()


def lines(frame):
    return frame.to_json(orient="records", lines=True).encode()


def of_parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def clients(served, table, number):
    """Ways to send the rows, by name; each a call that returns the answers."""
    text = csv_text(table.rows, table.delimiter)
    new = served.folder / f"new {number}"

    def read(**options):
        return pd.read_csv(io.StringIO(text), sep=table.delimiter, **options)

    def of_frame(frame):
        return served.pyfunc.predict(frame)["prediction"].tolist()

    def of_written(frame, suffix):
        path = new.with_suffix(suffix)
        if suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_json(path, orient="records", lines=True, double_precision=15, date_format="iso")
        return of_file(served, path)

    return {
        "pandas": lambda: of_frame(read()),
        "pandas, dtype=str": lambda: of_frame(read(dtype=str)),
        "pandas, keep_default_na=False": lambda: of_frame(read(dtype=str, keep_default_na=False)),
        "pandas, objects": lambda: of_frame(read().astype(object)),
        "pandas, nullable": lambda: of_frame(read().convert_dtypes()),
        "pandas, Arrow": lambda: of_frame(read(dtype_backend="pyarrow")),
        "pandas, categories": lambda: of_frame(read().astype("category")),
        "polars": lambda: of_frame(
            pl.read_csv(text.encode(), separator=table.delimiter, schema_overrides={"word": pl.String}).to_pandas()
        ),
        "server, CSV": lambda: of_server(served, csv_text(table.rows, ",").encode(), "text/csv"),
        "server, records": lambda: of_server(served, json_bytes(read(), "records"), "application/json"),
        "server, split": lambda: of_server(served, json_bytes(read(), "split"), "application/json"),
        "server, text records": lambda: of_server(served, json_bytes(read(dtype=str), "records"), "application/json"),
        "ours, CSV": lambda: of_our_server(served, text.encode(), "text/csv"),
        "ours, records": lambda: of_our_server(served, json_bytes(read(), "records"), "application/json"),
        "ours, split": lambda: of_our_server(served, json_bytes(read(), "split"), "application/json"),
        "ours, text records": lambda: of_our_server(served, json_bytes(read(dtype=str), "records"), "application/json"),
        "ours, lines": lambda: of_our_server(
            served, lines(read(dtype=str, keep_default_na=False)), "application/jsonlines"
        ),
        "ours, Parquet": lambda: of_our_server(served, of_parquet(read()), "application/x-parquet"),
        "Parquet": lambda: of_written(read(), ".parquet"),
        "Parquet, text": lambda: of_written(read(dtype=str), ".parquet"),
        "NDJSON": lambda: of_written(read(), ".ndjson"),
    }


def outcome(call):
    """The answers, or the sentence of the refusal."""
    try:
        return call()
    except (ValueError, InputError, MlflowException, Refusal) as error:
        return sentence(error)


def same(one, other):
    if one and isinstance(one[0], float) and other and isinstance(other[0], float):
        return len(one) == len(other) and np.allclose(one, other, rtol=1e-9, atol=1e-9)
    return one == other


def compare(served, table, number, counts):
    """Answers of predict and of every client for the same rows; counts what was compared."""
    served.learn(table, number)
    for rows in (table.training, table.rows):
        table = SimpleNamespace(**{**vars(table), "rows": rows})
        path = served.folder / f"new {number}.csv"
        path.write_text(csv_text(rows, table.delimiter), encoding="utf-8")
        expected = outcome(lambda: of_file(served, path))  # noqa: B023 - called at once
        if rows is table.training:
            assert isinstance(expected[0], float), expected
        for name, call in clients(served, table, number).items():
            answer = outcome(call)
            counts[name] += 1
            counts["refused"] += not isinstance(answer[0], float)
            assert same(answer, expected), (name, answer, expected)


def check(served, examples):
    """Compare on this many tables."""
    counts = Counter()

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(tables())
    def agree(table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            counts["tables"] += 1
            compare(served, table, counts["tables"], counts)

    agree()
    return counts


def test_every_client_gets_the_answers_of_predict_or_the_same_refusal(served):
    check(served, 5)


@pytest.mark.filterwarnings("ignore:column")
def test_text_that_may_be_two_numbers_is_refused_and_a_number_is_that_number(served):
    row = dict.fromkeys(TYPES, "") | {"amount": "1,5", "count": "3", "day": "2020-01-02", "code": "7", "word": "a"}
    training = [row | {"amount": amount, "id": amount} for amount in ("1,5", "2,25", "3000,5")]
    table = SimpleNamespace(
        training=training, delimiter=";", missing=("",), formats={"day": "%Y-%m-%d"}, decimal=",",
        rows=[row | {"amount": "1.234", "id": "x"}],
    )  # fmt: skip
    served.learn(table, "commas")
    path = served.folder / "doubtful.csv"
    path.write_text(csv_text(table.rows, ";"), encoding="utf-8")
    answers = {name: outcome(call) for name, call in clients(served, table, "commas").items()}
    refusal = outcome(lambda: of_file(served, path))
    assert "column 'amount': 1 value cannot be read as a number (row 1" in refusal[0]
    as_text = {"pandas, dtype=str", "pandas, keep_default_na=False", "server, text records", "Parquet, text"}
    as_text |= {"ours, CSV", "ours, text records", "ours, lines"}
    assert {name for name, answer in answers.items() if answer == refusal} == as_text
    numbers = [answer for name, answer in answers.items() if name not in as_text]
    assert all(same(answer, numbers[0]) for answer in numbers)
    assert isinstance(numbers[0][0], float)


@pytest.mark.slow
def test_every_client_gets_the_answers_of_predict_or_the_same_refusal_on_many_tables(served, capsys):
    counts = check(served, 200)
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(counts)}; no difference\n")
