"""The config of a source refuses what no file can be read by."""

import pytest

from steps.tables.source import Source


@pytest.mark.parametrize("mark", ["¦", "‖", "“", "\n", "\r", "\0"])
@pytest.mark.parametrize("what", ["delimiter", "quote"])
def test_a_delimiter_or_quote_that_no_file_can_be_read_by_is_refused(what, mark):
    with pytest.raises(ValueError, match="use one ASCII character"):
        Source.model_validate({"path": "x", what: mark})


@pytest.mark.parametrize("marks", [{"delimiter": '"'}, {"delimiter": "'", "quote": "'"}])
def test_a_delimiter_that_is_the_quote_too_is_refused(marks):
    with pytest.raises(ValueError, match="is also the quote around cells"):
        Source.model_validate({"path": "x", **marks})
