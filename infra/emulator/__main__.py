"""The process of one execution of the local cloud: ``python -m infra.emulator FOLDER``."""

import contextlib
import sys
from pathlib import Path

from infra.emulator.api import Api
from infra.emulator.executions import Execution
from infra.emulator.jobs import Machine
from infra.files import locked
from infra.processes import raise_keyboard_interrupt
from infra.secrets import redact_output


def main(folder: Path) -> None:
    """Run the execution in the folder until it is over, or until SIGTERM, which ends its jobs at once."""
    cloud = folder.parents[1]
    with locked(folder / "alive"), contextlib.suppress(KeyboardInterrupt), raise_keyboard_interrupt():
        Execution(folder, alive=True).run(Machine(cloud), Api(cloud).register)


if __name__ == "__main__":
    redact_output()
    main(Path(sys.argv[1]))
