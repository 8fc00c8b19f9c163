"""The price table: every number has a date and a source, what it lacks is unknown, and AWS's list renews it."""

import json
import re
import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.sagemaker import prices
from infra.sagemaker.config import instance_types
from steps.errors import FourscoreError, InputError

TABLE = prices.load()


def hour(sku, usage, dollars, region="eu-central-1", **more):
    """One product of an offer file, as AWS documents it, and its term."""
    product = {"sku": sku, "productFamily": "ML Instance", "attributes": {"regionCode": region, "usagetype": usage, **more.pop("attributes", {})}}  # fmt: skip
    dimension = {"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": dollars}, **more}
    return {sku: product}, {
        sku: {f"{sku}.JRTCKXETXF": {"priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": dimension}}}
    }


def offer(*hours, **changes):
    products, terms = {}, {}
    for product, term in hours:
        products |= product
        terms |= term
    return {"offerCode": "AmazonSageMaker", "publicationDate": "2026-11-20T03:17:25Z", "products": products, "terms": {"OnDemand": terms}, **changes}  # fmt: skip


OFFER = offer(
    hour("A1", "EUC1-Train:ml.m5.xlarge", "0.2760000000"),
    hour("A2", "EUC1-Processing:ml.m5.xlarge", "0.2760000000"),
    hour("A3", "Train:ml.g5.xlarge", "1.7600000000"),  # us-east-1's usage types once had no prefix
    hour("B1", "EUC1-Host:ml.m5.large", "0.1380000000"),
    hour("B2", "EUC1-TrainingPlanUpfrontFee:ml.p4d.24xlarge", "13.5700000000", unit="Quantity"),
    hour("B3", "EUC1-TrainWarmPool:ml.m5.xlarge", "0.2760000000"),
    hour("B4", "EUC1-Train:VolumeUsage.gp2", "0.1670000000", unit="GB-Mo"),
    hour("B5", "EUC1-Train:ml.m4.xlarge", "0.0000000000"),
    hour("B6", "USE1-Train:ml.m5.2xlarge", "0.4610000000", region="us-east-1"),
    hour("B7", "EUC1-Train:ml.c5.xlarge", "1.0000000000", unit="Quantity"),
    hour("B8", "EUC1-Train:ml.c5.2xlarge", "0.0100000000", beginRange="1000"),
)


@contextmanager
def serving(answers):
    """A server on this machine; what is asked for and not in ``answers`` is not there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = answers.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *message):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{{region}}/index.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a 0'%20 [ünïcode].json"
    path.write_bytes(prices.TABLE.read_bytes())
    return path


def test_every_price_has_a_date_a_source_and_an_instance_that_there_is():
    types = {*instance_types("Training"), *instance_types("Processing")}
    assert TABLE.rows
    for row in TABLE.rows.values():
        assert row.instance in types
        assert re.fullmatch(r"[a-z]{2}-[a-z]+-\d", row.region)
        assert date(2023, 1, 1) < date.fromisoformat(row.date) <= datetime.now(UTC).date()
        assert len(row.source) > 20
        assert 0.01 < row.dollars < 200


def test_the_table_is_written_as_it_would_be_written_again():
    assert prices._text(list(TABLE.rows.values()), TABLE) == prices.TABLE.read_text(encoding="utf-8")


def test_spot_is_a_declared_assumption_and_no_price():
    assert 0 < TABLE.spot_share <= 1
    assert "assumption" in TABLE.spot_source


def test_a_price_says_how_old_it_is():
    row = TABLE.find("us-east-1", "ml.m5.xlarge", "training")
    assert (row.dollars, row.date) == (0.23, "2026-09-24")
    assert row.age(date(2026, 11, 21)) == 58


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (("us-east-1", "ml.m5.xlarg", "training"), "did you mean 'ml.m5.xlarge'"),
        (("eu-central-9", "ml.m5.xlarge", "training"), "no such prices of that region"),
    ],
)
def test_a_price_that_is_not_known_is_not_guessed_and_what_is_near_is_named(regions, message):
    assert TABLE.find(*regions) is None
    assert "is unknown" in TABLE.unknown(*regions)
    assert message in TABLE.unknown(*regions)
    assert f"--refresh --region {regions[0]}" in prices.renewal(regions[0])


def test_refreshing_takes_the_hours_of_a_region_and_leaves_all_others(table):
    before = prices.load(table)
    with serving({"/eu-central-1/index.json": json.dumps(OFFER).encode()}) as url:
        prices_of_region = prices.refresh("eu-central-1", table, url)
    assert [(row.instance, row.job, row.dollars, row.date) for row in prices_of_region] == [
        ("ml.g5.xlarge", "training", 1.76, "2026-11-20"),
        ("ml.m5.xlarge", "processing", 0.276, "2026-11-20"),
        ("ml.m5.xlarge", "training", 0.276, "2026-11-20"),
    ]
    after = prices.load(table)
    assert after.find("eu-central-1", "ml.m5.xlarge", "training").dollars == 0.276
    assert {key: row for key, row in after.rows.items() if key[0] != "eu-central-1"} == before.rows
    assert (after.spot_share, after.spot_source) == (before.spot_share, before.spot_source)


def test_refreshing_replaces_what_a_region_had_and_twice_is_as_once(table):
    moved = offer(hour("A", "EU-Train:ml.m5.xlarge", "0.3", region="eu-west-1"))
    with serving({"/eu-west-1/index.json": json.dumps(moved).encode()}) as url:
        prices.refresh("eu-west-1", table, url)
        once = table.read_bytes()
        prices.refresh("eu-west-1", table, url)
    assert table.read_bytes() == once
    rows = [row for row in prices.load(table).rows.values() if row.region == "eu-west-1"]
    assert [(row.instance, row.dollars) for row in rows] == [("ml.m5.xlarge", 0.3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "does not have the documented format"),
        (b"[]", "does not have the documented format"),
        (b"{}", "does not have the documented format"),
        (
            json.dumps(offer(hour("A", "EUC1-Train:ml.m5.xlarge", "1"), publicationDate="soon")).encode(),
            "does not have the documented format",
        ),
        (
            json.dumps(offer(hour("A", "EUC1-Train:ml.m5.xlarge", "dear"))).encode(),
            "does not have the documented format",
        ),
        (json.dumps(offer(hour("B", "EUC1-Host:ml.m5.large", "0.1"))).encode(), "no prices of SageMaker training"),
    ],
)
def test_a_list_that_is_not_as_documented_leaves_the_table_as_it_was(table, content, message):
    before = table.read_bytes()
    with serving({"/eu-central-1/index.json": content}) as url, pytest.raises(FourscoreError, match=message):
        prices.refresh("eu-central-1", table, url)
    assert table.read_bytes() == before


def test_a_region_that_is_none_and_a_server_that_is_away_are_told_apart(table):
    with serving({}) as url:
        with pytest.raises(InputError, match="no SageMaker prices of region 'eu-central-9'"):
            prices.refresh("eu-central-9", table, url)
        with pytest.raises(InputError, match="'Frankfurt' is not a region"):
            prices.refresh("Frankfurt", table, url)
    with pytest.raises(FourscoreError, match="cannot be fetched") as away:
        prices.refresh("eu-central-1", table, url)
    assert not isinstance(away.value, InputError)


def test_a_table_that_cannot_be_written_is_named(table):
    """A directory stands where the table was read; as root no permission is refused."""
    prices.load(table)
    table.unlink()
    table.mkdir()
    with serving({"/eu-central-1/index.json": json.dumps(OFFER).encode()}) as url, pytest.raises(InputError, match="cannot be written"):  # fmt: skip
        prices.refresh("eu-central-1", table, url)
