"""The repository is what its README says, keeps its layers, and importing it does nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LAYERS = ("pipelines", "infra", "steps", "model_code")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )  # fmt: skip
    return sorted(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


def tree():
    """Path -> reason, from the block under the README's heading "The tree"."""
    block = README.split("## The tree", 1)[1].split("```", 2)[1]
    found, folder = {}, ""
    for line in block.splitlines():
        match = re.match(r"^(\s*)(\S+)\s{2,}(\S.*)$", line)
        if not match:
            continue
        indent, name, reason = match.groups()
        if not indent:
            folder = name if name.endswith("/") else ""
            found[name] = reason
        else:
            found[folder + name] = reason
    return found


def first_line(name):
    """What a module says of itself: the first line of its docstring, as the tree writes it."""
    line = (ROOT / name).read_text(encoding="utf-8").split('"""')[1].strip().split("\n")[0]
    return line.rstrip(".").replace("``", "")


@pytest.mark.parametrize("layer", [*LAYERS, "benchmarks"])
def test_every_module_has_the_line_in_the_readme_that_it_says_of_itself(layer):
    described = tree()
    modules = [name for name in tracked() if name.startswith(f"{layer}/") and name.endswith(".py")]
    said = {name: first_line(name) for name in modules if not name.endswith("__init__.py")}
    assert {name: described.get(name, "").lower() for name in said} == {
        name: line.lower() for name, line in said.items()
    }


def test_the_readme_describes_nothing_that_is_not_there():
    assert [name for name in tree() if not (ROOT / name).exists()] == []


def test_only_the_agreed_names_stand_at_the_top():
    agreed = {*LAYERS, "tests", ".github", "pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
              "Makefile", ".ci", "docs", "examples", "benchmarks", ".gitignore", "requirements.lock"}  # fmt: skip
    assert {name.split("/")[0] for name in tracked()} <= agreed


@pytest.mark.parametrize("module", ["pipelines.__main__", "pipelines.problem.definition", "pipelines.plan", "pipelines.launch", "pipelines.summary", "infra.tracking.follower", "steps.train"])  # fmt: skip
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
    done = subprocess.run([sys.executable, "-c", code, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_pickles_evaluates_text_or_starts_a_shell():
    forbidden = re.compile(
        r"^\s*(?:import|from) (?:pickle|dill|cloudpickle|joblib)\b|(?<![.\w])(?:eval|exec)\(|shell=True|os\.system",
        re.MULTILINE,
    )
    offenders = [
        name
        for name in tracked()
        if name.startswith(LAYERS)
        and name.endswith(".py")
        and forbidden.search((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert offenders == []


def test_torch_files_are_loaded_with_weights_only():
    for name in tracked():
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
