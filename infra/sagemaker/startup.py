"""How long a job takes to start, and what fusing eight stages into three jobs saves of it

``python -m infra.sagemaker.startup [REGION INSTANCE]`` prints the README's table.
"""

from __future__ import annotations

import sys
from collections import Counter

from infra.sagemaker import prices
from infra.sagemaker.jobs import HARDWARE
from infra.sagemaker.prices import Job, Prices

STARTUP_MINUTES = 3.0
"""From asking for a job to the first line of our code: instances are found and prepared, inputs and image are fetched.

The median of eight training jobs whose logs with times are public (ml.c4 to ml.p2 and ml.g4dn, 2019 to 2022): 138 to 270 seconds.
Not measured with our image.
"""
PAID_STARTUP_MINUTES = 1.0
"""What of it is paid for: from TrainingStartTime on, while inputs and image are fetched (DescribeTrainingJob). The median of the
six of those jobs that show it: 43 to 177 seconds."""


def fused_and_not(region: str, instance: str, table: Prices | None = None) -> str:
    """The README's table: three fused jobs beside one job per stage."""
    table = table or prices.load()
    stages = Counter(HARDWARE.values())
    rows = []
    for words, counts in (("three fused jobs", dict.fromkeys(stages, 1)), ("one job per stage", dict(stages))):
        number = sum(counts.values())
        dollars = sum(
            count
            * PAID_STARTUP_MINUTES
            / 60
            * table.price(region, instance, "training" if job == "train" else "processing").dollars
            for job, count in counts.items()
        )
        rows.append(
            f"| {words} | {number} | {number * STARTUP_MINUTES:g} | {number * PAID_STARTUP_MINUTES:g} | ${dollars:.3f} |"
        )
    head = f"| all {sum(stages.values())} stages on {instance}, {region} | jobs | minutes of start-up | of them paid | start-up costs |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _hour(job: str, region: str, instance: str, table: Prices) -> float:
    kind: Job = "training" if job == "train" else "processing"
    return table.price(region, instance, kind).dollars


if __name__ == "__main__":
    region, instance = sys.argv[1:3] if len(sys.argv) > 2 else ("us-east-1", "ml.m5.xlarge")
    sys.stdout.write(fused_and_not(region, instance) + "\n")
