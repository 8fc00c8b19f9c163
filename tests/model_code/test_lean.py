"""What a library could do without is left out of an import, for the thread that asks for it and for nobody else."""

import importlib
import subprocess
import sys
import threading

import pytest

from model_code import lean

SPARE = """
try:
    import {optional}
except ImportError:
    {optional} = None
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Import, within a block that leaves its optional package out, a new library that does without."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lean, "_whole", False)

    def load(name):
        optional = f"{name}_optional"
        (tmp_path / f"{optional}.py").write_text("")
        (tmp_path / f"{name}.py").write_text(SPARE.format(optional=optional))
        importlib.invalidate_caches()
        with lean.without(optional):
            return importlib.import_module(name), optional

    return load


def test_the_import_misses_the_package_which_can_be_imported_later(library):
    module, optional = library("lean_once")
    assert getattr(module, optional) is None
    assert optional not in sys.modules
    assert importlib.import_module(optional)


def test_a_process_that_is_not_ours_imports_everything(library):
    lean.keep_whole()
    module, optional = library("lean_whole")
    assert getattr(module, optional)


def test_another_thread_imports_the_package_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lean, "_whole", False)
    (tmp_path / "lean_beside.py").write_text("")
    with lean.without("lean_beside"):
        with pytest.raises(ModuleNotFoundError, match="lean_beside is left out"):
            importlib.import_module("lean_beside")
        thread = threading.Thread(target=importlib.import_module, args=["lean_beside"])
        thread.start()
        thread.join()
        assert importlib.import_module("lean_beside") is sys.modules["lean_beside"], "it is there already"


def test_trees_import_neither_scikit_learn_nor_pandas():
    code = (
        "import sys, model_code.tabular.trees; print([name for name in ('sklearn', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
