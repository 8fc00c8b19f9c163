"""Alerts: one JSON object for whoever has to look, to a file, a webhook or a topic of SNS.

An alert names columns, days and sizes, and no value of a request. Where it goes may be a secret (a webhook's path often is), so the
address is in no file and no message of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.files import append_lines
from infra.secrets import UNSAFE, credentials_in
from infra.sources.https import LOCAL
from steps.errors import FourscoreError, InputError
from steps.wording import install

TIMEOUT = 10.0
"""Seconds for a connection, and for a response."""
RETRIES = 3
"""Of a webhook that is away or busy, with growing pauses."""
_SUBJECT = 100
"""Characters that SNS takes."""


def check_address(address: str) -> None:
    """Accept a file, https (http to this machine alone), or the ARN of an SNS topic.

    Raises:
        InputError: it is something else, or holds a user name or password.
    """
    parts = urlsplit(address)
    if address.startswith("arn:"):
        if address.split(":")[2:3] != ["sns"] or address.count(":") != 5:
            raise InputError("--alert: wanted the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME")
    elif "://" in address:
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise InputError(f"--alert {parts.scheme}://...: wanted a file, https:// or an SNS topic")
        if secret := credentials_in(f"{parts.scheme}://{parts.netloc}"):
            raise InputError(f"--alert holds {secret}, {UNSAFE}")
    elif not Path(address).parent.is_dir():
        raise InputError(f"--alert {address}: there is no folder {Path(address).parent}")


def deliver(alert: Mapping[str, Any], address: str) -> None:
    """Send an alert; ``alert["text"]`` is what a person reads.

    Raises:
        FourscoreError: it could not be delivered.
    """
    data = json.dumps(alert, ensure_ascii=False).encode()
    if address.startswith("arn:"):
        _publish(alert, data, address)
    elif "://" in address:
        _post(data, address)
    else:
        append_lines(Path(address), [data])


def _post(data: bytes, url: str) -> None:
    import urllib3

    retry = urllib3.Retry(
        RETRIES,
        redirect=0,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
    )
    host = urlsplit(url).netloc
    headers = {"Content-Type": "application/json", "User-Agent": "fourscore"}
    try:
        with urllib3.PoolManager(timeout=TIMEOUT, retries=retry) as pool:
            response = pool.request("POST", url, body=data, headers=headers)
    except urllib3.exceptions.HTTPError as error:
        raise FourscoreError(
            f"the alert could not be delivered to {host}: {type(error).__name__}; run the same command again"
        ) from None
    if response.status >= 300:
        raise FourscoreError(
            f"the alert could not be delivered: {host} answered {response.status}; run the same command again"
        )


def _publish(alert: Mapping[str, Any], data: bytes, topic: str) -> None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise InputError(f"alerts to SNS need boto3: {install('aws')}") from None
    subject = str(alert["subject"]).encode("ascii", "replace").decode()[:_SUBJECT]
    try:
        settings = Config(
            connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"mode": "adaptive", "max_attempts": RETRIES}
        )
        client = boto3.client("sns", region_name=topic.split(":")[3], config=settings)
        client.publish(TopicArn=topic, Subject=subject, Message=data.decode())
    except (BotoCoreError, ClientError) as error:
        raise FourscoreError(f"the alert could not be delivered to SNS: {error}; run the same command again") from None
