"""A step is a function and its signature is its wiring."""

import pytest

from steps.core import Config, Input, Output, Pipeline, Scratch, execute, import_step, step
from steps.define import define
from steps.documents import Document
from steps.journal import Journal


class Empty(Config):
    """No settings."""


def make(result: Output, config: Empty, log: Journal) -> None:
    (result / "a.txt").write_text("a")


def copy(result: Input, copied: Output, notes: Scratch, config: Empty, log: Journal) -> None:
    (copied / "a.txt").write_text((result / "a.txt").read_text() * 2)
    log.metric("data/rows", 2)


def test_a_signature_says_what_a_step_reads_and_writes():
    read = step(copy)
    assert (read.name, read.inputs, read.outputs, read.scratch) == ("copy", ("result",), ("copied",), ("notes",))
    assert read.config_type is Empty


def test_a_step_with_a_parameter_that_says_nothing_is_refused():
    def odd(result: Output, config: Empty, log: Journal, depth: int) -> None: ...

    with pytest.raises(TypeError, match="'depth' is neither"):
        step(odd)


def test_documents_of_a_step_are_types_or_paths():
    class Summary(Document):
        artifact, file = "result", "summary.json"

    assert step(make, documents=[Summary, "result/a.txt"]).documents == ("result/summary.json", "result/a.txt")


def test_a_step_without_a_config_is_refused():
    def odd(result: Output, log: Journal) -> None: ...

    with pytest.raises(TypeError, match="wants a 'config'"):
        step(odd)


def test_a_step_of_no_known_layer_or_with_a_document_of_no_output_is_refused():
    with pytest.raises(TypeError, match="layer 'cellar' is not one of data, framework, model, application"):
        step(make, layer="cellar")
    with pytest.raises(TypeError, match=r"document 'copied/a.txt' is not in one of its outputs"):
        step(make, documents=["copied/a.txt"])


def test_a_step_is_imported_by_its_address():
    address = step(define).address
    assert (address, import_step(address).name) == ("steps.define:define", "define")


def test_a_pipeline_that_reads_what_nothing_wrote_is_refused_when_it_is_built():
    with pytest.raises(TypeError, match="copy reads 'result', which nothing before it writes"):
        Pipeline("pair", step(copy), step(make))


def test_a_pipeline_that_writes_an_artifact_twice_is_refused():
    with pytest.raises(TypeError, match="which outside writes already"):
        Pipeline("pair", step(make), sources={"result": object})


def test_execute_gives_each_parameter_its_directory(tmp_path):
    for name in ("result", "copied", "notes"):
        (tmp_path / name).mkdir()
    directories = {name: tmp_path / name for name in ("result", "copied", "notes")}
    with Journal(tmp_path / "journal.jsonl") as log:
        for entry in Pipeline("pair", step(make), step(copy)):
            execute(entry, directories, Empty(), log)
    assert (tmp_path / "copied/a.txt").read_text() == "aa"
    assert '"data/rows"' in (tmp_path / "journal.jsonl").read_text()


def test_a_config_refuses_a_misspelt_field_and_a_change():
    with pytest.raises(ValueError, match="colour"):
        Empty(colour="red")


class Labelled(Config):
    names: dict[str, dict[str, int]]


def test_what_a_step_is_given_does_not_depend_on_an_order_that_its_key_does_not_see(tmp_path):
    config_value = []

    def look(result: Output, config: Labelled, log: Journal) -> None:
        config_value.append(list(config.names["x"]))

    for names in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        with Journal(tmp_path / "journal.jsonl") as log:
            execute(step(look), {"result": tmp_path}, Labelled(names={"x": names}), log)
    assert config_value[0] == config_value[1]
