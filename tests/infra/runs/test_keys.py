"""The ingredients of a key can be compared with the code and packages of another machine."""

import subprocess
import sys
from importlib.metadata import version

from toy import CHAIN, StartConfig

from infra.runs.keys import ModuleDigests, differences, ingredients


def test_a_machine_with_other_code_or_packages_is_known_by_its_ingredients(tmp_path):
    contents = ingredients(next(iter(CHAIN)), StartConfig(), {}, ModuleDigests(tmp_path / "memory.json"))
    assert differences(contents) == []
    assert differences({**contents, "code toy": "older", "package numpy": "0.1"}) == [
        f"code toy is {contents['code toy']}, the plan has older",
        f"package numpy is {version('numpy')}, the plan has 0.1",
    ]
    assert differences({"code steps.gone": "digest"}) == ["code steps.gone is not there, the plan has digest"]


def test_a_key_has_the_versions_of_the_packages_that_a_step_imports(tmp_path):
    contents = ingredients(next(iter(CHAIN)), StartConfig(), {}, ModuleDigests(tmp_path / "memory.json"))
    assert contents["package pydantic"] == version("pydantic")


def test_reading_what_a_module_imports_does_not_import_it():
    code = (
        "import sys; from infra.runs.keys import ModuleDigests; digests, packages = ModuleDigests(None).closure('steps.train');"
        "print('steps.training.candidates' in digests, 'torch' in packages, 'torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "True", "False"]
