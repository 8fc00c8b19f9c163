"""The stages from define to split, run as plain functions on a problem file."""

from pathlib import Path

from infra.sources.files import materialise, resolve
from pipelines.problem.loading import load
from pipelines.training import TRAINING
from steps.core import execute
from steps.journal import Journal


def run_stages(directory: Path, place: Path, until: str = "split") -> dict[str, Path]:
    """Run the stages of ``directory/problem.yaml`` up to ``until``; returns the folder of each artifact."""
    loaded = load(directory / "problem.yaml")
    configs = loaded.configs(TRAINING)
    folders = {"raw": place / "raw"}
    folders["raw"].mkdir(parents=True)
    paths = {name: source.path for name, source in loaded.problem.data.sources.items()}
    materialise(resolve(paths, directory, place / "workspace"), folders["raw"])
    for stage in TRAINING:
        folders |= {name: place / name for name in stage.outputs}
        for name in stage.outputs:
            folders[name].mkdir()
        with Journal(place / f"{stage.name}.jsonl") as log:
            execute(stage, {name: folders[name] for name in (*stage.inputs, *stage.outputs)}, configs[stage.name], log)
        if stage.name == until:
            break
    return folders
