"""new: words among numbers, footers and infinities are proposed as settings, and what is proposed runs."""

import pytest

from pipelines.problem.loading import load
from pipelines.propose.proposal import propose, write
from steps.errors import InputError


def people(line, count=120):
    return [
        line.format(n=n % 60 + 18, m=f"{n * 1.5 + 1000:.2f}", c="abc"[n % 3], y=("yes", "no")[n % 2])
        for n in range(count)
    ]


def proposed(tmp_path, lines, header="age;income;place;bought", target="bought", **options):
    path = tmp_path / "people.csv"
    path.write_text("\n".join([header, *lines, ""]))
    proposal = propose(tmp_path / "p", [str(path)], target, **options)
    write(proposal)
    return proposal, load(tmp_path / "p/problem.yaml").problem


@pytest.mark.parametrize("words", [["unknown"], ["-", "n.a.", "#DIV/0!"], ["inf", "-inf"]])
def test_words_among_numbers_are_proposed_as_missing_in_their_column(tmp_path, words):
    lines = people("{n};{m};{c};{y}")
    for place, word in enumerate(words):
        lines[place * 7] = f"33;{word};unknown;yes"
    proposal, problem = proposed(tmp_path, lines)
    assert problem.data.columns["income"].missing == tuple(words)
    assert problem.data.columns["income"].type == "float"
    assert problem.data.columns["place"].missing == ()
    [question] = [text for text in proposal.decide if "'income'" in text]
    assert f"{words[0]!r}" in question
    assert "row" in question


def test_a_footer_is_proposed_to_be_left_out(tmp_path):
    proposal, problem = proposed(
        tmp_path, [*people("{n};{m};{c};{y}"), "Grand total: 120;18123.5;;", "Page -1 of 1;;;"]
    )
    assert problem.data.sources["people"].skip_footer == 2
    assert problem.data.columns["age"].type == "integer"
    assert proposal.rows == 120
    assert any("'Grand total: 120', 'Page -1 of 1'" in text for text in proposal.decide)


@pytest.mark.parametrize("word", ["Total", "Summe", "grand total 2023", "Gesamt"])
def test_a_total_with_numbers_in_all_columns_of_numbers_is_asked_about(tmp_path, word):
    proposal, _ = proposed(tmp_path, [*people("{n};{m};{c};{y}"), f"4000;18123.5;{word};"])
    assert any(f"{word!r}" in text and "skip_footer=1" in text for text in proposal.decide)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ("20230{n}15", "type: date, format: '%Y%m%d'"),
        ("16868{n}1600", "type: datetime, format: '%s'"),
        ("16868{n}1600.5", "type: datetime, format: '%s'"),
        ("16868{n}1600000", "type: datetime, format: '%Q'"),
        ("16868{n}1600000000", "microseconds since 1970: divide by 1000000"),
        ("20230{n}", "type: date, format: '%Y%m'"),
        ("20230{n}151015", "type: datetime, format: '%Y%m%d%H%M'"),
        ("4492{n}", "type: date, format: 'excel'"),
        ("4492{n}.25", "type: datetime, format: 'excel'"),
        ("20230{n}15101500", "type: datetime, format: '%Y%m%d%H%M%S'"),
    ],
)
def test_whole_numbers_that_may_be_dates_are_asked_about(tmp_path, values, form):
    lines = [f"{values.format(n=n % 9 + 1)};{n % 7};{n % 2}" for n in range(60)]
    proposal, _ = proposed(tmp_path, lines, "day;x;y", "y")
    assert any(form in text for text in proposal.decide)


def test_a_word_among_classes_is_a_class(tmp_path):
    lines = [f"{n % 50};{n % 7};{'other' if n % 40 == 0 else n % 3}" for n in range(200)]
    proposal, problem = proposed(tmp_path, lines, "a;b;y", "y")
    assert proposal.task == "multiclass-classification"
    assert problem.data.columns["y"].missing == ()
    assert any("'other'" in text for text in proposal.decide)


def test_a_word_among_the_numbers_of_a_target_is_no_label(tmp_path):
    lines = [f"{n % 50};{n % 7};{'unknown' if n == 60 else n * 7.5}" for n in range(200)]
    proposal, problem = proposed(tmp_path, lines, "a;b;y", "y")
    assert proposal.task == "regression"
    assert problem.data.columns["y"].missing == ("unknown",)


def test_text_that_nearly_is_something_is_not_dropped_without_a_word(tmp_path):
    lines = [
        f"{n % 7};{n}/0{n % 9 + 1}/{n % 20 + 10};{'$' if n % 2 else '€'}{n * 1.25};{n % 2}" for n in range(1, 13)
    ] * 10
    proposal, _ = proposed(tmp_path, lines, "a;day;amount;y", "y")
    text = " ".join(proposal.decide)
    assert "'day' may be dates, but both" in text
    assert "'amount' holds amounts in $, €" in text


@pytest.mark.parametrize("word", ["Total", "Summe", "Grand total: 120"])
def test_a_total_beside_other_odd_words_is_a_footer(tmp_path, word):
    lines = people("{n};{m};{c};{y}")
    lines[3] = "33;unknown;a;yes"
    _, problem = proposed(tmp_path, [*lines, f"{word};99;;"])
    assert problem.data.sources["people"].skip_footer == 1
    assert problem.data.columns["age"].missing == ()
    assert problem.data.columns["income"].missing == ("unknown",)


def test_a_word_in_the_last_row_is_no_footer(tmp_path):
    _, problem = proposed(tmp_path, [*people("{n};{m};{c};{y}"), "unknown;12.5;a;no"])
    assert problem.data.sources["people"].skip_footer == 0
    assert problem.data.columns["age"].missing == ("unknown",)


def test_subtotals_are_proposed_to_be_left_out(tmp_path):
    lines = people("{n};{m};{c};{y}")
    lines[40] = lines[80] = "Subtotal;4000;;"
    proposal, problem = proposed(tmp_path, lines)
    assert problem.data.sources["people"].drop_rows == (41, 81)
    assert proposal.rows == 118


def test_a_row_of_units_is_proposed_to_be_left_out(tmp_path):
    proposal, problem = proposed(tmp_path, ["years;EUR;-;-", *people("{n};{m};{c};{y}")])
    assert problem.data.sources["people"].drop_rows == (1,)
    assert (problem.data.columns["age"].type, problem.data.columns["income"].type) == ("integer", "float")
    assert proposal.rows == 120
    assert any("row 1 of people.csv" in text and "'years', 'EUR'" in text for text in proposal.decide)


@pytest.mark.parametrize(
    "footer",
    [
        ["Grand total: 120"],
        ["", "Grand total: 120", "Page -1 of 1"],
        ["Total;4000"],
        ["Total;4000", "exported by hand"],
    ],
)
def test_a_footer_with_fewer_cells_is_proposed_to_be_left_out(tmp_path, footer):
    proposal, problem = proposed(tmp_path, [*people("{n};{m};{c};{y}"), *footer])
    assert problem.data.sources["people"].skip_footer == len([line for line in footer if line])
    assert problem.data.columns["age"].type == "integer"
    assert proposal.rows == 120
    assert any("looks like a footer" in text for text in proposal.decide)


@pytest.mark.parametrize("line", ["Subtotal;4000", "Section two", "Total"])
def test_lines_with_fewer_cells_in_the_middle_are_proposed_to_be_left_out(tmp_path, line):
    lines = people("{n};{m};{c};{y}")
    lines[40] = lines[80] = line
    proposal, problem = proposed(tmp_path, lines)
    assert problem.data.sources["people"].drop_rows == (41, 81)
    assert proposal.rows == 118
    assert any("rows 41, 81 of people.csv" in text and line in text for text in proposal.decide)


@pytest.mark.parametrize("line", ["33;12.5", "33;12.5;a", "33;12.5;a;yes;no"])
def test_a_record_that_lost_cells_is_not_left_out(tmp_path, line):
    lines = people("{n};{m};{c};{y}")
    lines[40] = line
    with pytest.raises(InputError, match="line 42 has"):
        proposed(tmp_path, lines)
