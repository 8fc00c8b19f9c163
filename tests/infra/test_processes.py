"""Our modules as processes that go on without this one."""

from pathlib import Path

from infra.processes import spawn_module


def test_a_module_starts_in_any_directory_and_its_output_is_appended_to_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    process = spawn_module("infra.container", directory=Path("/"), log=log)
    assert process.wait(60) == 2
    assert log.read_text() == "before\nusage: python -m infra.container prepare|train|assess\n"


def test_a_piped_module_reads_its_pipe_and_has_the_variables(tmp_path):
    log = tmp_path / "log"
    process = spawn_module(
        "timeit", "-n1", "-r1", "import os, sys; sys.stdin.read(); print(os.environ['COLOUR'])",
        directory=tmp_path, log=log, environment={"COLOUR": "blue"}, piped=True,
    )  # fmt: skip
    assert process.poll() is None
    process.communicate(timeout=60)
    assert log.read_text().startswith("blue\n")
