"""A file is read as it shows and, where that fails, as the file of training was written; that file is always answered."""

import json

import polars as pl
import pytest

from model_code.serving import Predictor
from model_code.tabular.encoding import describe
from pipelines.rows import read_rows
from steps import documents
from steps.errors import InputError
from steps.ingest import IngestConfig, ingest
from steps.journal import Journal
from steps.tables.schema import TableSchema

COLUMNS = {"city": {"type": "category"}, "sales": {"type": "float"}, "open": {"type": "boolean"}}


def learn(place, content, name="t.csv", columns=COLUMNS, **options):
    """Ingest one file and return a predictor without a graph, and the path of that file."""
    (place / "raw/t").mkdir(parents=True)
    (place / "table").mkdir()
    path = place / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (place / f"raw/t/01-{name}").write_bytes(path.read_bytes())
    config = IngestConfig.model_validate({"sources": {"t": {"path": name, **options}}, "columns": columns})
    with Journal(place / "journal.jsonl") as log:
        ingest(place / "raw", place / "table", config, log)
    schema = documents.read(TableSchema, place / "table")
    described = describe(
        pl.read_parquet(place / "table/data.parquet", glob=False),
        [
            column.model_dump(include={"name", "type", "timezone", "reading"})
            for column in schema.features()
            if column.name != "y"
        ],
    )
    return Predictor(json.loads(json.dumps({"target": "y", "layout": schema.layout, **described})), None), path


def columns_of(rows):
    return rows.readout.frame.select("city", "sales", "open").to_dict(as_series=False)


CITIES = ["北京市朝阳区", "上海市浦东新区", "广州市天河区"] * 4
RECORDS = "".join(f'{city},"{1000 * i + 0.5:,}",{"yes" if i % 2 else "no"}\n' for i, city in enumerate(CITIES, 1))


def messy():
    """Title lines, a header that comes twice, thousands, and two lines of totals."""
    records = RECORDS.splitlines(keepends=True)
    header = "city,sales,open\n"
    body = "".join([*records[:6], header, *records[6:]])
    return f"销售报告\n今年草稿\n{header}{body}合计 12 行\n制表人 王\n".encode("gbk")


def test_the_training_file_of_a_model_is_answered_whatever_it_holds_beside_its_table(tmp_path):
    predictor, path = learn(tmp_path, messy(), encoding="gbk", skip=2, skip_footer=2)
    assert predictor.schema["layout"] == {"encoding": "gbk", "skip": 2, "skip_footer": 2}
    rows = read_rows(predictor, path)
    expected = pl.read_parquet(tmp_path / "table/data.parquet", glob=False)
    assert columns_of(rows) == expected.select("city", "sales", "open").to_dict(as_series=False)
    assert rows.readout.faults == rows.readout.remarks == ()
    assert rows.settings == predictor.schema["layout"]
    assert rows.blank == 1, "the header that is repeated"


def test_no_row_of_another_file_is_lost_to_lines_that_only_the_training_file_had(tmp_path):
    predictor, path = learn(tmp_path, messy(), encoding="gbk", skip=2, skip_footer=2)
    path.write_text('city,sales,open\n上海市浦东新区,"2,000.5",no\n北京市朝阳区,7,yes\n', encoding="utf-8")
    rows = read_rows(predictor, path)
    assert columns_of(rows)["sales"] == [2000.5, 7.0]
    assert rows.settings == {}


def test_a_last_record_with_a_wrong_cell_is_no_footer(tmp_path):
    records = "Ulm,1.5,yes\nBonn,2.5,no\n" * 9
    predictor, path = learn(tmp_path, f"city,sales,open\n{records}total,,many\n", skip_footer=1)
    assert read_rows(predictor, path).bad() == []
    path.write_text(f"city,sales,open\n{records}Ulm,unknown,yes\n")
    rows = read_rows(predictor, path)
    assert rows.bad() == [19]
    assert rows.settings == {}


def test_a_file_that_is_not_in_utf_8_is_read_in_the_encoding_of_training(tmp_path):
    content = "city,sales,open\n" + "".join(f"{'Łódź' if i % 2 else 'Płock'},{i},yes\n" for i in range(1, 20))
    predictor, path = learn(tmp_path, content.encode("cp1250"), encoding="cp1250")
    path.write_bytes("city,sales,open\nŁódź,3,no\n".encode("cp1250"))
    assert columns_of(read_rows(predictor, path))["city"] == ["Łódź"]
    path.write_text("city,sales,open\nŁódź,3,no\n", encoding="utf-8")
    assert columns_of(read_rows(predictor, path))["city"] == ["Łódź"]


@pytest.mark.parametrize("record", ["Ulm;3.5;yes;9", "Ulm;3.5;yes"], ids=["with the target", "without it"])
def test_names_of_training_name_the_columns_of_a_file_without_a_header(tmp_path, record):
    content = "".join(f"{'Ulm' if i % 2 else 'Bonn'};{i}.5;yes;{i}\n" for i in range(1, 20))
    predictor, path = learn(tmp_path, content, names=["city", "sales", "open", "y"], header=False)
    path.write_text(f"{record}\n{record}\n")
    assert columns_of(read_rows(predictor, path)) == {"city": ["Ulm"] * 2, "sales": [3.5] * 2, "open": [True] * 2}


def test_settings_of_a_person_are_used_alone_and_a_file_that_nothing_reads_is_refused_as_it_shows(tmp_path):
    predictor, path = learn(tmp_path, messy(), encoding="gbk", skip=2, skip_footer=2)
    with pytest.raises(InputError, match=r"set input\.skip_footer: 2"):
        read_rows(predictor, path, {"input.encoding": "gbk", "input.skip": "2"})
    path.write_text("town,sales\nx,1\n")
    with pytest.raises(InputError, match="column 'city' is missing"):
        read_rows(predictor, path)


def test_several_sources_leave_no_layout(tmp_path):
    (tmp_path / "raw/a").mkdir(parents=True)
    (tmp_path / "raw/b").mkdir()
    (tmp_path / "table").mkdir()
    for name in "ab":
        (tmp_path / f"raw/{name}/01-{name}.csv").write_text("title\nk,v\n1,2\n2,3\n")
    sources = {name: {"path": f"{name}.csv", "skip": 1} for name in "ab"}
    config = IngestConfig.model_validate({"sources": sources, "query": "SELECT a.k, b.v FROM a JOIN b ON a.k = b.k"})
    with Journal(tmp_path / "journal.jsonl") as log:
        ingest(tmp_path / "raw", tmp_path / "table", config, log)
    assert documents.read(TableSchema, tmp_path / "table").layout == {}


def test_a_damaged_parquet_file_is_refused_in_prediction_and_in_training(tmp_path):
    predictor, _ = learn(tmp_path, "city,sales,open\n" + "Ulm,1.5,yes\nBonn,2.5,no\n" * 9)
    path = tmp_path / "new.parquet"
    pl.DataFrame({"city": ["Ulm"], "sales": [1.5], "open": [True]}).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:175] + content[145:])  # polars panics, which is no Exception
    with pytest.raises(InputError, match=r"new\.parquet: cannot be read: the file is damaged"):
        read_rows(predictor, path)
    with pytest.raises(InputError, match=r"new\.parquet: cannot be read: the file is damaged"):
        learn(tmp_path / "training", path.read_bytes(), "new.parquet")
