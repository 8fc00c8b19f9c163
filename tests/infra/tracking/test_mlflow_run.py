"""Events of a journal arrive once, whole, and under names that MLflow takes and that stay different."""

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.runs.tail import Tail
from infra.tracking.mlflow_run import allowed_name


@given(st.text(min_size=1, max_size=300).filter(lambda text: "\n" not in text))
@settings(max_examples=200)
def test_every_name_becomes_one_that_mlflow_takes(name):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    allowed = allowed_name(f"model/{name}")
    _validate_metric_name(allowed)
    _validate_param_name(allowed)
    assert len(allowed) <= 250


@given(st.sets(st.text(alphabet="a(%=/. ", min_size=1, max_size=6), min_size=2))
def test_different_names_stay_different(names):
    assert len({allowed_name(name) for name in names}) == len(names)


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path):
    path, tail = tmp_path / "journal.jsonl", Tail()
    assert tail.read(path) == []
    path.write_bytes(b'{"kind": "note"}\n{"kind": "me')
    assert tail.read(path) == [{"kind": "note"}]
    path.rename(tmp_path / "moved.jsonl")
    with (tmp_path / "moved.jsonl").open("ab") as file:
        file.write(b'tric"}\n')
    assert tail.read(tmp_path / "moved.jsonl") == [{"kind": "metric"}]
