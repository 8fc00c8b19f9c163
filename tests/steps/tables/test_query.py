"""What a query may give."""

import polars as pl
import pytest

from steps.errors import InputError
from steps.tables.parsing import Parse
from steps.tables.query import join


def test_a_query_whose_values_do_not_fit_the_declared_type_is_refused(tmp_path):
    pl.DataFrame({"_row": [1, 2], "a": [1.0, 2.5]}).write_parquet(tmp_path / "t.parquet")
    declared = {"half": Parse("integer", declared=True)}
    query = "SELECT a / 2 AS half FROM t"
    with pytest.raises(InputError, match=r"data\.query, column 'half': 2 values cannot be read as an integer"):
        join({"t": tmp_path / "t.parquet"}, query, declared, tmp_path, tmp_path / "out.parquet")


def test_a_query_may_not_give_a_column_of_a_reserved_name(tmp_path):
    pl.DataFrame({"_row": [1], "a": [1.0]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="gives a column '_label_source', which is reserved"):
        join({"t": tmp_path / "t.parquet"}, "SELECT a AS _label_source FROM t", {}, tmp_path, tmp_path / "out.parquet")
