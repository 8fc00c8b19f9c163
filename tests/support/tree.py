"""The repository's tree, from the first line of every module's own docstring.

``python tests/support/tree.py`` writes docs/tree.md and the folders in README.md; tests/test_repository.py compares both.
"""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("pipelines", "infra", "steps", "model_code")
FOLDERS = tuple(f"{folder}/" for folder in (*LAYERS, "benchmarks", "tests/support"))
OTHER_FOLDERS = {
    "examples/": "three problems on data that comes with a package, run by the tests",
    "benchmarks/": "commands that measure Fourscore beside the alternative and print a ratio last",
    "tests/": "mirrors the code; `golden/` holds what must not change, `wrong_inputs/` what must be refused",
    "docs/": "what is too long for README.md",
    ".ci/": "what CI runs",
    ".github/": "workflows that test, train on SageMaker and deploy after an approval",
}
HEADER = """# The tree

One line per folder and file: the first line of its own docstring. `python tests/support/tree.py` writes this page.
"""


def tracked_files(pattern=""):
    """Names of the files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *([pattern] if pattern else [])]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in listing.stdout.splitlines() if (ROOT / name).exists()})


def modules():
    """The modules of the product, the benchmarks and the tests' support, packages' own files included."""
    return [name for name in tracked_files("*.py") if name.startswith(FOLDERS)]


def summary(name):
    """The first line of a module's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or ""
    return re.sub(r"``([^`]*)``", r"`\1`", docstring.split("\n")[0]).rstrip(".")


def folder_lines():
    """The folders as README.md shows them."""
    packages = [Path(name).parent for name in modules() if name.startswith(LAYERS) and name.endswith("__init__.py")]
    packages.sort(key=lambda package: (LAYERS.index(package.parts[0]), package))
    rows = [
        ("  " * (len(package.parts) - 1) + f"{package.name}/", summary(package / "__init__.py")) for package in packages
    ]
    rows += OTHER_FOLDERS.items()
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{reason}" for name, reason in rows)


def readme():
    """README.md with its folders written anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split("## The tree\n", 1)
    introduction, _, after = rest.split("```", 2)
    return f"{before}## The tree\n{introduction}```\n{folder_lines()}\n```{after}"


def page():
    """docs/tree.md: one table of lines for each folder."""
    folders = {}
    for name in modules():
        folders.setdefault(str(Path(name).parent), []).append(name)
    order = sorted(folders, key=lambda folder: ([f"{folder}/".startswith(top) for top in FOLDERS].index(True), folder))
    parts = [HEADER]
    for folder in order:
        names = [name for name in folders[folder] if not name.endswith("__init__.py")]
        about = [f"{summary(name)}.\n" for name in folders[folder] if name.endswith("__init__.py")]
        lines = [f"- `{Path(name).name}`: {summary(name)}" for name in names]
        parts.append("\n".join([f"## {folder}/\n", *about, *lines]).rstrip() + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs/tree.md").write_text(page(), encoding="utf-8")
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
