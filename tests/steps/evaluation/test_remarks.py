"""What is said of parts of the rows names columns and values, how many rows they are, and with what certainty."""

import pytest
from reported import evaluation

from steps.evaluation.document import Evaluation
from steps.evaluation.remarks import next_steps, of_search
from steps.wording import unmarked

SEARCH = {"metric": "roc_auc", "columns": 18, "paired": 18, "tried": 2889, "least_rows": 655}
WEAK = {
    "where": {"carrier": "UA", "origin": "EWR"},
    "rows": 2704,
    "estimate": {"value": 0.6055, "low": 0.58, "high": 0.631},
}


def sentences(**search):
    return [unmarked(sentence) for sentence in of_search(Evaluation(**evaluation(search={**SEARCH, **search})))]


def test_a_search_says_what_it_looked_at_and_what_it_names():
    begin = "A search of 2,889 segments by one or two of 18 columns (each of 655 rows or more) names "
    assert sentences() == [f"{begin}none that is weak beyond chance."]
    assert sentences(weak=[WEAK]) == [
        f"{begin}1 weak segment: worse than all rows beyond chance, and worse than the model's own probabilities let expect.",
        "carrier = UA and origin = EWR (2,704 rows): ROC AUC 0.606 (0.580 to 0.631).",
    ]


@pytest.mark.parametrize(
    ("columns", "paired", "words"),
    [(1, 1, "by one of 1 column ("), (90, 40, "by one of 90 columns or two of the first 40 (")],
)
def test_columns_that_were_not_paired_are_said(columns, paired, words):
    assert words in sentences(columns=columns, paired=paired)[0]


def test_early_documents_say_nothing_of_a_search():
    assert not [*of_search(Evaluation(**evaluation()))]


def test_next_steps_are_those_of_a_diagnosis():
    steps = [{"advice": "Collect more training rows.", "evidence": "Twice the rows gained 0.01."}]
    judged = Evaluation(**evaluation(verdict="rejected", diagnosis={"steps": steps}))
    assert next_steps(judged) == ["Collect more training rows. Twice the rows gained 0.01."]
    assert next_steps(Evaluation(**evaluation())) == next_steps(None) == []
