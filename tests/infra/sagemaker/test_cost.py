"""What a run would cost is known before it starts: expected from what stages took, at worst by their limits, never above the cap."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from compiled import STAGES, make_plan
from hypothesis import given
from hypothesis import strategies as st

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.sagemaker import cost
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.jobs import fuse
from infra.sagemaker.prices import Price, Prices
from infra.store.manifest import Manifest
from pipelines.bill import bill
from steps.errors import InputError

ROOT = Path(__file__).parents[3]
REGION = "us-east-1"
JOBS = fuse(make_plan())
SECONDS = {"define": 1, "ingest": 20, "validate": 24, "label": 5, "split": 10, "train": 540, "evaluate": 100, "register": 20}  # fmt: skip
"""One minute of prepare, nine of train, two of assess."""


def table(*rows, share=0.4):
    prices = [Price(REGION, instance, job, dollars, "2026-09-24", "a list") for instance, job, dollars in rows]
    return Prices(prices, share, "an assumption")


ONE_DOLLAR = table(*((f"ml.m5.{size}", job, dollars) for size, dollars in (("xlarge", 1.0), ("2xlarge", 2.0)) for job in ("training", "processing")))  # fmt: skip


def config(**train):
    changes = {name: train.pop(name) for name in ("max_dollars",) if name in train}
    return SageMakerConfig.model_validate({**changes, "train": train})


def by_job(settings, seconds=SECONDS, jobs=JOBS, prices=ONE_DOLLAR):
    return {item["job"]: item for item in cost.estimate(jobs, settings, REGION, seconds, prices)["jobs"]}


def test_a_job_is_expected_to_take_what_its_stages_took_before_and_its_start():
    costs = by_job(config())
    assert {name: item["minutes"]["expected"] for name, item in costs.items()} == {
        "prepare": 4,
        "train": 12,
        "assess": 5,
    }
    assert costs["train"]["dollars"]["expected"] == pytest.approx(
        (1 + 9) / 60, abs=1e-4
    )  # of the start one minute is paid


def test_at_worst_a_job_takes_its_limit_twice_since_what_sagemaker_breaks_is_started_again():
    costs = by_job(config())
    assert {name: item["minutes"]["limit"] for name, item in costs.items()} == {
        "prepare": 60,
        "train": 120,
        "assess": 60,
    }
    assert costs["train"]["dollars"]["worst"] == pytest.approx(2 * (1 + 120) / 60, abs=1e-4)
    total = cost.estimate(JOBS, config(), REGION, table=ONE_DOLLAR)["dollars"]["worst"]
    assert total == pytest.approx(sum(item["dollars"]["worst"] for item in costs.values()), abs=1e-4)


def test_every_instance_is_paid_for():
    costs = by_job(config(instances=3))["train"]
    assert costs["dollars"]["expected"] == pytest.approx(3 * 10 / 60, abs=1e-4)
    assert costs["dollars"]["worst"] == pytest.approx(3 * 2 * 121 / 60, abs=1e-4)


def test_spot_is_expected_to_save_and_at_worst_saves_nothing():
    costs = by_job(config(spot=True))
    assert costs["train"]["dollars"]["expected"] == pytest.approx(0.4 * 10 / 60, abs=1e-4)
    assert costs["train"]["dollars"]["worst"] == by_job(config())["train"]["dollars"]["worst"]
    assert costs["prepare"]["dollars"]["expected"] == by_job(config())["prepare"]["dollars"]["expected"]


def test_only_what_is_left_to_do_costs():
    left = fuse(make_plan(cached=STAGES[:5]))
    assert list(by_job(config(), jobs=left)) == ["train", "assess"]
    assert cost.estimate((), config(), REGION)["dollars"] == {"expected": 0, "worst": 0, "cap": 10}


def test_a_stage_that_never_ran_makes_minutes_unknown_and_the_limit_stays():
    document = cost.estimate(JOBS, config(), REGION, {**SECONDS, "train": 1} | {"evaluate": 7}, ONE_DOLLAR)
    assert document["minutes"]["expected"] is not None
    unknown = cost.estimate(JOBS, config(), REGION, {name: 1 for name in SECONDS if name != "train"}, ONE_DOLLAR)
    assert unknown["minutes"] == {"expected": None, "limit": 240}
    assert unknown["dollars"]["expected"] is None
    assert unknown["dollars"]["worst"] == document["dollars"]["worst"]
    assert unknown["jobs"][0]["dollars"]["expected"] is not None


def test_a_price_that_is_not_known_makes_dollars_unknown_and_the_plan_still_works():
    listed = table(("ml.m5.xlarge", "processing", 1.0))
    document = cost.estimate(JOBS, config(), REGION, SECONDS, listed)
    assert document["dollars"]["worst"] is None
    assert document["jobs"][0]["dollars"]["worst"] is not None
    assert document["prices"]["unknown"] == [listed.unknown(REGION, "ml.m5.xlarge", "training")]
    assert "the price of ml.m5.xlarge (training) in us-east-1 is unknown" in bill(document)
    with pytest.raises(InputError, match=r"could cost \$4\.07"):
        cost.check_cap(cost.estimate(JOBS, config(max_dollars=4), REGION, table=listed))


def test_no_money_is_spent_where_the_cap_cannot_be_checked():
    cost.require_prices(cost.estimate(JOBS, config(), REGION, table=ONE_DOLLAR))
    with pytest.raises(InputError, match=r"max_dollars \(\$10\.00\) cannot be checked; nothing was started") as refused:
        cost.require_prices(cost.estimate(JOBS, config(instance="ml.m5.4xlarge"), REGION, table=ONE_DOLLAR))
    assert "ml.m5.4xlarge (training)" in str(refused.value)
    assert "fourscore infra prices --refresh" in str(refused.value)


def test_a_run_that_could_cost_more_than_its_cap_is_refused_with_what_to_change():
    settings = config(instances=4, minutes=600, max_dollars=5)
    with pytest.raises(
        InputError, match=r"could cost \$\d+\.\d\d, more than sagemaker\.max_dollars \(\$5\.00\)"
    ) as refused:
        cost.check_cap(cost.estimate(JOBS, settings, REGION, table=ONE_DOLLAR))
    message = str(refused.value)
    assert "train: $80.13 for up to 600 minutes on 4 x ml.m5.xlarge, 2 times if" in message
    assert "sagemaker.train.minutes" in message
    assert "sagemaker.train.instances" in message
    enough = float(re.search(r"raise sagemaker\.max_dollars to ([\d.]+)", message)[1])
    raised = config(instances=4, minutes=600, max_dollars=enough)
    cost.check_cap(cost.estimate(JOBS, raised, REGION, table=ONE_DOLLAR))


@given(
    seconds=st.fixed_dictionaries({name: st.floats(0, 60) for name in STAGES}),
    instances=st.integers(1, 64),
    spot=st.booleans(),
    minutes=st.integers(2, 7200),
)
def test_what_is_expected_is_never_above_the_worst_case(seconds, instances, spot, minutes):
    """As long as no job was stopped by its limit before: 60 seconds a stage are within two minutes and more a job."""
    settings = SageMakerConfig.model_validate({"prepare": {"minutes": 5}, "assess": {"minutes": 2}, "train": {"instances": instances, "spot": spot, "minutes": minutes}})  # fmt: skip
    for item in cost.estimate(JOBS, settings, REGION, seconds, ONE_DOLLAR)["jobs"]:
        assert 0 < item["dollars"]["expected"] <= item["dollars"]["worst"]


def test_history_is_of_the_newest_execution_of_each_stage_wherever_it_ran(workspace):
    def record(run, started, keys, **changes):
        stages = [StageRecord(name=name, key=key, status="ran") for name, key in keys.items()]
        records.save(workspace, RunRecord(run=run, problem_name=changes.pop("problem_name", "flights"), problem_path="p", problem={}, overrides={}, smoke=False, status="pass", started=started, stages=stages, **changes))  # fmt: skip

    record("old", "2026-01-01", {"define": "d1", "train": "t1"})
    record("new", "2026-02-01", {"define": "d2", "train": "gone"})
    record("else", "2026-03-01", {"define": "d3"}, problem_name="other")
    rehearsal = records.load(workspace, "new")
    records.save(workspace, replace(rehearsal, run="rehearsal", started="2026-04-01", smoke=True))
    took = {"d1": 1.0, "d2": 2.0, "d3": 3.0, "t1": 600.0}

    def find(key):
        return Manifest(key, "any", {}, "pass", seconds=took[key]) if key in took else None

    assert cost.history(workspace, "flights", find) == {"define": 2.0, "train": 600.0}
    assert cost.history(workspace, "flights", find, smoke=True) == {"define": 2.0}
    assert cost.history(workspace, "nobody", find) == {}


def test_the_default_problem_is_priced_in_the_regions_that_the_table_has():
    for region in ("us-east-1", "eu-west-1", "ap-south-1"):
        costs = cost.estimate(JOBS, SageMakerConfig(), region)
        cost.require_prices(costs)
        cost.check_cap(costs)


def test_reading_prices_imports_neither_an_sdk_nor_anything_heavy():
    code = "import sys, infra.sagemaker.cost; print([n for n in sys.argv[1:] if n in sys.modules])"  # fmt: skip
    heavy = ["boto3", "botocore", "sagemaker", "torch", "numpy", "pandas", "polars", "mlflow"]
    process = subprocess.run([sys.executable, "-c", code, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
