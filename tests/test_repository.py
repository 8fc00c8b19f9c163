"""Rules of the whole repository: its documents are true, its imports are light, nothing is pickled or evaluated."""

import re
import subprocess
import sys

import pytest
import tree
import yaml
from tree import LAYERS, ROOT, tracked_files

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_has_the_line_of_every_module_and_nothing_else():
    """`python tests/support/tree.py` writes it."""
    assert (ROOT / "docs/tree.md").read_text(encoding="utf-8") == tree.page()


def test_the_readme_shows_every_folder():
    """`python tests/support/tree.py` writes them."""
    assert tree.readme() == README


def test_the_readme_is_short_and_its_links_lead_somewhere():
    assert len(README.encode()) < 12_000
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_only_the_agreed_names_stand_at_the_top():
    agreed = {*LAYERS, "tests", ".github", "pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
              "Makefile", ".ci", "docs", "examples", "benchmarks", ".gitignore", "requirements.lock"}  # fmt: skip
    assert {name.split("/")[0] for name in tracked_files()} <= agreed


@pytest.mark.parametrize("module", ["pipelines.__main__", "pipelines.problem.definition", "pipelines.plan", "pipelines.launch", "pipelines.request", "pipelines.detached", "pipelines.summary", "infra.tracking.follower", "steps.train"])  # fmt: skip
def test_importing_a_module_pulls_in_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = [
        "torch",
        "polars",
        "pandas",
        "numpy",
        "mlflow",
        "great_expectations",
        "sklearn",
        "matplotlib",
        "jinja2",
        "boto3",
    ]
    result = subprocess.run([sys.executable, "-c", code, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_no_module_pickles_evaluates_text_or_starts_a_shell():
    forbidden = re.compile(
        r"^\s*(?:import|from) (?:pickle|dill|cloudpickle|joblib)\b|(?<![.\w])(?:eval|exec)\(|shell=True|os\.system",
        re.MULTILINE,
    )
    offenders = [
        name
        for name in tracked_files()
        if name.startswith(LAYERS)
        and name.endswith(".py")
        and forbidden.search((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert offenders == []


def test_torch_files_are_loaded_with_weights_only():
    for name in tracked_files():
        if name.startswith(LAYERS) and name.endswith(".py"):
            for call in re.findall(r"torch\.load\([^)]*\)", (ROOT / name).read_text(encoding="utf-8")):
                assert "weights_only=True" in call, f"{name}: {call}"


def test_every_dependency_and_every_lint_exception_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    inside, bare = False, []
    for line in lines:
        if re.match(r"^(dependencies|ignore|aws|excel|examples|dev) = \[", line):
            inside = True
        elif line.startswith("]"):
            inside = False
        elif inside and line.strip() and "#" not in line:
            bare.append(line.strip())
    assert bare == []


def test_every_action_of_the_workflows_is_pinned_by_its_digest():
    workflows = list((ROOT / ".github/workflows").glob("*.yml"))
    assert workflows
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)["permissions"] == {}
        for used in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{path.name}: {used}"


def test_ci_runs_the_readmes_test_command():
    assert "make test" in README
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_every_locked_package_but_torch_has_digests():
    pins = (ROOT / "requirements.lock").read_text().split("\n")
    without = [
        line
        for line, following in zip(pins, [*pins[1:], ""], strict=True)
        if "==" in line and "--hash" not in following
    ]
    assert [line.partition("==")[0] for line in without] == ["torch"], "run: make lock"
