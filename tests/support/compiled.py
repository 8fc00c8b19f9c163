"""Plans with fixed keys, and the definitions they compile to: what golden files hold and other tests try their things on.

``python tests/support/compiled.py`` writes tests/golden/sagemaker/ anew; look at the difference before you commit it.
"""

import hashlib
import json
import sys
from pathlib import Path

from infra.runs.plan import Plan, PlannedStep
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.definition import compile_plan, text
from infra.sagemaker.jobs import Decision, fuse
from infra.sagemaker.stack import Stack
from infra.sources.champion import ChampionModel
from infra.sources.files import ResolvedFile
from infra.sources.raw import RawFiles
from infra.store.ledger import divided
from pipelines.training import TRAINING
from steps.core import Config
from steps.register import RegisterConfig

ROOT = Path(__file__).parents[2]
STAGES = tuple(step.name for step in TRAINING)
GOLDEN = ROOT / "tests/golden/sagemaker"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fourscore-dev"


class Setting(Config):
    """Stands for a stage's config, so that a new field in a real one leaves the golden files as they are."""

    seed: int = 0


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def make_stack(**changes):
    roles = {
        job: f"arn:aws:iam::{ACCOUNT}:role/fourscore-dev-{job}" for job in ("pipeline", "prepare", "train", "assess")
    }
    return Stack(
        **{
            "name": "dev",
            "region": REGION,
            "account": ACCOUNT,
            "bucket": f"fourscore-dev-{ACCOUNT}",
            "prefix": "work",
            "roles": roles,
            "images": {kind: f"{REPOSITORY}@sha256:{digest(kind)}" for kind in ("cpu", "gpu")},
            "package_group": "fourscore-dev",
            **changes,
        }
    )


def make_plan(cached=(), until=None, smoke=False):
    """The eight stages with keys that only their names decide."""
    keys = {"raw": digest("raw"), "champion": digest("champion")}
    planned = []
    for step in TRAINING:
        inputs = {name: keys[name] for name in step.inputs if name not in TRAINING.sources}
        register = RegisterConfig(name="breast-cancer", problem_digest=digest("problem"), smoke=smoke)
        config = register if step.name == "register" else Setting()
        ingredients = {f"code steps.{step.name}": digest(f"steps.{step.name}")[:16], f"config {step.name}.seed": 0}
        key = digest(step.name)
        planned.append(PlannedStep(step, config, key, ingredients, inputs, step.name in cached, ""))
        keys |= dict.fromkeys(step.outputs, key)
    count = STAGES.index(until or STAGES[-1]) + 1
    file = ResolvedFile("cells.csv", Path("/somewhere/on/this/machine/cells.csv"), digest("cells"), 119_913)
    return Plan(
        tuple(planned[:count]),
        {"raw": RawFiles({"cells": (file,)}), "champion": ChampionModel(digest("champion"))},
        tuple(planned[count:]),
        divided(planned),
        pipeline=TRAINING.name,
        smoke=smoke,
    )


def make_definition(plan, decision=None, stack=None, **config):
    settings = SageMakerConfig.model_validate(config)
    return compile_plan(plan, "breast-cancer", settings, stack or make_stack(), digest("code"), decision)


def cases():
    """Name -> (plan, definition) of each golden file."""
    whole, assessed = make_plan(), make_plan(cached=STAGES)
    reasons = ("roc_auc at least 0.999: the interval's lower end is 0.981",)
    network = {"subnets": ["subnet-0123456789abcdef0"], "security_groups": ["sg-0123456789abcdef0"]}
    gpu = {"instance": "ml.g5.xlarge"}
    private = make_stack(
        prefix="",
        kms_key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef",
    )
    prefix = make_plan(cached=("define", "ingest", "validate", "label", "split"))
    return {
        "all-stages": (whole, make_definition(whole)),
        "cached-prefix": (prefix, make_definition(prefix)),
        "spot-with-checkpoints": (whole, make_definition(whole, train={"spot": True})),
        "two-instances": (whole, make_definition(whole, train={"instances": 2})),
        "private-gpu": (whole, make_definition(whole, stack=private, train=gpu, **network)),
        "cached-and-passed": (assessed, make_definition(assessed, Decision("pass", card="{}"))),
        "cached-and-rejected": (assessed, make_definition(assessed, Decision("rejected", reasons))),
    }


def files():
    """Path below the golden folder -> what it holds."""
    definitions = {f"{name}.json": text(definition) for name, (_, definition) in cases().items()}
    specs = {job.name: {"digest": job.digest, "job.json": job.spec} for job in fuse(make_plan())}
    return {**definitions, "jobs/all-stages.json": json.dumps(specs, indent=1) + "\n"}


if __name__ == "__main__":
    for name, content in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        sys.stderr.write(f"wrote {path}\n")
