"""Ten expectations about a table by Polars beside Great Expectations itself: seconds, CPU seconds, peak memory, ratio.

    python benchmarks/validate.py                    1,000,000 rows of 20 columns
    python benchmarks/validate.py --rows 10000000    the full size; Great Expectations needs 4 GB for it

Some expectations are met and some are not. Each side runs once in a process of its own, imports included, and both must come
to the same outcomes.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

BATCH = 500_000
SUITE = [
    ("expect_table_row_count_to_be_between", {"min_value": 1000}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_column_values_to_not_be_null", {"column": "f3"}),
    ("expect_column_values_to_not_be_null", {"column": "f4"}),
    ("expect_column_values_to_be_between", {"column": "f0", "min_value": -4, "max_value": 4}),
    ("expect_column_values_to_be_between", {"column": "when", "min_value": "2000-01-01"}),
    ("expect_column_values_to_be_in_set", {"column": "c0", "value_set": [f"value {i}" for i in range(5)]}),
    ("expect_column_values_to_match_regex", {"column": "c1", "regex": r"^value 1?\d$"}),
    ("expect_column_mean_to_be_between", {"column": "f1", "min_value": -1, "max_value": 1}),
    ("expect_column_max_to_be_between", {"column": "i2", "max_value": 100}),
]


def generate(table: Path, rows: int) -> None:
    """An id, ten columns of floats, four of integers, four of text, one of times; every 37th value of one is missing."""
    import numpy as np
    import polars as pl

    from steps import documents
    from steps.tables.schema import Column, TableSchema

    random = np.random.default_rng(0)
    parts = table / "parts"
    parts.mkdir(parents=True)
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        order = pl.int_range(start + 1, start + count + 1)
        columns = {f"f{i}": random.normal(size=count) for i in range(10)}
        columns |= {f"i{i}": random.integers(0, 10 ** (i + 1), count) for i in range(4)}
        columns |= {
            f"c{i}": np.array([f"value {j}" for j in range(5 * 4**i)])[random.integers(0, 5 * 4**i, count)]
            for i in range(4)
        }
        frame = pl.DataFrame(columns).select(
            order.alias("_row"),
            order.alias("id"),
            pl.all().exclude("f3"),
            pl.when(pl.int_range(count) % 37 != 0).then("f3").alias("f3"),
            (pl.datetime(2000, 1, 1) + pl.duration(minutes=order)).alias("when"),
        )
        frame.write_parquet(parts / f"{start:09d}.parquet")
    data = pl.scan_parquet(parts / "*.parquet")
    data.sink_parquet(table / "data.parquet")
    kinds = {pl.Int64: "integer", pl.Float64: "float", pl.String: "category", pl.Datetime: "datetime"}
    missing = data.null_count().collect().row(0, named=True)
    types = data.collect_schema()
    listed = tuple(
        Column(name=name, type=kinds[types[name].base_type()], missing=missing[name])
        for name in types
        if name != "_row"
    )
    documents.write(table, TableSchema(rows=rows, digest="", columns=listed))


def by_polars(table, schema):
    from steps.expectations.suite import run_suite

    evaluation = run_suite(table, SUITE, schema)
    assert evaluation.note() is None
    return evaluation.results


def by_great_expectations(table, schema):
    from steps.expectations import fallback

    suite = dict(enumerate(SUITE))
    built, faults = fallback.build(suite, schema)
    assert faults == {}
    return [*fallback.run(table, suite, built, schema).values()]


def measure(name: str, table: Path, report: Path) -> None:
    """Run in a fresh process: what it took, imports included, and its peak memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    from steps import documents
    from steps.expectations.outcomes import outcome
    from steps.tables.schema import TableSchema

    schema = documents.read(TableSchema, table)
    results = {"polars": by_polars, "gx": by_great_expectations}[name](table, schema)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    outcomes = [asdict(outcome(request, result, schema.rows)) for request, result in zip(SUITE, results, strict=True)]
    counts = [[one["success"], one["failing"], one["rows"]] for one in outcomes]
    report.write_text(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "outcomes": counts}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["polars", "gx"], help="one side, without the comparison")
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    figures: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "table"
        process = fresh.Process(target=generate, args=(table, arguments.rows))
        process.start()
        process.join()
        size = (table / "data.parquet").stat().st_size
        print(f"{arguments.rows:,} rows x 20 columns, {size / 1e6:,.0f} MB of Parquet, {len(SUITE)} expectations")
        for name in [arguments.only] if arguments.only else ["polars", "gx"]:
            report = Path(directory) / f"{name}.json"
            process = fresh.Process(target=measure, args=(name, table, report))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{name} failed")
            figures[name] = json.loads(report.read_text())
            print("{0:7} {wall:7.2f} s wall {cpu:7.2f} s CPU {peak:7.0f} MB peak".format(name, **figures[name]))
    if not arguments.only:
        same = [a == b for a, b in zip(figures["polars"]["outcomes"], figures["gx"]["outcomes"], strict=True)]
        print(f"outcomes: {sum(same)} of {len(same)} are the same")
        print(f"peak memory {figures['polars']['peak'] / 1024:.2f} GiB (aim < 1)")
        print(f"ratio {figures['polars']['cpu'] / figures['gx']['cpu']:.3f} CPU (10,000,000 rows: aim < 5 s for 22 s)")


if __name__ == "__main__":
    main()
