"""Ingest of a CSV file beside polars' own scan_csv(...).sink_parquet(...): seconds, CPU seconds, peak memory, ratio.

    python benchmarks/ingest.py                      1,000,000 rows of 20 columns
    python benchmarks/ingest.py --rows 10000000      the full size

Ours infers types from the whole file, knows missing markers, numbers the records, parses dates and computes the content
digest; polars' takes what it finds. Each side runs in a process of its own, in turn, and the better of two counts.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

BATCH = 500_000


def generate(path: Path, rows: int) -> None:
    """Ten columns of floats, five of integers, four of categories, one of times; every 37th value of one is missing."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            columns = {f"f{i}": np.round(random.normal(size=count), 6) for i in range(10)}
            columns |= {f"i{i}": random.integers(0, 10 ** (i + 1), count) for i in range(5)}
            columns |= {
                f"c{i}": np.array([f"value {j}" for j in range(5 * 4**i)])[random.integers(0, 5 * 4**i, count)]
                for i in range(4)
            }
            minutes = pl.duration(minutes=pl.int_range(start, start + count))
            frame = pl.DataFrame(columns).with_columns(
                pl.when(pl.int_range(count) % 37 != 0).then("f3").alias("f3"),
                (pl.datetime(2000, 1, 1) + minutes).dt.strftime("%Y-%m-%d %H:%M:%S").alias("when"),
            )
            frame.write_csv(file, include_header=start == 0)


def raw(path: Path, directory: Path) -> None:
    import polars as pl

    pl.scan_csv(path).sink_parquet(directory / "data.parquet")


def run_ingest(path: Path, directory: Path) -> None:
    from steps.ingest import IngestConfig, ingest
    from steps.journal import Journal

    (directory / "raw/data").mkdir(parents=True)
    (directory / "raw/data/01-data.csv").symlink_to(path)
    (directory / "table").mkdir()
    config = IngestConfig(sources={"data": {"path": "data.csv"}})
    with Journal(directory / "journal.jsonl") as log:
        ingest(directory / "raw", directory / "table", config, log)


def measure(name: str, path: Path, result: Path) -> None:
    """Run in a fresh process: what it took, imports included, and its peak memory."""
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        wall, cpu = time.perf_counter(), time.process_time()
        {"raw": raw, "ours": run_ingest}[name](path, Path(directory))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result.write_text(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data.csv"
        generate(path, arguments.rows)
        print(f"{arguments.rows:,} rows x 20 columns, {path.stat().st_size / 1e6:,.0f} MB of CSV")
        for _ in range(2):
            for name in ("raw", "ours"):
                result = Path(directory) / "result.json"
                process = fresh.Process(target=measure, args=(name, path, result))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"{name} failed")
                seconds = json.loads(result.read_text())
                if name not in best or seconds["cpu"] < best[name]["cpu"]:
                    best[name] = seconds
    for name, seconds in best.items():
        print(f"{name:5} {seconds['wall']:7.2f} s wall {seconds['cpu']:7.2f} s CPU {seconds['peak']:7.0f} MB peak")
    wall, cpu = (best["ours"][unit] / best["raw"][unit] for unit in ("wall", "cpu"))
    print(f"peak memory {best['ours']['peak'] / 1024:.2f} GiB (aim < 1.5)")
    print(f"ratio {wall:.2f} wall, {cpu:.2f} CPU (aim <= 1.30)")


if __name__ == "__main__":
    main()
