"""The ingredients of a key can be compared with the code and packages of another machine."""

import subprocess
import sys
from importlib.metadata import version

from toy import CHAIN, StartConfig, toy_plan

from infra.runs.keys import ModuleDigests, differences, ingredients, key_of, scratch_key
from infra.runs.plan import PlannedStep


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


class Choosy(StartConfig):
    """A step's settings, of which its checkpoints depend on the text."""

    scratch_ignores = ("bound", "costs")
    bound: float = 0.5
    bound_of_text: int = 1
    costs: dict[str, float] | None = None


def planned(**settings):
    step, config = next(iter(CHAIN)), Choosy(**settings)
    recipe = ingredients(step, config, {}, ModuleDigests(None))
    return PlannedStep(step, config, key_of(step.name, recipe), recipe, {}, cached=False, reason="")


def test_checkpoints_are_shared_by_steps_that_differ_in_what_they_do_not_depend_on(tmp_path):
    plain, bound = planned(), planned(bound=0.6, costs={"miss": 5.0, "false_alarm": 1.0})
    assert plain.key != bound.key
    assert scratch_key(plain) == scratch_key(bound) != plain.key
    assert len({scratch_key(plain), scratch_key(planned(text="y")), scratch_key(planned(bound_of_text=2))}) == 3
    toy = toy_plan(tmp_path, {}).steps[0]
    assert scratch_key(toy) == toy.key


def test_reading_what_a_module_imports_does_not_import_it():
    code = (
        "import sys; from infra.runs.keys import ModuleDigests; digests, packages = ModuleDigests(None).closure('steps.train');"
        "print('steps.training.candidates' in digests, 'torch' in packages, 'torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "True", "False"]
