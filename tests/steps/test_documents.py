"""Published documents: the same bytes for the same content, no number that JSON lacks, other versions told apart."""

from __future__ import annotations

import json

import pytest

from steps import documents
from steps.cards.document import Registration
from steps.errors import FourscoreError
from steps.labeling.document import ClassShare, LabelReport

REPORT = LabelReport(
    target="ätz",
    task="binary-classification",
    source="column:ätz",
    rows=3,
    rows_labeled=3,
    rows_unlabeled=0,
    unlabeled="refuse",
    coverage=1.0,
    classes=(ClassShare(name="no", rows=2, share=2 / 3), ClassShare(name="yes", rows=1, share=1 / 3)),
)


def test_a_document_is_read_as_it_was_written_with_its_format_and_its_published_field_names(tmp_path):
    documents.write(tmp_path, REPORT)
    text = (tmp_path / "labels.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert documents.read(LabelReport, tmp_path) == REPORT
    assert (content["format"], content["classes"][0]["class"]) == (1, "no")
    assert '\n "target": "ätz",' in text
    assert text.endswith("}\n")


def test_a_number_that_json_cannot_hold_is_refused_by_the_name_of_its_field(tmp_path):
    broken = REPORT.model_copy(update={"classes": (ClassShare(name="no", rows=2, share=float("nan")),)})
    with pytest.raises(FourscoreError, match=r"labeled/labels.json: the field classes\[0\].share is nan"):
        documents.write(tmp_path, broken)
    assert not (tmp_path / "labels.json").exists()


def test_a_document_of_an_earlier_or_a_later_version_is_read_without_what_this_one_does_not_know():
    content = {**REPORT.model_dump(by_alias=True), "since": "a later version", "format": 1}
    assert documents.parse(LabelReport, json.dumps(content).encode(), "labels.json") == REPORT
    del content["format"], content["notes"]
    assert documents.parse(LabelReport, json.dumps(content).encode(), "labels.json") == REPORT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 2}', "labels.json has format 2; this version of Fourscore reads formats up to 1"),
        ('{"target": 3}', "labels.json is not a LabelReport: target: Input should be a valid string"),
        ("[]", "labels.json is not a LabelReport: the file: "),
        ("{", "labels.json is not JSON: "),
        ("\ud800".encode("utf-8", "surrogatepass"), "labels.json is not JSON: "),
    ],
)
def test_a_file_that_is_no_such_document_is_refused_by_its_name(content, message):
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(FourscoreError) as refused:
        documents.parse(LabelReport, data, "labels.json")
    assert str(refused.value).startswith(message)


def test_a_document_says_where_it_lies_among_the_files_of_a_stage():
    assert Registration.path() == "registration/registration.json"
