"""A person reads what a run takes and costs before it starts."""

import re
from dataclasses import replace

from compiled import make_plan

from infra.sagemaker import cost
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.jobs import fuse
from infra.sagemaker.prices import Price, Prices
from pipelines.bill import bill

REGION, JOBS = "us-east-1", fuse(make_plan())
ONE_DOLLAR = Prices(
    [Price(REGION, "ml.m5.xlarge", job, 1.0, "2026-09-24", "a list") for job in ("training", "processing")],
    0.4,
    "an assumption",
)
SECONDS = {"define": 1, "ingest": 20, "validate": 24, "label": 5, "split": 10, "train": 540, "evaluate": 100, "register": 20}  # fmt: skip
"""One minute of prepare, nine of train, two of assess."""


def config(**train):
    return SageMakerConfig.model_validate({"train": train})


def test_a_person_reads_jobs_minutes_dollars_the_cap_and_the_age_of_the_prices():
    text = bill(cost.estimate(JOBS, config(spot=True), REGION, SECONDS, ONE_DOLLAR))
    lines = text.splitlines()
    assert lines[0].split() == ["job", "stages", "on", "minutes", "dollars"]
    assert lines[1].startswith("prepare  define, ingest, validate, label, split  ml.m5.xlarge")
    assert "ml.m5.xlarge (spot)  about 12, at most 120  about 0.07, at most 4.03" in lines[2]
    assert lines[4].startswith("total: about 21, at most 240 minutes; about ")
    assert "cap 10.00 dollars (sagemaker.max_dollars)" in lines[4]
    assert re.search(r"prices: us-east-1, \d+ days old \(a list\)", text)
    assert "spot is assumed to cost 40% of the price on demand" in text
    assert bill(cost.estimate((), config(), REGION)) == "no job is started: everything is in the store already"


def test_a_job_that_took_longer_than_its_limit_before_is_pointed_out():
    text = bill(cost.estimate(JOBS, config(minutes=5), REGION, SECONDS, ONE_DOLLAR))
    assert "train took 12 minutes before and is stopped after 5: raise sagemaker.train.minutes" in text


def test_old_prices_say_how_they_are_renewed():
    old = Prices([replace(row, date="2020-01-01") for row in ONE_DOLLAR.rows.values()], 0.4, "an assumption")
    assert "'fourscore infra prices --refresh --region us-east-1' fetches" in bill(
        cost.estimate(JOBS, config(), REGION, {}, old)
    )
