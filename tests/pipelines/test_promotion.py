"""Promotion asks for a candidate, and for somebody who answers for it."""

import pytest
from reported import PROBLEM, make_run

from infra.sources import champion
from pipelines.promotion import promote
from steps.errors import FourscoreError, GateRefused


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"problem": {**PROBLEM, "decision": "to be written: what it serves", "owner": "to be written"}},
         "nobody answers for it: write the decision and owner in /examples/flights/problem.yaml, then run it again"),
        ({"status": "rejected", "message": "roc_auc >= 0.7: not met"}, "was rejected and cannot be promoted"),
        ({"smoke": True}, "is a smoke run on a sample"),
    ],
)  # fmt: skip
def test_a_model_that_may_not_be_used_is_not_promoted(workspace, fields, sentence):
    run = make_run(workspace, **fields)
    with pytest.raises(FourscoreError) as refusal:
        promote(workspace, run, None)
    assert sentence in str(refusal.value)
    assert isinstance(refusal.value, GateRefused) is not fields.get("smoke", False)
    assert champion.read(workspace, "flights") is None
