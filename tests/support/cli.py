"""The command line in this process: the same parser, messages and exit codes without the imports of a new process."""

import contextlib
import traceback
from types import SimpleNamespace

from click.testing import CliRunner

from pipelines.__main__ import main


def fourscore(*arguments, cwd):
    """Exit code, standard output and standard error of a command that is run in a folder."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    stderr = result.stderr
    if result.exception and not isinstance(result.exception, SystemExit):
        stderr += "".join(traceback.format_exception(result.exception))
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=stderr)
