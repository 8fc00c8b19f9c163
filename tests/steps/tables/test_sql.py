"""SQL of a problem file: queries over named tables run, whatever reads files by itself does not."""

# ruff: noqa: S608 - SQL is what is tested

import re

import polars as pl
import pytest

from steps.errors import InputError
from steps.labeling.rules import apply_rule
from steps.tables.query import join
from steps.tables.sql import check_query, check_tables

FILE = "('/tmp/x.csv')"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT * FROM read_csv{FILE}",
        f"select * from READ_parquet {FILE}",
        f'SELECT * FROM "read_csv"{FILE}',
        f"SELECT * FROM 'read_csv'{FILE}",
        f"SELECT * FROM scan_ndjson{FILE}",
        f"SELECT * FROM t JOIN read_csv{FILE} ON true",
        f"SELECT * FROM t, (read_csv{FILE}) r",
        f"SELECT * FROM t WHERE a IN (SELECT b FROM read_csv{FILE})",
        f"WITH q AS (SELECT * FROM read_csv{FILE}) SELECT * FROM q",
        f"SELECT 'it''s', c FROM read_csv{FILE}",
    ],
)
def test_a_function_that_reads_files_is_refused_however_it_is_written(query):
    with pytest.raises(
        InputError, match=r"data.query calls (read|scan)_\w+\(\.\.\.\), which reads files.*data.sources"
    ):
        check_query(query, "data.query")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM glob('*')",
        "SELECT * FROM t x, y, glob('*')",
        "SELECT * FROM t LEFT JOIN glob('*') g ON g.a = t.a",
        "SELECT * FROM (t CROSS JOIN glob('*'))",
        "SELECT * FROM (t, glob('*'))",
        "SELECT * FROM LATERAL glob('*')",
        "SELECT * FROM engine.glob('*')",
        "SELECT a FROM t WHERE b = (SELECT max(c) FROM glob('*'))",
        "SELECT a FROM t UNION SELECT b FROM glob('*')",
    ],
)
def test_any_function_in_the_place_of_a_table_is_refused(query):
    with pytest.raises(InputError, match=r"data.query takes rows from glob\(\.\.\.\), a function.*data.sources"):
        check_query(query, "data.query")


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("DROP TABLE t", "data.query does not run: it starts with 'drop'; write one statement, SELECT"),
        ("COPY t TO '/tmp/x'", "starts with 'copy'"),
        ("  ", "starts with nothing"),
    ],
)
def test_other_statements_are_refused(query, match):
    with pytest.raises(InputError, match=match):
        check_query(query, "data.query")


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("-- SELECT\nDELETE FROM t", "--"),
        ("  /* SELECT */ ", "/*"),
        (f"SELECT * FROM read_json/* x */{FILE}", "/*"),
        (f"SELECT 1 -- '\n FROM read_csv{FILE} -- '", "--"),
        (f"SELECT 1 /*! FROM read_csv{FILE} */", "/*"),
        (f"SELECT * FROM `read_csv`{FILE}", "`"),
        (f"SELECT E'\\'', c FROM read_csv{FILE}", "E'"),
        (f"SELECT 'a' \\, c FROM read_csv{FILE}", "\\"),
        (f"SELECT q'[']', c FROM read_csv{FILE}", "q'"),
        (f"SELECT $$'$$, c FROM read_csv{FILE}", "$"),
        ("SELECT DATE'2020-01-01' FROM t", "DATE'"),
        ("SELECT 'it FROM t", "'"),
    ],
)
def test_sql_in_which_another_reader_might_see_other_words_is_refused(query, start):
    with pytest.raises(InputError, match=f"data.query holds {re.escape(start)}, and only plain SQL is run"):
        check_query(query, "data.query")


@pytest.mark.parametrize(
    "query",
    [
        'SELECT \'FROM read_csv(1)\' AS made, "read_csv", "scan (x)" FROM t',
        "(SELECT a FROM t) UNION ALL (SELECT a FROM u);",
        "WITH q AS (SELECT a, count(*) AS n FROM t GROUP BY lower(a), b) SELECT * FROM q x, t y WHERE f(x.a) = g(y.a, 1)",
        "SELECT EXTRACT(year FROM date_trunc('month', d)), SUBSTRING(b FROM length(c)), TRIM(BOTH 'x' FROM lower(b)) FROM t",
        "SELECT a FROM t WHERE a IS NOT DISTINCT FROM abs(b) AND a IS DISTINCT FROM coalesce(b, 1)",
        "SELECT * FROM (VALUES (1, 2), (3, 4)) AS v(a, b)",
        "SELECT * FROM t AS x(a, b) JOIN u USING (a) ORDER BY lower(b), coalesce(a, 1)",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b), CASE WHEN f(a) > 1 THEN g(b) END FROM db.t",
        "SELECT t.read_csv, DATE '2020-01-01' FROM t WHERE a IN (1, 2)",
    ],
)
def test_queries_over_named_tables_are_allowed(query):
    check_query(query, "data.query")


def test_a_file_beside_the_sources_is_not_reached_by_a_query_or_a_rule(tmp_path):
    (tmp_path / "secret.csv").write_text("a\n7\n")
    pl.DataFrame({"_row": [1, 2], "a": [1, 9]}).write_parquet(tmp_path / "t.parquet")
    reading = f"read_csv('{tmp_path}/secret.csv')"
    with pytest.raises(InputError, match=r"data.query calls read_csv"):
        join({"t": tmp_path / "t.parquet"}, f"SELECT * FROM {reading}", {}, tmp_path, tmp_path / "out.parquet")
    for rule in (f"a > (SELECT max(a) FROM {reading})", f"1) AS made FROM {reading}"):
        with pytest.raises(InputError, match=r"label.rule calls read_csv\(\.\.\.\), which reads files.*data.sources"):
            apply_rule(tmp_path / "t.parquet", rule, ["a"])
    check_tables("CASE WHEN a > 3 THEN 'read_csv(' ELSE 'FROM f(x)' END", "label.rule")
    assert not (tmp_path / "out.parquet").exists()
