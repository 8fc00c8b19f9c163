"""new: a run accepts every proposal up to the split, or new refuses the data itself with a sentence."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from stages import run_stages

from pipelines.propose.proposal import describe, propose, write
from steps.errors import InputError
from steps.label import FEW

START = dt.date(2020, 1, 1)
COLUMNS = {
    "number": lambda r, n: [f"{r.gauss(0, 1):.3f}" for _ in range(n)],
    "whole": lambda r, n: [str(r.randrange(50)) for _ in range(n)],
    "constant": lambda _, n: ["7"] * n,
    "empty": lambda _, n: [""] * n,
    "nearly empty": lambda _, n: ["1", *[""] * (n - 1)],
    "category": lambda r, n: [r.choice("abc") for _ in range(n)],
    "rare": lambda _, n: [*["x"] * (n - 1), "y"],
    "answer": lambda r, n: [r.choice(["Yes", "yes ", "NO", "no"]) for _ in range(n)],
    "flag": lambda r, n: [r.choice("01") for _ in range(n)],
    "id": lambda _, n: [str(number + 1) for number in range(n)],
    "zip": lambda r, n: [f"0{r.randrange(30):03}" for _ in range(n)],
    "customer_id": lambda r, n: [str(r.randrange(max(2, n // 2))) for _ in range(n)],
    "user_id": lambda _, n: [f"u{number // 2}" for number in range(n)],
    "date": lambda r, n: [str(START + dt.timedelta(r.randrange(400))) for _ in range(n)],
    "when": lambda _, n: [str(START + dt.timedelta(day)) for day in range(n)],
    "year": lambda _, n: [str(2000 + number * 10 // n) for number in range(n)],
    "month": lambda _, n: [str(number % 12 + 1) for number in range(n)],
    "text": lambda r, n: [" ".join(r.choices(["alpha", "beta", "gamma", "delta"], k=6)) for _ in range(n)],
    "gaps": lambda r, n: [r.choice(["", f"{r.random():.2f}"]) for _ in range(n)],
    "words": lambda r, n: [r.choice(["NA", "none", "1.5", "2.5"]) for _ in range(n)],
    "huge": lambda r, n: [str(10 ** r.randrange(25)) for _ in range(n)],
}
TARGETS = {
    "two": lambda r, n: [r.choice("ab") for _ in range(n)],
    "two, one rare": lambda _, n: [*"a" * (n - 3), *"bbb"],
    "three": lambda r, n: [r.choice("abc") for _ in range(n)],
    "three, one rare": lambda r, n: [*r.choices("ab", k=n - 2), *"cc"],
    "many": lambda r, n: [r.choice("abcdefghijklmnop") for _ in range(n)],
    "one": lambda _, n: ["a"] * n,
    "codes": lambda r, n: [str(r.randrange(4)) for _ in range(n)],
    "counts": lambda r, n: [str(r.randrange(60)) for _ in range(n)],
    "numbers": lambda r, n: [f"{r.gauss(0, 1):.2f}" for _ in range(n)],
    "skewed": lambda r, n: [str(int(10 ** (6 * r.random()))) for _ in range(n)],
    "nearly constant": lambda _, n: [*["3.5"] * (n - 1), "4"],
    "in runs": lambda _, n: [*"a" * (n // 2), *"b" * (n - n // 2)],
    "gaps": COLUMNS["gaps"],
    "answer": COLUMNS["answer"],
    "unique": lambda _, n: [f"word{number}" for number in range(n)],
    "dates": COLUMNS["date"],
    "empty": COLUMNS["empty"],
}


def random_table(seed: int) -> dict[str, list[str]]:
    """Return columns of a small table that a person might bring: tiny, with rare classes, constants, ids, copies, gaps."""
    r = random.Random(seed)  # noqa: S311 - chance, not secrecy
    rows = r.choice([10, 12, 15, 20, 30, 50, 80, 200])
    table = {name: COLUMNS[name](r, rows) for name in r.sample([*COLUMNS], r.randrange(1, 8))}
    table["y"] = TARGETS[r.choice([*TARGETS])](r, rows)
    if r.random() < 0.15:
        table["copy"] = table["y"]
    again = range(rows // 3) if r.random() < 0.2 else ()
    order = [*range(rows), *again]
    if r.random() < 0.5:
        r.shuffle(order)
    return {name: [values[row] for row in order] for name, values in table.items()}


def write_csv(path, table):
    rows = [",".join(row) for row in zip(*table.values(), strict=True)]
    path.write_text("\n".join([",".join(table), *rows]) + "\n")
    return str(path)


@pytest.mark.parametrize("part", range(4))
def test_a_run_accepts_what_new_proposes_of_random_tables(tmp_path, part):
    accepted = 0
    for seed in range(part * 7, part * 7 + 7):
        place = tmp_path / str(seed)
        place.mkdir()
        data = write_csv(place / "table.csv", random_table(seed))
        try:
            proposal = propose(place / "problem", [data], "y")
        except InputError as error:
            assert str(error), seed  # noqa: PT017 - a sentence is enough
            continue
        write(proposal)
        run_stages(place / "problem", place / "run")
        accepted += 1
    assert accepted >= 2


def test_rows_of_rare_classes_are_left_out_and_that_is_asked_about(tmp_path):
    table = {"x": [str(n * n % 17) for n in range(90)], "y": ["rare" if n == 3 else "abc"[n % 3] for n in range(90)]}
    proposal = propose(tmp_path / "p", [write_csv(tmp_path / "d.csv", table)], "y")
    assert proposal.label["leave_out"] == ["rare"]
    assert f"classes of 'y' with fewer than {FEW} rows are left out" in " ".join(proposal.decide)
    assert "'rare' (1)" in " ".join(proposal.decide)


def test_a_division_without_rows_or_classes_gets_a_seed_that_works_and_says_so(tmp_path):
    for rows in range(12, 40):
        table = {"x": [str(n) for n in range(rows)], "y": ["ab"[n * 7 % rows > 5] for n in range(rows)]}
        place = tmp_path / str(rows)
        place.mkdir()
        proposal = propose(place / "p", [write_csv(place / "d.csv", table)], "y", split="row")
        if seed := proposal.draft.content["split"].get("seed"):
            assert f"split.seed: {seed}; with smaller seeds a part has no rows" in describe(proposal)
            return
    pytest.fail("every division worked")


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([*"a" * 27, *"bbb"], r"too few rows of 'b' \(3\); each class needs 5 or more"),
        ([*"aaaabbbb", *[""] * 22], r"too few rows of 'a' \(4\), 'b' \(4\)"),
    ],
)
def test_two_classes_of_which_one_is_rare_are_refused_by_new(tmp_path, y, match):
    table = {"x": [str(n * n % 17) for n in range(30)], "y": y}
    with pytest.raises(InputError, match=match):
        propose(tmp_path / "p", [write_csv(tmp_path / "d.csv", table)], "y")


def test_a_leak_that_is_the_only_column_is_refused_by_new_with_the_setting_that_allows_it(tmp_path):
    table = {"x": [str(n * n) for n in range(60)], "y": [str(3 * n * n) for n in range(60)]}
    data = write_csv(tmp_path / "d.csv", table)
    with pytest.raises(InputError, match=r"split.allow_proxies: \{x: .*\n.*no other column is left"):
        propose(tmp_path / "p", [data], "y")
