"""Random tables with every type of column, and random expectations about them.

Left out is what Great Expectations 1.24 gets wrong itself, where ours differs on purpose:

- Two expectations about quantiles of one column in one suite share one metric: the second gets the values of the first, or an
  IndexError.
- Values that are missing from text and values that are missing from a column without any value count as different within a
  record.
- A column named twice, as ``column_A`` and ``column_B``, lists arrays as values.
- Limits are converted to floats, so that 2**60 + 1 is 2**60; ours are exact.
- Comparing two columns of integers raises where one has missing values and values beyond 2**53; ours compares.
"""

import datetime as dt
import random
from typing import Any

import polars as pl

WORDS = ["red", "green", "blue", "Blue", "x", "", "ä", "a\nb", "12", "1.5", "long text here"]
NUMBERS, TEXTS, DAYS = (
    ("whole", "gaps", "real", "wild", "whole2", "void"),
    ("word", "kind", "nothing"),
    ("day", "at", "at2", "zone"),
)
BOOLEANS = ("yes", "maybe")
QUANTILES = "expect_column_quantile_values_to_be_between"
REGEXES = ["^[a-z]+$", "e", "(?i)BLUE", r"\d", "^$", "(?!x).", r"(.)\1", "b$", r"\bt", "[^a"]


def random_table(seed: int, rows: int) -> pl.DataFrame:
    """A table with integers, floats, text, booleans and dates, with and without missing values."""
    rng = random.Random(seed)  # noqa: S311
    moment = dt.datetime(2013, 1, 1)  # noqa: DTZ001 - a column without a timezone

    def draw(values, gaps=0.0):
        return [None if rng.random() < gaps else rng.choice(values) for _ in range(rows)]

    small = [*range(-3, 12)]
    floats = [round(rng.uniform(-5, 5), rng.choice([0, 1, 6])) for _ in range(30)]
    ordered = rng.random() < 0.5
    moments = [moment + dt.timedelta(hours=rng.randrange(2000)) for _ in range(40)]
    days = [m.date() for m in moments]
    columns = {
        "whole": (sorted(draw(small)) if ordered else draw(small), pl.Int64),
        "gaps": (draw(small, 0.3), pl.Int64),
        "real": (draw(floats), pl.Float64),
        "wild": (draw([*floats[:5], float("nan"), float("inf"), -float("inf"), 0.0, -0.0], 0.2), pl.Float64),
        "whole2": ([*range(rows)] if ordered else rng.sample(range(10 * rows), rows), pl.Int64),
        "void": ([None] * rows, pl.Float64),
        "word": (draw(WORDS, 0.2), pl.String),
        "kind": (draw(["a", "b"]), pl.String),
        "nothing": ([None] * rows, pl.String),
        "yes": (draw([True, False]), pl.Boolean),
        "maybe": (draw([True, False], 0.3), pl.Boolean),
        "day": (sorted(draw(days)) if ordered else draw(days, 0.2), pl.Date),
        "at": (draw(moments, 0.1), pl.Datetime("us")),
        "at2": (draw(moments), pl.Datetime("us")),
        "zone": (draw(moments, 0.1), pl.Datetime("us", "Europe/Berlin")),
    }
    series = []
    for name, (values, dtype) in columns.items():
        if name == "zone":
            series.append(
                pl.Series(name, values, dtype=pl.Datetime("us"))
                .dt.replace_time_zone("UTC")
                .dt.convert_time_zone("Europe/Berlin")
            )
        else:
            series.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(series)


def random_suite(seed: int, frame: pl.DataFrame, size: int) -> list[tuple[str, dict[str, Any]]]:
    """Expectations of every type that Polars evaluates, in turn, with random arguments."""
    rng = random.Random(seed)  # noqa: S311
    makers = list(MAKERS.items())
    rng.shuffle(makers)
    suite = []
    for position in range(size):
        kind, make = makers[position % len(makers)]
        kwargs = make(_Draw(rng, frame))
        repeats = any(earlier[0] == kind == QUANTILES and earlier[1]["column"] == kwargs["column"] for earlier in suite)
        if not repeats:
            suite.append((kind, kwargs))
    return suite


class _Draw:
    """Random arguments for one expectation."""

    def __init__(self, rng, frame):
        self.rng, self.frame = rng, frame

    def column(self, *groups):
        return {"column": self.rng.choice([name for group in groups for name in group])}

    def maybe(self, share, **arguments):
        return arguments if self.rng.random() < share else {}

    def mostly(self):
        return self.maybe(0.4, mostly=self.rng.choice([0, 0.3, 0.5, 0.8, 0.9, 1]))

    def condition(self):
        compare = {"type": "comparison", "column": {"name": self.rng.choice(("whole", "gaps", "real"))}}
        compare |= {
            "operator": self.rng.choice(["<", "<=", ">", ">=", "==", "!="]),
            "parameter": self.rng.choice([0, 2, 4.5]),
        }
        word = {
            "type": "comparison",
            "column": {"name": "word"},
            "operator": self.rng.choice(["==", "!="]),
            "parameter": "red",
        }
        nullity = {
            "type": "nullity",
            "column": {"name": self.rng.choice(["word", "wild"])},
            "is_null": self.rng.random() < 0.5,
        }
        both = {"type": "and", "conditions": [compare, nullity]}
        return self.maybe(0.2, row_condition=self.rng.choice([compare, word, nullity, both]))

    def value(self, name):
        present = [value for value in self.frame[name].to_list() if value is not None]
        if name in DAYS:
            day = self.rng.choice(present) if present and self.rng.random() < 0.7 else dt.date(2013, 1, 9)
            return day.isoformat()
        if name in TEXTS:
            return self.rng.choice(WORDS)
        if name in BOOLEANS:
            return self.rng.random() < 0.5
        finite = [value for value in present if abs(value) < 100]
        return self.rng.choice([*finite, -1, 0, 1, 2.5, 7])

    def limits(self, name, low=None, whole=False):
        values = sorted((low() if low else self.value(name)) for _ in range(2))
        values = [int(value) for value in values] if whole else values
        ends = self.rng.choice([(0, 1), (0,), (1,)])
        bounds = dict(zip(("min_value", "max_value"), values, strict=True))
        limits = {key: value for i, (key, value) in enumerate(bounds.items()) if i in ends}
        return limits | self.maybe(0.2, strict_min=self.rng.random() < 0.7) | self.maybe(0.2, strict_max=True)

    def values(self, name, least=1):
        return [self.value(name) for _ in range(self.rng.randrange(least, 8))]

    def about(self, *groups):
        return self.column(*groups) | self.condition()


def _with_set(*groups, mostly=True, **more):
    """Make expectations with a value set; one about rows may have an empty set, or one with null."""

    def make(draw):
        about = draw.about(*groups)
        extra = draw.mostly() if mostly else {}
        return (
            about
            | extra
            | {
                "value_set": draw.values(about["column"], 0) + draw.rng.choice([[], [None]])
                if mostly
                else draw.values(about["column"])
            }
            | {key: draw.rng.choice(value) for key, value in more.items()}
        )

    return make


def _figure(*groups, low=None, whole=False):
    def make(draw):
        about = draw.about(*groups)
        return about | draw.limits(about["column"], low and (lambda: low(draw.rng)), whole)

    return make


def _pair(draw, *groups):
    names = draw.rng.choice(groups)
    a, b = draw.rng.sample(names, 2)
    ignore = draw.rng.choice(["both_values_are_missing", "either_value_is_missing", "neither"])
    return {"column_A": a, "column_B": b} | draw.maybe(0.6, ignore_row_if=ignore) | draw.mostly()


def _pair_in_set(draw):
    about = _pair(draw, ("whole", "gaps"), ("word", "kind", "nothing"))
    pairs = [[draw.rng.choice([draw.value(about["column_A"]), None]), draw.value(about["column_B"])] for _ in range(9)]
    return about | {"value_pairs_set": pairs}


def _several(draw, *groups):
    names = draw.rng.choice(groups)
    listed = draw.rng.sample(names, draw.rng.randrange(2, min(4, len(names)) + 1))
    ignore = draw.rng.choice(["all_values_are_missing", "any_value_is_missing", "never"])
    return {"column_list": listed} | draw.maybe(0.6, ignore_row_if=ignore) | draw.mostly() | draw.condition()


def _quantiles(draw):
    about = draw.about(NUMBERS)
    shares = sorted(draw.rng.choice([0, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1]) for _ in range(draw.rng.randrange(1, 4)))
    ranges = []
    for _ in shares:
        low, high = sorted(draw.value(about["column"]) for _ in range(2))
        ranges.append(draw.rng.choice([[low, high], [None, high], [low, None]]))
    return about | {"quantile_ranges": {"quantiles": shares, "value_ranges": ranges}}


NUMERIC, ALL = (NUMBERS,), (NUMBERS, TEXTS, BOOLEANS, DAYS)
SAME = (NUMBERS, TEXTS, BOOLEANS, ("day", "at", "at2"))
TYPES = ["int64", "int", "float", "float64", "str", "bool", "datetime64[us]", "datetime64", "object", "U", "bool_"]
MAKERS = {
    "expect_table_row_count_to_be_between": lambda d: (
        d.limits("whole2", lambda: d.rng.randrange(60), True) | d.condition()
    ),
    "expect_table_row_count_to_equal": lambda d: {"value": d.rng.choice([len(d.frame), 3])} | d.condition(),
    "expect_table_column_count_to_be_between": lambda d: {"min_value": 1, "max_value": d.rng.choice([3, 15, 20, None])},
    "expect_table_column_count_to_equal": lambda d: {"value": d.rng.choice([15, 3])},
    "expect_table_columns_to_match_ordered_list": lambda d: {"column_list": d.frame.columns[: d.rng.choice([15, 14])]},
    "expect_table_columns_to_match_set": lambda d: (
        {"column_set": d.rng.sample(d.frame.columns, d.rng.choice([15, 9]))}
        | d.maybe(0.5, exact_match=d.rng.choice([True, False, None]))
    ),
    "expect_column_to_exist": lambda d: (
        {"column": d.rng.choice([*d.frame.columns, "nope"])}
        | d.maybe(0.5, column_index=d.rng.choice([0, 1, 3, -2, 99]))
    ),
    "expect_column_values_to_not_be_null": lambda d: d.about(*ALL) | d.mostly(),
    "expect_column_values_to_be_null": lambda d: d.about(*ALL) | d.mostly(),
    "expect_column_values_to_be_between": lambda d: _figure(NUMBERS, DAYS)(d) | d.mostly(),
    "expect_column_values_to_be_in_set": _with_set(*ALL),
    "expect_column_values_to_not_be_in_set": _with_set(*ALL),
    "expect_column_values_to_be_unique": lambda d: d.about(*ALL) | d.mostly(),
    "expect_column_values_to_be_increasing": lambda d: (
        d.about(NUMBERS, DAYS) | d.maybe(0.5, strictly=True) | d.mostly()
    ),
    "expect_column_values_to_be_decreasing": lambda d: (
        d.about(NUMBERS, DAYS) | d.maybe(0.5, strictly=True) | d.mostly()
    ),
    "expect_column_values_to_be_of_type": lambda d: d.about(*ALL) | {"type_": d.rng.choice(TYPES)},
    "expect_column_values_to_be_in_type_list": lambda d: d.about(*ALL) | {"type_list": d.rng.sample(TYPES, 2)},
    "expect_column_values_to_match_regex": lambda d: (
        d.about(TEXTS) | {"regex": d.rng.choice(REGEXES[:-1])} | d.mostly()
    ),
    "expect_column_values_to_not_match_regex": lambda d: (
        d.about(TEXTS) | {"regex": d.rng.choice(REGEXES[:-1])} | d.mostly()
    ),
    "expect_column_values_to_match_regex_list": lambda d: (
        d.about(TEXTS)
        | {"regex_list": d.rng.sample(REGEXES[:-1], 2)}
        | d.maybe(0.5, match_on=d.rng.choice(["any", "all"]))
    ),
    "expect_column_values_to_not_match_regex_list": lambda d: (
        d.about(TEXTS) | {"regex_list": d.rng.sample(REGEXES[:-1], 2)} | d.mostly()
    ),
    "expect_column_value_lengths_to_be_between": lambda d: (
        _figure(TEXTS, low=lambda r: r.randrange(8), whole=True)(d) | d.mostly()
    ),
    "expect_column_value_lengths_to_equal": lambda d: d.about(TEXTS) | {"value": d.rng.randrange(6)} | d.mostly(),
    "expect_column_value_z_scores_to_be_less_than": lambda d: (
        d.about(NUMBERS)
        | {"threshold": d.rng.choice([0.5, 1, 1.77, 3]), "double_sided": d.rng.random() < 0.5}
        | d.mostly()
    ),
    "expect_column_pair_values_to_be_equal": lambda d: _pair(d, *SAME) | d.condition(),
    "expect_column_pair_values_a_to_be_greater_than_b": lambda d: (
        _pair(d, NUMBERS, ("day", "at", "at2")) | d.maybe(0.5, or_equal=True) | d.condition()
    ),
    "expect_column_pair_values_to_be_in_set": _pair_in_set,
    "expect_compound_columns_to_be_unique": lambda d: _several(d, NUMBERS, (*TEXTS, *BOOLEANS), DAYS),
    "expect_select_column_values_to_be_unique_within_record": lambda d: _several(d, NUMBERS, ("word", "kind")),
    "expect_multicolumn_sum_to_equal": lambda d: _several(d, NUMBERS) | {"sum_total": d.rng.choice([3, 5, 2.5])},
    "expect_multicolumn_values_to_be_equal": lambda d: _several(d, *SAME),
    "expect_column_min_to_be_between": _figure(NUMBERS, DAYS),
    "expect_column_max_to_be_between": _figure(NUMBERS, DAYS),
    "expect_column_mean_to_be_between": _figure(*NUMERIC),
    "expect_column_median_to_be_between": _figure(*NUMERIC),
    "expect_column_sum_to_be_between": _figure(*NUMERIC),
    "expect_column_stdev_to_be_between": _figure(*NUMERIC),
    QUANTILES: _quantiles,
    "expect_column_unique_value_count_to_be_between": _figure(*ALL, low=lambda r: r.randrange(20), whole=True),
    "expect_column_proportion_of_unique_values_to_be_between": _figure(*ALL, low=lambda r: r.random()),
    "expect_column_proportion_of_non_null_values_to_be_between": _figure(*ALL, low=lambda r: r.random()),
    "expect_column_most_common_value_to_be_in_set": _with_set(
        NUMBERS, TEXTS, BOOLEANS, mostly=False, ties_okay=[None, True, False]
    ),
    "expect_column_distinct_values_to_be_in_set": _with_set(NUMBERS, TEXTS, BOOLEANS, mostly=False),
    "expect_column_distinct_values_to_contain_set": _with_set(NUMBERS, TEXTS, BOOLEANS, mostly=False),
    "expect_column_distinct_values_to_equal_set": _with_set(NUMBERS, TEXTS, BOOLEANS, mostly=False),
}
