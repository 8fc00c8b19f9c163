"""Tables that the ingest stage wrote, and refusals of what it cannot read."""

import json
from pathlib import Path

import polars as pl
import pytest

from steps import documents
from steps.errors import InputError
from steps.journal import read_events
from steps.tables.schema import TableSchema


class Table:
    """The output of an ingest stage."""

    def __init__(self, directory: Path, journal: Path):
        self.directory = directory
        self.frame = pl.read_parquet(directory / "data.parquet", glob=False)
        self.schema = documents.read(TableSchema, directory)
        self.types = {column.name: column.type for column in self.schema.columns}
        self.report = json.loads((directory / "ingest.json").read_text())
        self.events = list(read_events(journal))
        self.notes = "\n".join(event["text"] for event in self.events if event["kind"] == "note")

    def __getitem__(self, column):
        return self.frame[column].to_list()


def csv_file(text, name="data.csv"):
    return {name: text}


def refused(read, *arguments, match, **options):
    """Check that a call raises a short InputError, and return its message."""
    with pytest.raises(InputError, match=match) as caught:
        read(*arguments, **options)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    return str(caught.value)
