"""Prices of instance hours: a small table with a date and a source per row, renewed from AWS's public list.

A price that is not in the table is unknown, never guessed. No list has the prices of managed spot: a spot hour is assumed
to cost a declared share of the hour on demand, until ``BillableTimeInSeconds`` of a job says what it was.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from datetime import date as Date  # noqa: N812 - a field is called date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from infra.files import write_atomically
from steps.errors import FourscoreError, InputError
from steps.wording import near

TABLE = Path(__file__).with_name("prices.json")
OFFER = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/{region}/index.json"
"""AWS's public list of a region, read without credentials (AWS Billing, "AWS Price List Bulk API")."""
OLD = 180
"""Days after which a price is marked as old."""
_USAGE = re.compile(r"(?:[A-Z0-9]+-)?(Train|Processing):(ml\.[a-z0-9-]+\.[a-z0-9-]+)")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")

Job = Literal["training", "processing"]
_JOBS: dict[str, Job] = {"Train": "training", "Processing": "processing"}


@dataclass(frozen=True)
class Price:
    """The price of one instance in one kind of job."""

    region: str
    instance: str
    job: Job
    dollars: float
    """The price of an hour on demand."""
    date: str
    """The date of the list that it is from, such as 2026-09-24."""
    source: str

    def age(self, today: Date | None = None) -> int:
        """Return the days since that date."""
        return ((today or datetime.now(UTC).date()) - Date.fromisoformat(self.date)).days


class Prices:
    """A table of prices by region, instance and kind of job."""

    def __init__(self, rows: Iterable[Price], spot_share: float, spot_source: str) -> None:
        self.rows = {(row.region, row.instance, row.job): row for row in rows}
        self.spot_share = spot_share
        """The assumed price of a spot hour, as a share of the hour on demand."""
        self.spot_source = spot_source

    def find(self, region: str, instance: str, job: Job) -> Price | None:
        """Return the price, or None if it is unknown."""
        return self.rows.get((region, instance, job))

    def unknown(self, region: str, instance: str, job: Job) -> str:
        """Return which price is missing, and similar types of which the table has it, as half a sentence."""
        types = sorted({row.instance for row in self.rows.values() if (row.region, row.job) == (region, job)})
        hint = near(instance, types) if types else "; the table has no such prices of that region"
        return f"the price of {instance} ({job}) in {region} is unknown{hint}"


def renewal(region: str) -> str:
    """Return the advice to fetch a region's prices."""
    return f"'fourscore infra prices --refresh --region {region}' fetches what AWS publishes"


@cache
def load(path: Path = TABLE) -> Prices:
    """Return the table in a file."""
    content = json.loads(path.read_bytes())
    return Prices((Price(**row) for row in content["rows"]), content["spot"]["share"], content["spot"]["source"])


def refresh(region: str, path: Path = TABLE, url: str = OFFER) -> list[Price]:
    """Replace a region's prices in the table by those of AWS's public list, and return them.

    Raises:
        InputError: the region does not exist, or the table cannot be written.
        FourscoreError: the list cannot be reached, or its format is not the documented one.
    """
    from infra.sources.https import fetch

    if not _REGION.fullmatch(region):
        raise InputError(f"{region!r} is not a region; an example is eu-central-1")
    table = load(path)
    with tempfile.TemporaryDirectory() as folder:
        try:
            content = fetch(url.format(region=region), Path(folder)).read_bytes()
        except InputError as error:
            raise InputError(f"AWS publishes no SageMaker prices of region {region!r} ({error})") from None
    rows = _offered(content, region)
    rest = [row for row in table.rows.values() if row.region != region]
    try:
        write_atomically(path, _text([*rest, *rows], table))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error})") from None
    load.cache_clear()
    return rows


def _offered(content: bytes, region: str) -> list[Price]:
    """Return the prices of training and processing in a region's offer file."""
    try:
        offer = json.loads(content)
        published = Date.fromisoformat(offer["publicationDate"][:10]).isoformat()
        source = f"AWS price list, offer {offer['offerCode']}, {region}, published {published}"
        rows = [Price(region, *hour, published, source) for hour in sorted(set(_hours(offer, region)))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FourscoreError(f"AWS's price list of {region} does not have the documented format ({error!r})") from None
    if not rows:
        raise FourscoreError(f"AWS's price list of {region} has no prices of SageMaker training or processing")
    return rows


def _hours(offer: Any, region: str) -> Iterator[tuple[str, Job, float]]:
    """Yield the prices of usage types such as ``USE1-Train:ml.m5.xlarge``; reservations, warm pools and storage differ."""
    for sku, product in offer["products"].items():
        attributes = product["attributes"]
        usage = _USAGE.fullmatch(str(attributes.get("usagetype", "")))
        if usage is None or attributes.get("regionCode", region) != region:
            continue
        for term in offer["terms"]["OnDemand"].get(sku, {}).values():
            for dimension in term["priceDimensions"].values():
                dollars = float(dimension["pricePerUnit"].get("USD", 0))
                if dimension["unit"] == "Hrs" and dimension.get("beginRange", "0") == "0" and dollars > 0:
                    yield usage[2], _JOBS[usage[1]], dollars


def _text(rows: list[Price], table: Prices) -> str:
    """Return the file's text, one line per row, so that a change of prices is a small difference."""
    spot = {"share": table.spot_share, "source": table.spot_source}
    head = {"currency": "USD", "unit": "instance hour, on demand", "spot": spot}
    ordered = sorted(rows, key=lambda row: (row.region, row.instance, row.job))
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    listed = ",\n".join(f"  {json.dumps(asdict(row), ensure_ascii=False)}" for row in ordered)
    return "{\n" + ",\n".join(lines) + f',\n "rows": [\n{listed}\n ]\n}}\n'
