"""The card of a model package: what SageMaker's pattern and length allow."""

import json

import pytest

from steps.cards.sagemaker import FILE, LONGEST, package_card


@pytest.mark.parametrize(
    ("length", "fields"), [(9, ["intended_uses", "evaluation_details"]), (LONGEST, ["intended_uses"])]
)
def test_the_card_of_a_package_is_one_line_with_a_short_overview_and_not_too_long(tmp_path, length, fields):
    content = {
        "model_overview": {"model_description": "d", "model_owner": "the owner"},
        "intended_uses": {"purpose_of_model": "one\u2028two\nthree"},
        "evaluation_details": [{"name": "x" * length}],
    }
    (tmp_path / FILE).write_text(json.dumps(content), encoding="utf-8")
    text = package_card(tmp_path)
    assert len(text) <= LONGEST
    assert len(text.splitlines()) == 1
    card = json.loads(text)
    assert card.pop("model_overview") == {"model_creator": "the owner"}
    assert list(card) == fields
    assert card["intended_uses"] == {"purpose_of_model": "one two\nthree"}
