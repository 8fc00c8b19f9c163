"""The extract of the API's shapes is what the installed botocore says."""

import re

import pytest

from infra.sagemaker import shapes


def test_the_extract_is_what_the_installed_botocore_says():
    """If it is not, botocore was updated: run 'python -m infra.sagemaker.shapes' and look at the difference."""
    pytest.importorskip("botocore")
    assert shapes.extract()["shapes"] == shapes.shapes()


def test_writing_the_extract_again_changes_nothing(tmp_path):
    pytest.importorskip("botocore")
    shapes.write(tmp_path / "shapes.json")
    assert (tmp_path / "shapes.json").read_bytes() == shapes.EXTRACT.read_bytes()


def test_every_pattern_can_be_read_and_every_name_is_there():
    known = shapes.shapes()
    for name, shape in known.items():
        re.compile(shape.get("pattern", ""))
        inner = [
            *shape.get("members", {}).values(),
            *(shape[part] for part in ("member", "key", "value") if part in shape),
        ]
        assert set(inner) <= set(known), name
