"""Fixtures of the stage tests."""

import pytest
from ingested import Table

from steps.ingest import IngestConfig, ingest
from steps.journal import Journal


@pytest.fixture
def read(tmp_path):
    """``read({"file.csv": content}, ...)``: the table that ingest makes of one source ``data`` with these files."""
    count = 0

    def read(files, columns=None, query=None, sources=None, sample_rows=None, **source):
        nonlocal count
        count += 1
        place = tmp_path / f"{count} [a] b*"
        (place / "table").mkdir(parents=True)
        sources = sources or {"data": files}
        for name, contents in sources.items():
            folder = place / "raw" / name
            folder.mkdir(parents=True)
            for number, (file, content) in enumerate(contents.items(), 1):
                data = content.encode() if isinstance(content, str) else content
                (folder / f"{number:02}-{file}").write_bytes(data)
        config = IngestConfig.model_validate(
            {
                "sources": {name: {"path": "x", **source} for name in sources},
                "columns": columns or {},
                "query": query,
                "sample_rows": sample_rows,
            }
        )
        with Journal(place / "journal.jsonl") as log:
            ingest(place / "raw", place / "table", config, log)
        files = sorted(path.name for path in (place / "table").iterdir())
        assert files == ["data.parquet", "ingest.json", "schema.json"]
        return Table(place / "table", place / "journal.jsonl")

    return read
