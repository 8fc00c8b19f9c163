"""One local cloud whose executions are threads of the tests' own process; each test has a bucket and a pipeline of its own."""

import threading
import time

import emulated
import pytest

from infra.emulator.api import Api
from infra.emulator.executions import Execution
from infra.emulator.jobs import Machine
from infra.files import is_locked, locked


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    place = tmp_path_factory.mktemp("cloud")

    def run(folder):
        with locked(folder / "alive"):
            Execution(folder, alive=True).run(Machine(place, **emulated.QUICK), api.register)

    def begin(folder):
        thread = threading.Thread(target=run, args=[folder], daemon=True)
        thread.start()
        while thread.is_alive() and not is_locked(folder / "alive"):
            time.sleep(0.001)

    api = Api(place, begin)
    return api


@pytest.fixture
def lab(api):
    return emulated.Lab(api)
