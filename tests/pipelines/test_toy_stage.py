"""A new stage is one file and one line: it plans, runs, compiles, runs as jobs, is tracked and appears in the report."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.tracking.mlflow_client import connect, default_uri

ROOT = Path(__file__).parents[2]
STAGE = '''"""toy: count the rows that are left after labeling."""

from __future__ import annotations

from steps.core import Config, Input, Output
from steps.journal import Journal


class ToyConfig(Config):
    """How to count."""

    times: int = 2


def toy(labeled: Input, counted: Output, config: ToyConfig, log: Journal) -> None:
    """Count the files of the labeled table."""
    files = sum(1 for path in labeled.iterdir())
    (counted / "count.txt").write_text(str(config.times * files))
    log.metric("framework/toy_files", config.times * files)
'''
LINE = '    step(toy, layer="framework", job="prepare", documents=["counted/count.txt"]),\n'
COMPILE = """
import sys
from pathlib import Path
from infra.sagemaker.jobs import fuse
from pipelines.request import Request, prepare
prepared = prepare(Request(Path(sys.argv[1]), Path(sys.argv[2]), {}, smoke=True))
for job in fuse(prepared.plan):
    print(job.name, *(step["step"] for step in job.spec["steps"]))
"""


@pytest.fixture(scope="module")
def fourscore(tmp_path_factory):
    """Fourscore with the new stage, in a folder of its own; returns what calls it."""
    place = tmp_path_factory.mktemp("toy")
    for package in ("pipelines", "infra", "steps", "model_code"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", place / "pyproject.toml")
    (place / "steps/toy.py").write_text(STAGE)
    composition = place / "pipelines/training.py"
    text = composition.read_text()
    last_of_prepare = text.index("    step(train,")
    composition.write_text(f"{text[:last_of_prepare]}{LINE}{text[last_of_prepare:]}".replace(
        "from steps.train import train\n", "from steps.toy import toy\nfrom steps.train import train\n"
    ))  # fmt: skip

    def call(*arguments):
        result = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return call


PROBLEM = ROOT / "examples/breast-cancer/problem.yaml"


def test_a_new_stage_plans_runs_and_appears_in_the_report(fourscore, tmp_path):
    request = [PROBLEM, "--smoke", "--until", "toy", "--workspace", tmp_path, "--json"]
    planned = json.loads(fourscore("-m", "pipelines", "plan", *request))
    assert planned["stages"][-1] | {"key": ""} == {
        "name": "toy", "status": "runs", "reason": "has not run here before", "key": ""
    }  # fmt: skip
    summary = json.loads(fourscore("-m", "pipelines", "run", *request, "--no-tracking"))
    assert summary["stages"][5]["name"] == "toy"
    assert summary["stages"][5]["status"] == "ran"
    record = json.loads((tmp_path / "runs" / f"{summary['run']}.json").read_bytes())
    assert [record["stages"][5][name] for name in ("layer", "job", "documents")] == [
        "framework", "prepare", ["counted/count.txt"]
    ]  # fmt: skip
    assert ">toy<" in (tmp_path / "reports" / f"{summary['run']}.html").read_text(encoding="utf-8")


def test_a_new_stage_compiles_into_its_job(fourscore, tmp_path):
    jobs = dict(line.split(" ", 1) for line in fourscore("-c", COMPILE, PROBLEM, tmp_path).splitlines())
    assert jobs["prepare"].endswith("steps.split:split steps.toy:toy")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own
def test_a_new_stage_runs_as_a_job_and_is_tracked_in_its_layer(fourscore, tmp_path):
    request = [PROBLEM, "--smoke", "--until", "toy", "--workspace", tmp_path]
    run = json.loads(fourscore("-m", "pipelines", "run", *request, "--on", "sagemaker-local", "--json"))["run"]
    client = connect(tmp_path, default_uri(tmp_path))
    experiment = client.get_experiment_by_name("breast-cancer")
    (child,) = client.search_runs([experiment.experiment_id], "tags.step = 'toy'")
    assert child.data.tags["layer"] == "framework"
    assert child.data.metrics["framework/toy_files"] > 0
    (parent,) = client.search_runs([experiment.experiment_id], f"tags.`fourscore.run` = '{run}'")
    assert "count.txt" in {file.path for file in client.list_artifacts(parent.info.run_id)}
