"""Seven trivial stages through our runner, beside the same work as one plain script: CPU seconds and their ratio.

Each stage reads a table, changes it a little and writes it: a million rows, where the work of the stages shows, and a
thousand, where nothing shows but what a stage costs. With the projection to MLflow, whose process is waited for, and without.
"""

import sys
import tempfile
from pathlib import Path

from measure import cpu_seconds, in_turn, show, show_ratio

from steps.core import Config, Input, Output, Pipeline, step
from steps.journal import Journal

ROWS, FEW = 1_000_000, 1_000


class Size(Config):
    rows: int


def start(source: Path | None, target: Path, rows: int) -> int:
    import polars as pl

    frame = pl.DataFrame({"a": range(rows), "b": [str(i % 97) for i in range(rows)]})
    frame.write_parquet(target / "data.parquet")
    return frame.height


def change(source: Path, target: Path, rows: int) -> int:
    import polars as pl

    frame = pl.read_parquet(source / "data.parquet")
    frame = frame.with_columns((pl.col("a") * 3 % 1_000_003).alias("a")).sort("a", "b")
    frame.write_parquet(target / "data.parquet")
    return frame.height


WORK = [start, *[change] * 6]


def one(t1: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", start(None, t1, config.rows))


def two(t1: Input, t2: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t1, t2, config.rows))


def three(t2: Input, t3: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t2, t3, config.rows))


def four(t3: Input, t4: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t3, t4, config.rows))


def five(t4: Input, t5: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t4, t5, config.rows))


def six(t5: Input, t6: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t5, t6, config.rows))


def seven(t6: Input, t7: Output, config: Size, log: Journal) -> None:
    log.metric("data/rows", change(t6, t7, config.rows))


def run_script(place: Path, rows: int) -> None:
    source = None
    for index, work in enumerate(WORK):
        target = place / f"t{index + 1}"
        target.mkdir(parents=True, exist_ok=True)
        print(work(source, target, rows))
        source = target


def run_pipeline(place: Path, rows: int, *, tracked: bool) -> None:
    from infra.backends.local import LocalBackend
    from infra.runs import records
    from infra.runs.records import RunRecord
    from infra.store.local import LocalStore
    from infra.tracking import follower
    from pipelines.plan import make_plan

    pipeline = Pipeline("chain", *map(step, (one, two, three, four, five, six, seven)))
    store = LocalStore(place)
    plan = make_plan(pipeline, {step.name: Size(rows=rows) for step in pipeline}, {}, store, "chain")
    stages = [planned.record() for planned in plan.steps]
    record = RunRecord(
        "chain-1", "chain", "chain.yaml", {}, {}, smoke=False, status="running", started=records.now(), stages=stages
    )
    records.path_of(place, "chain-1").parent.mkdir(parents=True, exist_ok=True)
    with records.locked(records.lock_of(place, "chain-1")):
        records.save(place, record)
        process = follower.follow(place, "chain-1", None) if tracked else None
        LocalBackend(store).run(plan, record, lambda *_: None)
        if process:
            follower.finish(process)


def fresh(what: str, rows: int) -> float:
    """One run in an empty folder, so that nothing is cached; the tracked one finds its database made."""
    with tempfile.TemporaryDirectory() as place:
        if what == "tracked":
            from infra.tracking.mlflow_client import connect, default_uri

            connect(Path(place), default_uri(Path(place)))
        return cpu_seconds([sys.executable, __file__, what, place, str(rows)], {"POLARS_MAX_THREADS": "1"})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        what, where, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
        run_script(where, count) if what == "plain" else run_pipeline(where, count, tracked=what == "tracked")
        sys.exit()
    kinds = ("plain", "untracked", "tracked")
    few = in_turn(5, *(lambda kind=kind: fresh(kind, FEW) for kind in kinds))
    script = show(f"{FEW:,} rows: one plain script", few[0])
    runner = show(f"{FEW:,} rows: seven stages, no projection", few[1])
    show(f"{FEW:,} rows: seven stages, projected to MLflow", few[2])
    print(f"a stage costs {(runner - script) / 7 * 1000:.0f} CPU ms, start-up shared out among seven included")
    script, untracked, tracked = in_turn(5, *(lambda kind=kind: fresh(kind, ROWS) for kind in kinds))
    show(f"{ROWS:,} rows: one plain script", script)
    show(f"{ROWS:,} rows: seven stages, no projection", untracked)
    show(f"{ROWS:,} rows: seven stages, projected to MLflow", tracked)
    show_ratio("with the projection", tracked, script, "none")
    show_ratio("without the projection", untracked, script, "<= 1.15; Kedro 1.7, Dagster 3.4, DVC 8.4, Metaflow 10")
