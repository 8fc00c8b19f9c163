"""The command line in this process: the same parser, messages and exit codes without the imports of a new process."""

import contextlib
import os
import shutil
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from click.testing import CliRunner

from pipelines.__main__ import main

EXAMPLE = Path(__file__).parents[2] / "examples/breast-cancer"


def small_example(folder):
    """Copy the smallest example, with one candidate, two folds and few epochs."""
    shutil.copytree(EXAMPLE, folder)
    problem = folder / "problem.yaml"
    text = problem.read_text(encoding="utf-8")
    for line, shorter in (("[linear, mlp]", "[linear]"), ("{ epochs: 30 }", "{ epochs: 5 }\n  folds: 2")):
        assert line in text
        text = text.replace(line, shorter)
    problem.write_text(text, encoding="utf-8")


def fourscore(*arguments, cwd, environment=()):
    """Exit code, standard output and standard error of a command that is run in a folder."""
    with contextlib.chdir(cwd), patch.dict(os.environ, environment):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    stderr = result.stderr
    if result.exception and not isinstance(result.exception, SystemExit):
        stderr += "".join(traceback.format_exception(result.exception))
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=stderr)
