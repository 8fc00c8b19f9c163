"""A job from its request to its end: what processing and training jobs have in common.

The record of a job is what DescribeProcessingJob or DescribeTrainingJob answers; times are seconds since 1970, as in the
JSON of the API.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.emulator.container import Container
from infra.emulator.responses import ApiError, make_arn
from infra.emulator.s3 import Buckets
from steps.errors import FourscoreError

LONGEST_REASON = 1024
"""Characters that SageMaker keeps of a failure reason or an exit message."""
DAY = 86400


@dataclass(frozen=True)
class Options:
    """How jobs are run; the defaults are those of AWS."""

    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    sync: float = 1.0
    """Seconds between two uploads of changed checkpoints."""
    haste: float = 1.0
    """How many times faster than on AWS the pauses of retry policies pass."""


@dataclass(frozen=True)
class Machine:
    """What a job runs with."""

    directory: Path
    """Has containers/, logs/ and executions/."""
    buckets: Buckets
    environment: Mapping[str, str]
    """Variables that make an AWS SDK in a job talk to this cloud."""
    options: Options

    @property
    def faults(self) -> Path:
        """The file of the faults that tests inject."""
        return self.directory / "faults.json"


class JobFailed(FourscoreError):
    """The job ends as Failed with this reason."""


@dataclass
class Job:
    """One job, the place of its files, and the means to stop it."""

    kind: str
    """Processing | Training"""
    name: str
    step: str
    request: Mapping[str, Any]
    machine: Machine
    note: Callable[[dict[str, Any]], None]
    """Hears every new state of the record."""
    stop: threading.Event = field(default_factory=threading.Event)
    record: dict[str, Any] = field(default_factory=dict)
    """Replaced at every change rather than changed, since other threads read it."""
    containers: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = time.time()
        request = {name: value for name, value in self.request.items() if name != "Tags"}
        names = {f"{self.kind}JobName": self.name, f"{self.kind}JobArn": self.arn}
        self.record = {**request, **names, f"{self.kind}JobStatus": "InProgress", "CreationTime": now}
        self.update()

    @property
    def arn(self) -> str:
        return make_arn(f"{self.kind.lower()}-job", self.name)

    @property
    def status(self) -> str:
        return str(self.record[f"{self.kind}JobStatus"])

    @property
    def hosts(self) -> list[str]:
        """The names of the job's hosts; several have addresses of loopback, so that they reach each other."""
        cluster = self.request.get("ResourceConfig") or self.request["ProcessingResources"]["ClusterConfig"]
        count = cluster.get("InstanceCount", 1)
        return ["algo-1"] if count == 1 else [f"127.0.0.{number}" for number in range(1, count + 1)]

    def update(self, **fields: Any) -> None:
        self.record = {**self.record, **fields, "LastModifiedTime": time.time()}
        self.note(self.record)

    def abandon(self) -> None:
        """End the containers at once, because the local cloud ends."""
        self.machine = replace(self.machine, options=replace(self.machine.options, grace=0.0))
        self.stop.set()
        for container in self.containers:
            container.kill()

    def run(self, contract: Callable[[Job], None], close: Callable[[Job, str, dict[str, Any]], None]) -> None:
        """Run the job to its end; what goes wrong is in the record.

        Args:
            contract: what a job of this kind does; raises JobFailed.
            close: called with "Failed" and a reason where it goes wrong.
        """
        try:
            contract(self)
        except JobFailed as error:
            close(self, "Failed", {"FailureReason": str(error)[:LONGEST_REASON]})
        except Exception as error:
            logging.getLogger(__name__).exception("%s job %s", self.kind, self.name)
            reason = f"InternalServerError: {type(error).__name__}: {error}"[:LONGEST_REASON]
            close(self, "Failed", {"FailureReason": reason})

    # containers

    def make_containers(self) -> list[Container]:
        """Replace the containers of an earlier attempt by new ones."""
        self.remove_containers()
        now = int(time.time() * 1000)
        self.containers = [
            Container(
                self.machine.directory / "containers" / f"{self.name}-{host}-{now}",
                self.machine.directory / "logs" / self.name / f"{host}-{now}.log",
            )
            for host in self.hosts
        ]
        return self.containers

    def remove_containers(self) -> None:
        for container in self.containers:
            container.remove()

    def run_containers(
        self,
        specification: Mapping[str, Any],
        environment: Mapping[str, str],
        limit: float,
        tick: Callable[[], str | None] = lambda: None,
    ) -> tuple[str, int]:
        """Run the entrypoint in every container until all have ended; :meth:`end_containers` comes next.

        Args:
            specification: holds ContainerEntrypoint and ContainerArguments.
            limit: seconds that they may take.
            tick: called every ``sync`` seconds; what it returns, if anything, ends the containers.

        Returns:
            ("exit", exit code), or ("stop" | "limit" | what tick returned, 0) while containers still run.
        """
        if not specification.get("ContainerEntrypoint"):
            raise JobFailed("ClientError: the local cloud runs no images: ContainerEntrypoint is missing")
        command = [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]
        for container in self.containers:
            container.start(command, {**self.machine.environment, **environment})
        ends, synced = time.monotonic() + limit, time.monotonic()
        while True:
            codes = [container.poll() for container in self.containers]
            if broken := next((code for code in codes if code), None):
                return "exit", broken
            if all(code == 0 for code in codes):
                return "exit", 0
            if self.stop.is_set():
                return "stop", 0
            if time.monotonic() > ends:
                return "limit", 0
            if time.monotonic() - synced > self.machine.options.sync:
                synced = time.monotonic()
                if cause := tick():
                    return cause, 0
            time.sleep(0.05)

    def end_containers(self, *, grace: bool) -> None:
        """End what still runs: with grace SIGTERM and a while of patience, then SIGKILL."""
        for container in self.containers if grace else ():
            container.terminate()
        until = time.monotonic() + (self.machine.options.grace if grace else 0)
        while time.monotonic() < until and any(container.poll() is None for container in self.containers):
            time.sleep(0.05)
        for container in self.containers:
            container.kill()

    def read_reason(self, inside: str) -> str:
        """Return what the containers wrote to the file in which a job says why it failed."""
        return "".join(container.text(inside) for container in self.containers)[:LONGEST_REASON]

    # data

    def download(self, source: Mapping[str, Any], inside: str, container: Container) -> None:
        """Lay down the objects whose keys begin with the URI of an S3 data source, as File mode does.

        Raises:
            JobFailed: there are none, or the source is of a kind that the local cloud does not know.
        """
        uri = source["S3Uri"]
        odd = [source[name] for name, usual in USUAL.items() if source.get(name, usual) != usual]
        if odd:
            raise JobFailed(f"ClientError: {uri}: the local cloud knows {', '.join(USUAL.values())}, not {odd[0]}")
        if not self.copy_objects(uri, container.path(inside)):
            raise JobFailed(f"ClientError: Failed to download data: no objects under {uri}")

    def copy_objects(self, uri: str, directory: Path) -> int:
        """Copy the objects below a URI into a directory; return how many there are."""
        bucket, prefix = split_uri(uri)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            keys = self.machine.buckets.keys(bucket, prefix)
            for key in keys:
                path = directory / key[prefix.rfind("/") + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.machine.buckets.path(bucket, key).read_bytes())
        except ApiError as error:
            raise JobFailed(f"ClientError: {uri}: {error}") from None
        return len(keys)

    def upload(self, inside: str, uri: str, versions: dict[Path, tuple[int, int]] | None = None) -> None:
        """Upload the files of every container below a directory; symbolic links are left out, as SageMaker does.

        Args:
            versions: of files that were uploaded before; only changed files are uploaded, and it is brought up to date.
        """
        bucket, prefix = split_uri(uri.rstrip("/") + "/")
        for container in self.containers:
            for path in files_below(container.path(inside)):
                try:
                    status = path.stat()
                    version = (status.st_mtime_ns, status.st_size)
                    if versions is not None and versions.get(path) == version:
                        continue
                    key = prefix + path.relative_to(container.path(inside)).as_posix()
                    self.machine.buckets.copy(path, bucket, key)
                except FileNotFoundError:  # a checkpoint that the job has just replaced
                    continue
                if versions is not None:
                    versions[path] = version


USUAL = {
    "S3DataType": "S3Prefix",
    "S3InputMode": "File",
    "S3DataDistributionType": "FullyReplicated",
    "S3CompressionType": "None",
}
"""What our definitions say of a data source."""


def files_below(directory: Path) -> Sequence[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``.

    Raises:
        JobFailed: it is not such a URI.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise JobFailed(f"ClientError: {uri!r} is not s3://bucket/key")
    return bucket, key
