"""Tables in JSON are read in the shapes that programs write, with a note, or refused by a sentence."""

import json

import pytest
from ingested import refused

ROWS = [{"age": 26, "city": "Lyon"}, {"age": 46, "city": "Graz"}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("content", "note"),
    [
        ({"data": ROWS}, "the list 'data' of the object"),
        ({"count": 2, "rows": ROWS, "next": None}, "the list 'rows' of the object"),
        ({"response": {"status": "ok", "items": ROWS}}, "the list 'response.items' of the object"),
        ({"schema": {"fields": [{"name": "age"}]}, "data": ROWS}, "the list 'data' of the object"),
        ({"columns": ["age", "city"], "index": [0, 1], "data": [[26, "Lyon"], [46, "Graz"]]}, "orient split"),
        ({"age": {"0": 26, "1": 46}, "city": {"0": "Lyon", "1": "Graz"}}, "orient columns"),
        ({"0": ROWS[0], "1": ROWS[1]}, "orient index"),
        ({"age": [26, 46], "city": ["Lyon", "Graz"]}, "one list for each column"),
        ([["age", "city"], [26, "Lyon"], [46, "Graz"]], "a list of rows, of which the first has the names"),
    ],
)
def test_tables_in_other_shapes_than_a_list_are_read_with_a_note(read, content, note, indent):
    table = read({"d.json": json.dumps(content, indent=indent)})
    assert (table["age"], table["city"]) == ([26, 46], ["Lyon", "Graz"])
    assert note in table.notes


def test_labels_of_rows_become_a_column(read):
    assert read({"d.json": json.dumps({"x": ROWS[0], "y": ROWS[1], "z": ROWS[0]})})["index"] == ["x", "y", "z"]
    by_column = {"age": {"x": 1, "y": 2, "z": 3}, "size": {"x": 4, "y": 5, "z": 6}}
    assert read({"d.json": json.dumps(by_column)})["index"] == ["x", "y", "z"]


def test_the_list_is_chosen_by_its_key(read):
    content = json.dumps({"a": ROWS, "b": {"c": [{"x": 1}, {"x": 2}], "d": [{"x": 3}]}})
    assert read({"d.json": content})["age"] == [26, 46]
    assert read({"d.json": content}, member="b.c")["x"] == [1, 2]
    refused(
        read, {"d.json": content}, match=r"no list of objects is called 'e'; the lists are: a, b\.c, b\.d", member="e"
    )
    refused(read, {"d.json": json.dumps({"a": ROWS, "b": ROWS})}, match=r"several lists of objects: a, b; .* member: a")


@pytest.mark.parametrize("name", ["d.ndjson", "d.json"])
@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b'\xef\xbb\xbf{"a":1}\n{"a":2}\n', [1, 2]),
        (b'{"a":1}\r\n\r\n{"a":2}\r\n', [1, 2]),
        (b'{"a":NaN}\n{"a":2}\n', [None, 2]),
        (b'\xef\xbb\xbf[{"a":NaN},{"a":2}]', [None, 2]),
        ('[{"a":1},{"a":2}]'.encode("utf-16"), [1, 2]),
        ('{"a":"é"}\n{"a":"è"}\n'.encode("latin-1"), ["é", "è"]),
        (b'[{"a": ":[ {{ [["}]' + b" " * 300, [":[ {{ [["]),
    ],
)
def test_small_faults_are_forgiven(read, name, content, values):
    assert read({name: content})["a"] == values


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            '{"a":1},\n{"a":2},\n',
            "line 1: no JSON: it ends with ','; write one object on each line and nothing between",
        ),
        ('{"a":1}\n{"a":\n', "line 2: no JSON: Expecting value: column 6"),
        ('{"a":1}\n{"a":2}\n3\n', "line 3: no object: '3'; a table is a list of objects"),
        ('{"a":1}\n{"a":Infinity}\n', "line 2: no JSON: Infinity is no number"),
        ('[{"a":1},]', "no JSON: Expecting value: line 1 column 10"),
        ('[{"a":1}, 3]', "item 2 of the list is no object: '3'"),
        ("[[1, 2], [3]]", "row 2 has 1 values and there are 2 columns"),
        ('{"a": {"b": 1}, "c": {"d": 2}}', "an object with the keys a, c, and no table"),
        ('[{"a": {"b": 1}}, {"a": 2}]', "'a' is an object or a list in some records and not in record 2"),
        ('[{"a": [1, 2]}]', "column 'a' holds lists.*--ignore a"),
        ("3", "one value and no table"),
        ('[{"a":' * 300 + "1" + "}]" * 300, "more than 200 deep"),
        ('{"a":' * 300 + "1" + "}" * 300 + "\n", "more than 200 deep"),
    ],
)
def test_what_is_no_table_is_refused_by_line_and_reason(read, content, match):
    refused(read, {"d.json": content}, match=match)
