"""What the tests of several modules of tables share."""

import pytest


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "d.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
