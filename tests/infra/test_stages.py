"""Infrastructure runs whichever stages a pipeline has: none of their names is written in it."""

import ast
from pathlib import Path

import infra
from infra.sagemaker.config import JOBS
from pipelines.training import TRAINING

INFRA = Path(infra.__file__).parent


def test_no_module_of_infra_contains_the_name_of_a_stage():
    names = {step.name for step in TRAINING} - set(JOBS)
    names |= {f"steps.{step.name}" for step in TRAINING}
    places = [
        f"{path.relative_to(INFRA)}:{node.lineno} {node.value}"
        for path in sorted(INFRA.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    ]
    assert places == []
