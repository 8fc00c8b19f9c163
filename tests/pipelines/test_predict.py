"""predict reads a file as training read its own, says what is unlike training, and leaves out rows on request."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import reported
from reported import make_run
from tracked import SCHEMA, write_model

from infra.store.local import LocalStore
from infra.store.manifest import Manifest, is_published
from model_code import onnx_runtime, serving
from model_code.serving import Predictor
from model_code.tabular.encoding import describe
from pipelines.predict import WRITERS, _write, model_directory, predict_file, without_formulas
from pipelines.rows import read_rows
from steps import documents
from steps.errors import GateRefused, InputError
from steps.ingest import IngestConfig, ingest
from steps.journal import Journal
from steps.tables.schema import TableSchema

GERMAN = "kund;alter;betrag;seit;wann;ort\n" + "".join(
    f"{i};{'-999' if i % 5 == 0 else 20 + i};{i},5;{i:02}.03.2021;{i:02}.03.2021 10:30;{'k. A.' if i % 4 == 0 else 'Ulm'}\n"
    for i in range(1, 28)
)
COLUMNS = {
    "kund": {"type": "category", "role": "key"},
    "seit": {"type": "date"},
    "wann": {"type": "datetime", "timezone": "Europe/Berlin"},
}


@pytest.fixture
def trained(tmp_path):
    """Ingest sources given as (file, content, options); returns the inputs that a model of that table describes."""
    count = iter(range(100))

    def trained(*, query=None, columns=COLUMNS, **sources):
        place = tmp_path / f"training {next(count)}"
        (place / "table").mkdir(parents=True)
        config = {"sources": {}, "query": query, "columns": columns}
        for name, (file, content, options) in sources.items():
            (place / "raw" / name).mkdir(parents=True)
            if isinstance(content, pl.DataFrame):
                content.write_parquet(place / "raw" / name / f"01-{file}")
            else:
                (place / "raw" / name / f"01-{file}").write_text(content, encoding="utf-8")
            config["sources"][name] = {"path": file, **options}
        with Journal(place / "journal.jsonl") as log:
            ingest(place / "raw", place / "table", IngestConfig.model_validate(config), log)
        schema = documents.read(TableSchema, place / "table")
        described = describe(
            pl.read_parquet(place / "table/data.parquet", glob=False),
            [c.model_dump(include={"name", "type", "timezone", "reading"}) for c in schema.features()],
        )
        return json.loads(json.dumps(described))["inputs"]

    return trained


@pytest.fixture
def serve(tmp_path):
    def serve(inputs, content, name="new ü.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        readout = read_rows(Predictor({"inputs": inputs, "target": "y"}, None), tmp_path / name).readout
        if readout.faults:
            raise ValueError(readout.faults[0].text)
        return readout.frame.insert_column(0, readout.rows.alias("_row"))

    return serve


def test_a_marker_of_missing_values_is_missing_at_serving_and_not_a_number(trained, serve):
    inputs = trained(k=("k.csv", GERMAN, {"missing": ["-999", "k. A."]}))
    frame = serve(inputs, "alter;betrag;seit;wann;ort\n-999;1,5;01.03.2021;01.03.2021 10:30;k. A.\n")
    assert frame["alter"].to_list() == [None]
    assert frame["ort"].to_list() == [None]


def test_what_was_a_value_in_training_is_one_at_serving(trained, serve):
    inputs = trained(k=("k.csv", GERMAN.replace("Ulm", "NA"), {"missing": ["-999"]}))
    frame = serve(inputs, "alter;betrag;seit;wann;ort\n3;1,5;01.03.2021;01.03.2021 10:30;NA\n")
    assert frame["ort"].to_list() == ["NA"]


def test_a_decimal_comma_holds_where_a_file_alone_would_not_show_it(trained, serve):
    inputs = trained(k=("k.csv", GERMAN, {"missing": ["-999"]}))
    assert next(entry for entry in inputs if entry["name"] == "betrag")["reading"]["decimal"] == ","
    frame = serve(inputs, "alter\tbetrag\tseit\twann\tort\n3\t1,234\t01.03.2021\t01.03.2021 10:30\tx\n", "new.tsv")
    assert frame["betrag"].to_list() == [1.234]


def test_a_comma_that_may_separate_thousands_is_refused_where_training_had_points(trained, serve):
    inputs = trained(columns={}, k=("k.csv", "a;b\n1.5;2\n2.5;3\n", {}))
    with pytest.raises(ValueError, match=r"column 'a': 1 value cannot be read as a number \(row 1\): '1,234'"):
        serve(inputs, "a;b\n1,234;2\n")
    assert serve(inputs, "a;b\n1,234;2\n0,5;2\n")["a"].to_list() == [1.234, 0.5]


def test_dates_are_read_as_they_were_written_in_training(trained, serve):
    """One row of 03.04. could be read either way; the training data said which."""
    inputs = {entry["name"]: entry for entry in trained(k=("k.csv", GERMAN, {"missing": ["-999"]}))}
    assert inputs["seit"]["reading"]["format"] == "%d.%m.%Y"
    frame = serve(list(inputs.values()), "alter;betrag;seit;wann;ort\n3;1,5;03.04.2021;03.04.2021 10:30;x\n")
    assert str(frame["seit"][0]) == "2021-04-03"
    assert frame["wann"][0].isoformat() == "2021-04-03T10:30:00+02:00"
    frame = serve(list(inputs.values()), "alter;betrag;seit;wann;ort\n3;1,5;2021-04-03;2021-04-03T08:30Z;x\n")
    assert str(frame["seit"][0]) == "2021-04-03"
    assert frame["wann"][0].isoformat() == "2021-04-03T10:30:00+02:00"
    with pytest.raises(ValueError, match=r"'seit': 1 value cannot be read as a date .* written as %d.%m.%Y"):
        serve(list(inputs.values()), "alter;betrag;seit;wann;ort\n3;1,5;04/03/2021;03.04.2021 10:30;x\n")


def test_a_declared_format_travels_too(trained, serve):
    inputs = trained(
        columns={"d": {"type": "date", "format": "%m/%d/%Y"}}, k=("k.csv", "d,a\n03/04/2021,1\n05/06/2021,2\n", {})
    )
    assert str(serve(inputs, "d,a\n03/04/2021,1\n")["d"][0]) == "2021-03-04"


def test_every_input_keeps_the_way_of_its_own_source(trained, serve):
    inputs = trained(
        query="SELECT l.id, l.a, r.b, l.a * 2 AS twice, r.c AS renamed FROM l JOIN r ON l.id = r.id",
        columns={"id": {"role": "key"}},
        l=("l.csv", "id,a\n1,-999\n2,3.5\n3,4.5\n", {"missing": ["-999"]}),
        r=("r.csv", "id;b;c\n1;-999,5;4\n2;-999;5\n3;7,5;6\n", {}),
    )
    by_name = {entry["name"]: entry for entry in inputs}
    assert by_name["a"]["reading"].items() >= {"missing": ["-999"], "decimal": ".", "format": None}.items()
    assert by_name["b"]["reading"]["decimal"] == ","
    assert "reading" not in by_name["twice"]
    assert "reading" not in by_name["renamed"]
    frame = serve(inputs, 'a,b,twice,renamed\n-999,-999,7,1\n2.5,"-999,5",8,2\n"",,,\n')
    assert frame["_row"].to_list() == [1, 2]
    assert frame["a"].to_list() == [None, 2.5]
    assert frame["b"].to_list() == [-999, -999.5]
    assert frame["twice"].to_list() == [7, 8]


def test_a_row_that_one_source_would_call_blank_is_still_answered(trained, serve):
    inputs = trained(
        query="SELECT l.a, r.b FROM l JOIN r ON l.id = r.id",
        columns={},
        l=("l.csv", "id,a\n1,-999\n2,3\n", {"missing": ["-999"]}),
        r=("r.csv", "id,b\n1,1\n2,2\n", {}),
    )
    frame = serve(inputs, "a,b\n1,1\n-999,-999\n2,\n")
    assert frame.select("_row", "a", "b").rows() == [(1, 1, 1), (2, None, -999), (3, 2, None)]


def test_a_format_that_knows_types_says_nothing_of_how_text_is_written(trained, serve):
    inputs = trained(
        columns={}, k=("k.parquet", pl.DataFrame({"a": [-999, 2], "c": ["x", "y"]}), {"missing": ["-999"]})
    )
    assert "reading" not in inputs[0]
    assert inputs[1]["reading"].items() >= {"missing": ["-999"], "decimal": None, "format": None}.items()
    assert serve(inputs, "a,c\n-999,-999\n3,x\n").select("a", "c").rows() == [(-999, None), (3, "x")]


def test_a_model_from_before_is_read_as_ever(serve):
    inputs = [
        {"name": "a", "type": "float", "kind": "numeric"},
        {"name": "d", "type": "date", "kind": "datetime", "timezone": None},
    ]
    frame = serve(inputs, "a;d\nNA;2021-04-03\n1,5;2021-04-04\n")
    assert frame["a"].to_list() == [None, 1.5]


def test_how_a_table_was_read_does_not_depend_on_the_order_of_markers(trained):
    one = trained(k=("k.csv", GERMAN, {"missing": ["-999", "k. A.", "-999"]}))
    assert one == trained(k=("k.csv", GERMAN, {"missing": ["k. A.", "-999"]}))


@pytest.mark.parametrize("suffix", WRITERS)
def test_two_predictions_to_one_output_at_once_leave_one_of_them_whole(tmp_path, suffix):
    target = tmp_path / f"out 'ü{suffix}"
    tables = [pl.DataFrame({"prediction": [name] * 100_000}) for name in ("first", "second")]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(5):
            list(threads.map(_write, tables, [target] * 2))
            read = {".csv": pl.read_csv, ".parquet": pl.read_parquet}.get(suffix, pl.read_ndjson)
            assert read(target)["prediction"].value_counts()["count"].to_list() == [100_000]
    assert list(tmp_path.iterdir()) == [target]


def test_an_output_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(InputError, match=r"out.csv: cannot be written"):
        _write(pl.DataFrame({"prediction": [1]}), tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("name", [".in.csv", "2024-in.csv", "..csv"])
def test_a_file_is_read_whatever_its_name_begins_with(serve, name):
    inputs = [{"name": "a", "type": "float", "kind": "numeric"}]
    assert serve(inputs, "a,b\n1,2\n", name)["a"].to_list() == [1]
    with pytest.raises(InputError, match=rf"/{re.escape(name)}, the file has 2 columns, but line 3 has 1"):
        serve(inputs, "a,b\n1,2\nx\n", name)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("blank", "text"),
    [
        ((), None),
        ((2,), "1 record without any value skipped"),
        ((2, 3, 5, 7), "4 records without any value skipped"),
        ((6, 7), "2 records without any value skipped"),
    ],
)
@pytest.mark.parametrize("line", ["", "{commas}", "NA{commas}"])
def test_records_without_any_value_are_left_out_and_counted(tmp_path, capsys, model, blank, text, line):
    values = {"float": "1.5", "integer": "2", "boolean": "true", "date": "2021-04-03", "datetime": "2021-04-03 10:30"}
    inputs = SCHEMA["inputs"]
    line = line.format(commas="," * (len(inputs) - 1))
    full = ",".join(values.get(entry["type"]) or entry["vocabulary"][0] for entry in inputs)
    rows = [line if number in blank else full for number in range(1, 8)]
    (tmp_path / "in.csv").write_text("\n".join([",".join(entry["name"] for entry in inputs), *rows, ""]))
    result = predict_file(str(model), tmp_path / "in.csv", tmp_path / "out.csv", tmp_path, None, trust=WHY)
    assert result.get("blank_records", 0) == len(blank)
    assert ("blank_records" in result) == bool(blank)
    assert result["rows"] == 7 - len(blank)
    assert pl.read_csv(tmp_path / "out.csv")["row"].to_list() == [n for n in range(1, 8) if n not in blank]
    assert capsys.readouterr().err == (f"{tmp_path / 'in.csv'}: {text}\n" if text else "")


def test_rows_without_any_value_of_a_format_with_types_are_answered(tmp_path, model):
    names = [entry["name"] for entry in SCHEMA["inputs"]]
    (tmp_path / "in.ndjson").write_text(json.dumps(dict.fromkeys(names)) + "\n")
    result = predict_file(str(model), tmp_path / "in.ndjson", tmp_path / "out.csv", tmp_path, None, trust=WHY)
    assert result["rows"] == 1
    assert "blank_records" not in result


WHY = "this test made it"
GOOD = "age,price,when,code,place,id\n30,1.5,2021-04-03 10:30,1,north,007\n40,2.5,2021-04-04T10:30:00Z,2,north,008\n"


@pytest.fixture
def fourscore(tmp_path, model):
    """Run the command on a file with this content; returns click's result."""

    def fourscore(content, *arguments, output="out.csv"):
        return fourscore_of(model, tmp_path, *arguments, content=content, output=output)

    return fourscore


def fourscore_of(model, folder, *arguments, content=GOOD, output="out.csv"):
    from click.testing import CliRunner

    from pipelines.__main__ import main

    (folder / "new.csv").write_text(content, encoding="utf-8")
    command = ["predict", str(model), str(folder / "new.csv"), str(folder / output) if output != "-" else "-"]
    return CliRunner().invoke(main, [*command, "--workspace", str(folder), "--trust", WHY, *arguments])


def test_columns_are_copied_as_they_are_in_the_file(fourscore, tmp_path):
    assert fourscore(GOOD, "--keep", "id", "--keep", "place").exit_code == 0
    answers = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert answers.columns[:4] == ["row", "id", "place", "prediction"]
    assert answers["id"].to_list() == ["007", "008"]


@pytest.mark.parametrize(
    ("column", "message"),
    [("idd", "no such column; did you mean 'id'?"), ("prediction", "a column of that name already")],
)
def test_a_column_that_cannot_be_copied_is_refused_and_nothing_is_written(fourscore, tmp_path, column, message):
    result = fourscore(
        GOOD.replace("place,id", "place,prediction" if column == "prediction" else "place,id"), "--keep", column
    )
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A model directory whose schema has prediction intervals."""
    levels = {"0.8": {"low": [-1.0], "high": [1.5]}, "0.95": {"low": [-2.0], "high": [3.0]}}
    schema = SCHEMA | {"classes": [], "task": "regression", "intervals": {"rows": 50, "edges": [], "levels": levels}}
    return write_model(tmp_path_factory.mktemp("measured"), schema)


@pytest.mark.parametrize(("options", "ends"), [(["--intervals"], (-2, 3)), (["--level", "0.8"], (-1, 1.5)), ([], ())])
def test_numbers_come_with_an_interval_where_one_is_asked_for(measured, tmp_path, options, ends):
    result = fourscore_of(measured, tmp_path, *options)
    assert result.exit_code == 0, result.output
    table = pl.read_csv(tmp_path / "out.csv")
    assert table.columns == ["row", "prediction", *(["prediction_low", "prediction_high"] if ends else [])]
    for name, offset in zip(table.columns[2:], ends, strict=True):
        assert table[name].to_list() == pytest.approx((table["prediction"] + offset).to_list())


def test_an_interval_that_the_model_does_not_have_is_refused_in_words(measured, fourscore, tmp_path):
    result = fourscore_of(measured, tmp_path, "--level", "0.99")
    assert result.exit_code == 2
    assert "no intervals of level 0.99; it has: 0.8, 0.95" in result.output
    assert "this model predicts classes" in fourscore(GOOD, "--intervals").output


def test_the_registered_model_and_the_api_give_the_same_intervals(measured, tmp_path):
    import mlflow

    from infra.tracking import versions
    from pipelines import api

    versions.save(tmp_path / "saved", measured)
    frame = pl.read_csv(GOOD.encode(), schema_overrides={"id": pl.String})
    expected = api.Model(serving.load(measured)).predict(frame, intervals=0.8)
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    assert loaded.predict(frame.to_pandas(), params={"intervals": 0.8}).to_dict("list") == expected.to_dict(
        as_series=False
    )
    assert list(loaded.predict(frame.to_pandas()).columns) == ["prediction"]
    with pytest.raises(InputError, match=r"no intervals of level 0\.7"):
        api.Model(serving.load(measured)).predict(frame, intervals=0.7)


def test_a_dash_writes_the_predictions_and_nothing_else_to_standard_output(fourscore):
    result = fourscore(GOOD, "--keep", "id", output="-")
    assert result.exit_code == 0
    assert [line.split(",")[:2] for line in result.stdout.splitlines()] == [["row", "id"], ["1", "007"], ["2", "008"]]
    assert "2 predictions (columns" in result.stderr


def test_the_output_may_be_an_option_and_must_be_one(tmp_path, model):
    from click.testing import CliRunner

    from pipelines.__main__ import main

    (tmp_path / "new.csv").write_text(GOOD)
    command = ["predict", str(model), str(tmp_path / "new.csv"), "--trust", WHY]
    assert CliRunner().invoke(main, [*command, "-o", "-"]).stdout.startswith("row,prediction")
    for outputs in ([], ["a.csv", "-o", "b.csv"]):
        assert CliRunner().invoke(main, command + outputs).exit_code == 2


def test_one_bad_cell_is_named_with_what_training_had_and_what_would_work(fourscore, tmp_path):
    result = fourscore(GOOD.replace("\n40,", "\nunknown,"))
    assert result.exit_code == 2
    assert "column 'age': 1 value cannot be read as a whole number (row 2): 'unknown'; training had" in result.stderr
    assert "--skip-bad" in result.stderr
    assert "data.sources" not in result.stderr
    assert "data.columns" not in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_bad_rows_are_left_out_counted_and_listed(fourscore, tmp_path):
    result = fourscore(
        GOOD + "x,2.5,2021-04-04,2,north,009\n50,inf,soon,2,north,010\n", "--skip-bad", "--keep", "id", "--json"
    )
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["rows"] == 2
    assert summary["skipped"]["rows"] == [3, 4]
    assert [(fault["column"], fault["rows"]) for fault in summary["skipped"]["columns"]] == [
        ("age", [3]), ("price", [4]), ("when", [4])
    ]  # fmt: skip
    assert "2 of 4 rows left out (3, 4)" in result.stderr
    assert pl.read_csv(tmp_path / "out.csv", infer_schema=False)["id"].to_list() == ["007", "008"]


def test_a_file_of_bad_rows_only_is_refused(fourscore, tmp_path):
    result = fourscore("age,price,when,code,place\nx,1,2021-04-03,1,north\n", "--skip-bad")
    assert result.exit_code == 2
    assert "No row can be read" in result.stderr


def test_what_is_unlike_training_is_counted_by_column_and_answered(fourscore, tmp_path):
    content = GOOD.replace("north", "North")
    result = fourscore(content, "--json")
    assert result.exit_code == 0
    (remark,) = json.loads(result.stdout)["unlike_training"]
    assert (remark["column"], remark["kind"], remark["count"], remark["of"]) == ("place", "unseen", 2, 2)
    assert remark["values"] == {"North": 2}
    assert "column 'place': 2 of 2 values never seen in training (North; training had north, süd 'x')" in result.stderr
    (tmp_path / "out.csv").unlink()
    strict = fourscore(content, "--strict")
    assert strict.exit_code == 2
    assert "never seen in training (North; training had north, süd 'x')" in strict.stderr
    assert not (tmp_path / "out.csv").exists()
    assert fourscore(GOOD, "--strict").exit_code == 0


def test_the_shape_of_a_file_can_be_said_where_it_cannot_be_seen(fourscore, tmp_path):
    content = GOOD + "2 rows in all\n"
    result = fourscore(content)
    assert result.exit_code == 2
    assert "set input.skip_footer: 1" in result.stderr
    assert "--set input.FIELD=VALUE" in result.stderr
    assert fourscore(content, "--set", "input.skip_footer=1").exit_code == 0
    assert pl.read_csv(tmp_path / "out.csv").height == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [("input.skipp=1", "use one of input.format, input.delimiter"), ("input.skip=x", "input.skip: Input should be")],
)
def test_a_setting_that_no_file_has_is_refused(fourscore, setting, message):
    result = fourscore(GOOD, "--set", setting)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_model_of_a_rejected_run_is_used_only_by_those_who_ask_for_it(workspace, tmp_path, capsys):
    files = reported.documents() | {"train/model/model.pt2": {}}
    run = make_run(workspace, files=files, status="rejected", message="roc_auc >= 0.7: not met, the value is 0.692")
    (tmp_path / "in.csv").write_text("a\n1\n")
    refusal = r"(?s)run flights-1 was rejected, so .*:\nroc_auc >= 0.7: not met.*\nto look at .* say --rejected"
    with pytest.raises(GateRefused, match=refusal):
        predict_file(run, tmp_path / "in.csv", tmp_path / "out.csv", workspace, None)
    assert capsys.readouterr().err == ""
    assert model_directory(run, workspace, None, rejected=True).name == "model"
    assert (
        "run flights-1 was rejected, so its model must not be used for the decision:\n  roc" in capsys.readouterr().err
    )
    (directory,) = {path.parent for path in (workspace / "store").glob("*/model/model.pt2")}
    with pytest.raises(GateRefused, match=refusal):
        model_directory(str(directory), workspace, None, rejected=False)
    assert model_directory(str(directory), workspace, None, rejected=True) == directory
    capsys.readouterr()
    model_directory(make_run(workspace, "small", smoke=True), workspace, None, rejected=False)
    assert "run small is a rehearsal on a small sample" in capsys.readouterr().err


def test_a_directory_that_no_run_published_is_used_only_with_a_reason(tmp_path, model):
    (tmp_path / "new.csv").write_text(GOOD)
    files = (str(model), tmp_path / "new.csv", tmp_path / "out.csv", tmp_path, None)
    with pytest.raises(InputError, match=r"is not the model of a run of .* say --trust 'why you trust it'"):
        predict_file(*files)
    with pytest.raises(InputError, match="wanted a sentence"):
        predict_file(*files, trust="yes")
    assert not (tmp_path / "out.csv").exists()
    assert predict_file(*files, trust=WHY)["trusted"] == WHY


def test_the_directory_of_an_execution_is_used_as_long_as_it_is_as_it_was_published(workspace, model):
    store, key = LocalStore(workspace), "a" * 64
    with store.working(key) as directory:
        shutil.copytree(model, directory / "model")
        store.publish(directory, Manifest(key, "train", {}, "pass"))
    path = store.directory(key) / "model"
    assert is_published(workspace, path)
    (path / "extra.txt").touch()
    assert not is_published(workspace, path), "a file more is not what was published"
    (path / "extra.txt").unlink()
    (path / "schema.json").write_text("{}")
    assert not is_published(workspace, path)
    assert not is_published(workspace, model)


def test_onnxruntime_reads_what_a_run_published_and_nothing_that_is_only_trusted(workspace, tmp_path, model):
    store, key = LocalStore(workspace), "b" * 64
    with store.working(key) as directory:
        shutil.copytree(model, directory / "model")
        (directory / "model" / onnx_runtime.MODEL).write_bytes(b"no graph")
        store.publish(directory, Manifest(key, "train", {}, "pass"))
    header, row, *_ = GOOD.splitlines()
    (tmp_path / "many.csv").write_text("\n".join([header, *[row] * (serving.CHUNK + 1), ""]))
    files = (str(store.directory(key) / "model"), tmp_path / "many.csv", tmp_path / "out.csv", workspace, None)
    assert predict_file(*files, trust=WHY)["rows"] == serving.CHUNK + 1
    with pytest.raises(InputError, match=r"model\.onnx: onnxruntime does not read it"):
        predict_file(*files)


def test_a_file_without_a_header_is_answered_once_its_columns_have_names(fourscore):
    rows = GOOD.partition("\n")[2]
    result = fourscore(rows)
    assert result.exit_code == 2
    assert "The file has no header: name all its columns with --set 'input.names=" in result.stderr
    assert fourscore(rows, "--set", "input.names=[age, price, when, code, place, id]").exit_code == 0


def test_predicting_loads_no_library_of_training_or_tracking(model, tmp_path):
    (tmp_path / "in.csv").write_text(GOOD)
    code = (
        "import sys; from pathlib import Path; from pipelines.predict import predict_file;"
        "model, source, target, workspace, *heavy = sys.argv[1:];"
        "predict_file(model, Path(source), Path(target), Path(workspace), None, trust='a test wrote it');"
        "print([name for name in heavy if name in sys.modules])"
    )
    places = [model, tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "workspace"]
    heavy = [
        "torch",
        "onnx",
        "onnxruntime",
        "pandas",
        "sklearn",
        "mlflow",
        "duckdb",
        "boto3",
        "great_expectations",
        "pyarrow",
        "pydantic",
        "yaml",
    ]
    arguments = [sys.executable, "-c", code, *map(str, places), *heavy]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_text_that_a_spreadsheet_would_run_is_neutralized_on_request(fourscore, tmp_path):
    formulas = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "-5", "+1,234.5", "-1e5", "a=b"]
    table = pl.DataFrame({"=name": formulas, "number": [-1.5] * len(formulas)})
    neutral = without_formulas(table)
    assert neutral.columns == ["'=name", "number"]
    assert neutral.to_series(0).to_list() == [*(f"'{cell}" for cell in formulas[:5]), *formulas[5:]]
    assert neutral["number"].to_list() == table["number"].to_list()
    content = GOOD.replace("007", "=1+1")
    assert fourscore(content, "--keep", "id").exit_code == 0
    assert pl.read_csv(tmp_path / "out.csv")["id"].to_list() == ["=1+1", "008"]
    assert fourscore(content, "--keep", "id", "--neutralize-formulas").exit_code == 0
    assert pl.read_csv(tmp_path / "out.csv")["id"].to_list() == ["'=1+1", "008"]
