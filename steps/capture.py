"""capture: captured requests and answers become tables with the model's typed columns."""

from __future__ import annotations

from collections import Counter

from steps import documents
from steps.core import Config, Input, Output
from steps.errors import InputError
from steps.journal import Journal

LISTED = 20


class CaptureConfig(Config):
    """Nothing is configured."""


def capture(captured: Input, model: Input, traffic: Output, config: CaptureConfig, log: Journal) -> None:
    """Read every file with the model's own reader: a row that cannot be read is counted, and its values are not kept.

    Raises:
        InputError: no line of the files is a request.
    """
    import polars as pl

    from model_code import families
    from model_code.digest import directory_digest
    from steps.monitoring.captured import REQUEST, TIME, Skipped, batches
    from steps.monitoring.document import Traffic

    paths, faults, skipped = sorted(path for path in captured.rglob("*") if path.is_file()), Counter[str](), Skipped()
    rows, requests, digest = 0, list[pl.DataFrame](), directory_digest(model)
    for number, batch in enumerate(batches(paths, families.load_schema(model), skipped, digest)):
        batch.rows.write_parquet(traffic / f"rows-{number:06}.parquet")
        requests.append(batch.requests)
        faults.update(batch.faults)
        rows += batch.rows.height
    broken = skipped.broken
    if not rows and skipped.of_others:
        raise InputError(f"another model answered all {skipped.of_others} requests; name the run whose model answers")
    if not requests:
        example = f"; the first: {broken[0]}" if broken else ""
        raise InputError(
            f"no line of {len(paths)} files is a captured request: wanted JSON objects with time, request_id, inputs and "
            f"answers, as 'fourscore serve --capture' writes them; {len(broken)} lines cannot be read{example}"
        )
    # a request may be in the capture and in the log
    merged = (
        pl.concat(requests)
        .group_by(REQUEST, maintain_order=True)
        .agg(pl.col(TIME).min(), pl.col("rows").max(), pl.col("status", "seconds", "unreadable").max())
    )
    merged.write_parquet(traffic / "requests.parquet")
    documents.write(
        traffic,
        Traffic(
            files=len(paths),
            requests=merged.height,
            rows=rows,
            unreadable=dict(sorted(faults.items())),
            of_other_models=skipped.of_others,
            broken_lines=len(broken),
            broken=tuple(broken[:LISTED]),
        ),
    )
    log.metrics({"application/requests": merged.height, "application/rows": rows})
    if skipped.of_others:
        log.note(f"another model answered {skipped.of_others} requests; they do not count")
    if broken:
        text = f"{len(broken)} lines of the capture cannot be read; the first: {broken[0]}"
        log.warning(text)
