"""The templates of two stacks, a small one and one with everything, as golden files hold them; and filled in, as AWS would.

``PYTHONPATH=. python tests/support/templates.py`` writes tests/golden/aws/ anew; look at the difference before you commit it.
"""

import json
import re
import sys
from pathlib import Path

from infra.aws.data import data_template
from infra.aws.options import Options
from infra.aws.work import work_template
from pipelines.training import TRAINING

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/aws"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/fourscore-dev"
SMALL = Options(stack="dev")
FULL = Options(
    stack="prod",
    prefix="ml",
    models=("breast-cancer", "flights.delay"),
    notify=("ml-team@example.com", "controlling@example.com"),
    budget_dollars=1500,
    repository="acme@1234/models@5678",
    branch="release/next",
    train_environment="training",
    deploy_environment="production",
    oidc_provider="create",
    codebuild=True,
    private=True,
    tracking_uri=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/prod",
    log_bucket="acme-access-logs",
    permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/boundary",
)


def cases():
    return {
        "dev-data": data_template(SMALL),
        "dev": work_template(SMALL, TRAINING),
        "prod-data": data_template(FULL),
        "prod": work_template(FULL, TRAINING),
    }


def filled(template):
    """The template with its substitutions made, for ACCOUNT and REGION."""
    known = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Region": REGION,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "DataKeyArn": KEY,
        "Key.Arn": KEY,
        "ApprovalRule.Arn": RULE,
        "FailureRule.Arn": f"{RULE}-failed",
    }

    def fill(value):
        if isinstance(value, dict):
            if set(value) == {"Fn::Sub"}:
                return re.sub(r"\$\{([\w:.]+)\}", lambda match: known.get(match[1], f"<{match[1]}>"), value["Fn::Sub"])
            return {name: fill(each) for name, each in value.items()}
        return [fill(each) for each in value] if isinstance(value, list) else value

    return fill(template)


def text(template):
    return json.dumps(template, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, template in cases().items():
        (GOLDEN / f"{name}.json").write_text(text(template), encoding="utf-8")
        sys.stderr.write(f"wrote {GOLDEN / name}.json\n")
