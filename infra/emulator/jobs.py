"""A job from its request to its end: what Processing and Training have in common.

A job's record is what DescribeProcessingJob or DescribeTrainingJob answers; times are seconds since 1970, as in the
JSON of the API.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.emulator.cloud import Cloud
from infra.emulator.container import Container, mounts_allowed
from infra.emulator.disturbances import Disturbances
from infra.emulator.logs import Follower
from steps.errors import FourscoreError

CUT = 1024
"""Characters that SageMaker keeps of a failure reason or an exit message."""


@dataclass(frozen=True)
class Options:
    """How jobs are run; the defaults are those of AWS where AWS has any."""

    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    sync: float = 1.0
    """Seconds between two looks at what is to be uploaded while the job runs: checkpoints, continuous outputs, logs."""
    mounts: bool | None = None
    """Whether /opt/ml is mounted; None: where the machine allows it."""
    haste: float = 1.0
    """How many times faster than on AWS the pauses of retry policies pass."""
    toolkit: bool = False
    """Whether the ``SM_*`` variables are set, as the SageMaker Training Toolkit does in images that have it."""

    @property
    def mounted(self) -> bool:
        return mounts_allowed() if self.mounts is None else self.mounts


class JobFailed(FourscoreError):
    """The job ends as Failed, with this reason."""


@dataclass
class Job:
    """One job, its place on this disk and the means to stop or disturb it."""

    kind: str
    """Processing | Training"""
    name: str
    request: Mapping[str, Any]
    cloud: Cloud
    directory: Path
    options: Options
    disturbances: Disturbances
    save: Callable[[Job], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    record: dict[str, Any] = field(default_factory=dict)
    containers: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.record = {**self.request, f"{self.kind}JobName": self.name, f"{self.kind}JobArn": self.arn,
                       f"{self.kind}JobStatus": "InProgress", "CreationTime": now, "LastModifiedTime": now}  # fmt: skip
        self.record.pop("Tags", None)

    @property
    def arn(self) -> str:
        return self.cloud.arn(f"{self.kind.lower()}-job", self.name)

    @property
    def status(self) -> str:
        return str(self.record[f"{self.kind}JobStatus"])

    def note(self, **fields: Any) -> None:
        self.record |= fields
        self.record["LastModifiedTime"] = time.time()
        self.save(self)

    def abandon(self) -> None:
        """The emulator goes down: the containers end now, and what becomes of the record is no news of the job."""
        self.save = lambda _: None
        self.options = replace(self.options, grace=0.0)
        self.stop.set()
        for container in self.containers:
            container.kill()

    def failed(self, reason: str) -> None:
        self.note(**{f"{self.kind}JobStatus": "Failed", "FailureReason": reason[:CUT]})

    # containers

    @property
    def hosts(self) -> list[str]:
        resources = self.request.get("ResourceConfig") or self.request["ProcessingResources"]["ClusterConfig"]
        return [f"algo-{number}" for number in range(1, resources.get("InstanceCount", 1) + 1)]

    def log(self, host: str) -> Path:
        return self.directory / f"{host}.log"

    def make_containers(self, attempt: int) -> list[Container]:
        hosts = self.hosts
        if len(hosts) > 1 and not self.options.mounted:
            raise JobFailed("ClientError: several instances are simulated only where mount namespaces are allowed")
        self.containers = [
            Container(self.directory / f"{host}-{attempt}", self.log(host), mounted=self.options.mounted)
            for host in hosts
        ]
        return self.containers

    def host_names(self) -> Path | None:
        """A hosts file in which algo-1 and the others are this machine."""
        if len(self.hosts) == 1:
            return None
        path = self.directory / "hosts"
        known = Path("/etc/hosts").read_text(encoding="utf-8") if Path("/etc/hosts").is_file() else ""
        path.write_text(known + "".join(f"127.0.0.1 {host}\n" for host in self.hosts), encoding="utf-8")
        return path

    def start(
        self, containers: list[Container], command: list[str], environment: Mapping[str, str], *, isolated: bool
    ) -> None:
        of_cloud = {} if isolated else self.cloud.environment()
        hosts = self.host_names()
        for container in containers:
            container.start(command, of_cloud | dict(environment), network=not isolated, hosts=hosts)

    def follower(self) -> Follower:
        started = int(time.time())
        streams = {f"{self.name}/{host}-{started}": self.log(host) for host in self.hosts}
        return Follower(self.cloud, f"/aws/sagemaker/{self.kind}Jobs", streams, self.options.sync)

    def clear(self) -> None:
        """The instances are gone and what was on them too; the logs stay."""
        for container in self.containers:
            container.remove()


def wait(job: Job, containers: list[Container], *, limit: float, tick: Callable[[], str | None]) -> tuple[str, int]:
    """Wait for what comes first: every container done, one broken, a stop, the time limit, or what ``tick`` says.

    Returns:
        ("exit", exit code) or ("stop" | "limit" | what tick said, 0); in the latter cases the containers still run.
    """
    ends, synced = time.monotonic() + limit, time.monotonic()
    while True:
        codes = [container.poll() for container in containers]
        if broken := next((code for code in codes if code), None):
            return "exit", broken
        if all(code == 0 for code in codes):
            return "exit", 0
        if job.stop.is_set():
            return "stop", 0
        if time.monotonic() > ends:
            return "limit", 0
        if time.monotonic() - synced > job.options.sync:
            synced = time.monotonic()
            if said := tick():
                return said, 0
        time.sleep(0.05)


def end(job: Job, containers: list[Container]) -> None:
    """SIGTERM, the grace time, SIGKILL."""
    for container in containers:
        container.terminate()
    until = time.monotonic() + job.options.grace
    while time.monotonic() < until and any(container.poll() is None for container in containers):
        time.sleep(0.05)
    for container in containers:
        container.kill()


def failure_text(containers: list[Container], inside: str) -> str | None:
    """What the containers wrote into one of the two files by which they speak, in the order of the hosts.

    Raises:
        JobFailed: it is no UTF-8.
    """
    try:
        texts = [container.text(inside) for container in containers]
    except UnicodeDecodeError:
        raise JobFailed(f"ClientError: {inside} is not UTF-8 encoded") from None
    return "".join(text for text in texts if text)[:CUT] or None
