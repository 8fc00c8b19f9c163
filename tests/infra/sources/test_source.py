"""A new kind of source is one class: keyed by its digest, laid out for steps, described to jobs."""

import json
from dataclasses import dataclass
from pathlib import Path

from infra.backends.local import LocalBackend
from infra.runs import records
from infra.runs.records import RunRecord
from infra.sagemaker.jobs import fuse
from infra.sources.source import Source, restore
from infra.store.local import LocalStore
from pipelines.plan import make_plan
from steps.core import Config, Input, Output, Pipeline, step
from steps.journal import Journal


@dataclass(frozen=True)
class Notes(Source):
    """What somebody said about the data."""

    text: str

    @classmethod
    def find(cls, problem, folder, store):
        return cls(problem["notes"])

    @property
    def digest(self):
        return self.text

    def lay_out(self, directory, store):
        (directory / "notes.txt").write_text(self.text)
        return directory

    def describe(self):
        return {"text": self.text}


class NoSettings(Config):
    """Nothing to configure."""


def shout(notes: Input, loud: Output, config: NoSettings, log: Journal) -> None:
    (loud / "notes.txt").write_text((notes / "notes.txt").read_text().upper())


LOUD = Pipeline("loud", step(shout, job="prepare"), sources={"notes": Notes})


def plan_of(workspace, text, sources=None):
    source = {name: kind.find({"notes": text}, Path(), LocalStore(workspace)) for name, kind in LOUD.sources.items()}
    store = LocalStore(workspace)
    return make_plan(LOUD, {"shout": NoSettings()}, sources or source, store, "loud")


def loud(workspace, plan):
    record = RunRecord(
        run="loud-1",
        problem_name="loud",
        problem_path="",
        problem={},
        overrides={},
        smoke=False,
        status="running",
        started=records.now(),
        stages=[planned.record() for planned in plan.steps],
    )
    store = LocalStore(workspace)
    LocalBackend(store).run(plan, record, lambda *_: None)
    return (store.open(plan.steps[0].key, "loud") / "notes.txt").read_text()


def test_a_step_reads_a_new_kind_of_source_and_its_key_follows_the_digest(workspace):
    first = plan_of(workspace, "old")
    assert loud(workspace, first) == "OLD"
    assert plan_of(workspace, "old").steps[0].cached
    changed = plan_of(workspace, "new").steps[0]
    assert not changed.cached
    assert changed.reason == "notes changed old -> new"


def test_a_job_restores_a_new_kind_of_source_from_its_description(workspace, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    plan = plan_of(workspace, "old")
    (job,) = fuse(plan)
    description = json.loads(job.text)["sources"]["notes"]
    module, _, name = description["type"].rpartition(":")
    assert name == "Notes"
    description["type"] = f"test_source:{name}"
    restored = restore(description, LocalStore(workspace), tmp_path)
    assert vars(restored) == vars(plan.sources["notes"])
    assert module == Notes.__module__
