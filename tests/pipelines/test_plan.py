"""Keys are derived from what makes a result, all of it and nothing else, and known before anything runs."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import CHAIN, DoubleConfig, JudgeConfig, StartConfig, toy_plan, toy_record

from infra.backends.local import LocalBackend
from infra.runs.keys import ModuleDigests, flatten, imports, ingredients, key_of
from infra.store.local import LocalStore
from pipelines.plan import change


def keys(plan):
    return {planned.step.name: planned.key for planned in plan.steps}


def test_the_same_problem_has_the_same_keys_in_every_workspace(tmp_path):
    assert keys(toy_plan(tmp_path / "one", {})) == keys(toy_plan(tmp_path / "two", {}))


def test_a_setting_moves_the_keys_of_its_step_and_of_those_that_read_from_it_only(tmp_path):
    before, after = keys(toy_plan(tmp_path, {})), keys(toy_plan(tmp_path, {"double": {"times": 3}}))
    assert before["start"] == after["start"]
    assert before["double"] != after["double"]
    assert before["judge"] != after["judge"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The path of a module of a plugin, with a step."""
    path = tmp_path / "plugin_step.py"
    path.write_text("from toy import start\n\nFACTOR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return path


def test_a_changed_source_file_moves_the_key(tmp_path, module):
    before = ModuleDigests(tmp_path / "memory.json").closure("plugin_step")[0]
    module.write_text("from toy import start\n\nFACTOR = 2\n")
    after = ModuleDigests(tmp_path / "memory.json").closure("plugin_step")[0]
    step = next(iter(CHAIN))
    assert "code toy" in ingredients(step, StartConfig(), {}, ModuleDigests(None))
    assert before["plugin_step"] != after["plugin_step"]


def test_a_source_file_that_keeps_its_size_and_time_is_read_again(tmp_path, module):
    digests = ModuleDigests(tmp_path / "memory.json")
    before = digests.closure("plugin_step")[0]
    digests.save()
    status = module.stat()
    module.write_text(module.read_text().replace("1", "2"))
    os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert module.stat().st_size == status.st_size
    assert ModuleDigests(tmp_path / "memory.json").closure("plugin_step")[0]["plugin_step"] != before["plugin_step"]


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), min_size=1), st.data())
def test_any_changed_ingredient_changes_the_key(contents, data):
    name = data.draw(st.sampled_from(sorted(contents)))
    other = {**contents, name: f"{contents[name]} and more"}
    assert key_of("split", contents) != key_of("split", other)
    assert key_of("split", contents) == key_of("split", dict(reversed(contents.items())))
    assert key_of("split", contents) != key_of("train", contents)


@given(
    st.recursive(
        st.integers() | st.none() | st.lists(st.text()),
        lambda inner: st.dictionaries(st.text("abc", min_size=1), inner),
    )
)
def test_flattening_settings_loses_nothing(value):
    flat = flatten(value, "x")
    assert all(name.startswith("x") for name in flat)
    leaves = [leaf for leaf in flat.values() if not (isinstance(leaf, dict) and leaf)]
    assert len(leaves) == len(flat)


def test_imports_inside_functions_and_modules_named_in_strings_count():
    source = b'def f():\n    import torch\n    from steps.tables import schema\nTABLE = {"a": "model_code.tasks.heads:Binary"}\n"steps.nowhere"\n'
    assert {"torch", "steps.tables.schema", "model_code.tasks.heads"} <= imports(source)
    assert "steps.nowhere" not in imports(source)


def test_what_an_imported_module_imports_counts_too(tmp_path):
    digests, packages = ModuleDigests(tmp_path / "m.json").closure("steps.define")
    assert {"steps.define", "steps.core", "steps.journal", "steps.evaluation.thresholds"} <= set(digests)
    assert "pydantic" in packages


def test_the_plan_says_why_a_step_runs_with_the_old_and_the_new_value(tmp_path):
    plan = toy_plan(tmp_path, {})
    assert [planned.reason for planned in plan.steps] == ["has not run here before"] * 3
    LocalBackend(LocalStore(tmp_path)).run(plan, toy_record(plan), lambda *_: None)
    again = toy_plan(tmp_path, {"double": {"times": 3}})
    assert [planned.cached for planned in again.steps] == [True, False, False]
    assert again.steps[1].reason == "config double.times changed 2 -> 3"
    assert again.steps[2].reason == "reads doubled, which double makes anew; reads test_set, which double makes anew"


THRESHOLDS = [
    {"metric": "roc_auc", "at_least": 0.55, "at_most": None, "slice": None},
    {"metric": "f1", "at_least": 0.3},
]


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ([{**THRESHOLDS[0], "at_least": 0.6}, THRESHOLDS[1]], "config define.success[0].at_least changed 0.55 -> 0.6"),
        ([THRESHOLDS[0]], 'config define.success[1] changed {"metric": "f1", "at_least": 0.3} -> (absent)'),
        (
            [{**THRESHOLDS[0], "at_least": 0.6}, {"metric": "f1", "at_least": 0.4}],
            "config define.success[0].at_least (and 1 more) changed 0.55 -> 0.6",
        ),
    ],
)
def test_of_a_long_setting_the_plan_says_the_place_that_changed(new, reason):
    assert change("config define.success", THRESHOLDS, new, CHAIN) == reason


def test_a_short_setting_is_shown_whole():
    reason = change("config train.candidates", ["linear", "mlp"], ["mlp"], CHAIN)
    assert reason == 'config train.candidates changed ["linear", "mlp"] -> ["mlp"]'


def test_a_memory_of_digests_that_is_broken_is_not_believed(tmp_path):
    (tmp_path / "m.json").write_text("[")
    assert ModuleDigests(tmp_path / "m.json").closure("steps.core")[0]["steps.core"]


def test_until_ends_the_plan_with_that_step(tmp_path):
    assert [planned.step.name for planned in toy_plan(tmp_path, {}, until="double").steps] == ["start", "double"]


@pytest.mark.parametrize("config", [StartConfig(), DoubleConfig(), JudgeConfig()])
def test_every_field_of_a_config_is_an_ingredient(tmp_path, config):
    step = next(step for step in CHAIN if step.config_type is type(config))
    contents = ingredients(step, config, {}, ModuleDigests(tmp_path / "m.json"))
    for field in type(config).model_fields:
        assert f"config {step.name}.{field}" in contents
