"""The settings of a file of which nothing is said are those of a source of which nothing is said."""

from dataclasses import asdict

from steps.tables.file_settings import FileSettings
from steps.tables.source import Source


def test_the_defaults_are_those_of_a_source():
    assert {"path": "a.csv", **asdict(FileSettings())} == dict(Source(path="a.csv"))
