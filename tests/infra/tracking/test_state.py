"""The state of tracking is read whatever its file holds."""

import pytest

from infra.runs import records
from infra.tracking.state import is_complete, read_state, state_path


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "1", "{", "\udcff"])
def test_a_state_that_is_no_json_object_counts_as_none(workspace, content, write_run):
    write_run(workspace)
    state_path(workspace, "flights-1").write_text(content, errors="surrogateescape")
    assert read_state(workspace, "flights-1") == {}
    assert not is_complete(workspace, records.load(workspace, "flights-1"), None)
