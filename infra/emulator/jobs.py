"""A processing or training job: the files that its containers find, their processes, and what becomes of their files.

A container is a process with a folder for its ``/opt/ml``, which our jobs find as FOURSCORE_BASE. Source: Amazon SageMaker
Developer Guide, "How Amazon SageMaker Provides Training Information", "Build Your Own Processing Container", "Use
Checkpoints", "Managed Spot Training Lifecycle".
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.emulator.local_cloud import ACCOUNT, REGION
from infra.s3.folder import FolderObjects
from steps.errors import FourscoreError

BASE = "/opt/ml"
LONGEST_REASON = 1024
"""Characters that SageMaker keeps of a failure reason or an exit message."""
INHERITED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables of this machine that a job gets too: they say how many others share the processors."""
DIE_WITH_PARENT = "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""Becomes the command that follows, after it has asked the kernel for SIGKILL when the local cloud ends."""


@dataclass(frozen=True)
class Machine:
    """What jobs run with."""

    directory: Path
    """Has s3/, logs/ and containers/, and ``interrupt`` if a spot instance is to be taken away."""
    grace: float = 120.0
    """Seconds between SIGTERM and SIGKILL."""
    sync: float = 1.0
    """Seconds between two uploads of changed checkpoints."""

    @property
    def folder(self) -> Path:
        """The folder in place of S3."""
        return self.directory / "s3"


class JobFailed(FourscoreError):
    """The job ends as Failed with this reason."""


class Job:
    """One job from its request to its end.

    Args:
        kind: Processing | Training.
        is_stopped: whether the job has to stop.
        note: takes what DescribeProcessingJob or DescribeTrainingJob answers, at every change.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        request: Mapping[str, Any],
        machine: Machine,
        is_stopped: Callable[[], bool],
        note: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.kind, self.name, self.request = kind, name, request
        self.machine, self.is_stopped, self.note = machine, is_stopped, note
        self.arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind.lower()}-job/{name}"
        self.containers: dict[Path, subprocess.Popen[bytes]] = {}
        """The ``/opt/ml`` of each container -> its process."""
        self.versions: dict[Path, tuple[int, int]] = {}
        """File -> time and size of the version that S3 has."""
        self.record: Mapping[str, Any] = {**request, f"{kind}JobName": name, f"{kind}JobArn": self.arn}
        self._note("InProgress", CreationTime=time.time(), SecondaryStatusTransitions=[])
        if kind == "Training":
            self.specification, cluster = request["AlgorithmSpecification"], request["ResourceConfig"]
            self.config, self.reason_file = "input/config", "output/failure"
            self.inputs = {
                f"input/data/{channel['ChannelName']}": channel["DataSource"]["S3DataSource"]["S3Uri"]
                for channel in request["InputDataConfig"]
            }
            self.outputs = {"model": f"{request['OutputDataConfig']['S3OutputPath']}{name}/output/model/"}
        else:
            self.specification, cluster = request["AppSpecification"], request["ProcessingResources"]["ClusterConfig"]
            self.config, self.reason_file = "config", "output/message"
            outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
            self.inputs = _places(item["S3Input"] for item in request["ProcessingInputs"])
            self.outputs = _places(item["S3Output"] for item in outputs)
        self.hosts = ["algo-1"]
        if (count := cluster["InstanceCount"]) > 1:  # addresses of loopback, by which they reach each other
            self.hosts = [f"127.0.0.{number}" for number in range(1, count + 1)]

    def run(self) -> str:
        """Run the job to its end; return why it ended: "exit" or "stop".

        Raises:
            JobFailed: it failed, or took longer than it may.
        """
        try:
            while (cause := self._attempt()) == "interruption":
                past = self.record["SecondaryStatusTransitions"]
                transition = {"Status": "Interrupted", "StartTime": time.time()}
                self._note("InProgress", SecondaryStatusTransitions=[*past, transition])
            self._note("Stopped" if cause == "stop" else "Completed")
            return cause
        except Exception as error:
            self._note("Failed", FailureReason=str(error))
            raise
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill every process of the job."""
        for process in self.containers.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _attempt(self) -> str:
        """Run the containers once; return why they ended: "exit", "stop" or "interruption"."""
        folder = self.machine.directory / "containers"
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=self.name, dir=folder, ignore_cleanup_errors=True) as place:
            bases = {host: Path(place) / host / "ml" for host in self.hosts}
            for host, base in bases.items():
                self._lay_down(host, base)
            self._note("InProgress", **{f"{self.kind}StartTime": time.time()})
            self.containers = {base: self._start(host, base) for host, base in bases.items()}
            cause, code = self._wait()
            if cause != "exit":
                self._terminate()
            self.kill()
            self._save_checkpoints()
            if cause == "limit":
                raise JobFailed("MaxRuntimeExceeded: the job ran longer than its StoppingCondition allows")
            files = [file for base in self.containers if (file := base / self.reason_file).exists()]
            texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
            reason_text = "".join(texts)[:LONGEST_REASON]
            if self.kind == "Processing":  # its FailureReason does not have what the container wrote
                self._note("InProgress", ExitMessage=reason_text)
                reason_text = ""
            if code:
                ending = f", exit code: {code}"
                reason = f"AlgorithmError: {reason_text or 'See job logs for more information'}"
                raise JobFailed(reason[: LONGEST_REASON - len(ending)] + ending)
            for inside, uri in self.outputs.items() if cause != "interruption" else ():
                self._upload(inside, uri)
            return cause

    def _lay_down(self, host: str, base: Path) -> None:
        """Make the files that the container finds."""
        for inside in (self.config, "output", "model", "checkpoints", *self.outputs):
            (base / inside).mkdir(parents=True, exist_ok=True)
        resources = {"current_host": host, "hosts": self.hosts}
        (base / self.config / "resourceconfig.json").write_text(json.dumps(resources), encoding="utf-8")
        for inside, uri in self.inputs.items():
            if not self._download(uri, base / inside):
                raise JobFailed(f"ClientError: Failed to download data: no objects under {uri}")
        if config := self.request.get("CheckpointConfig"):
            self._download(config["S3Uri"], base / "checkpoints")
            self.versions |= {path: _version(path) for path in _files(base / "checkpoints")}

    def _start(self, host: str, base: Path) -> subprocess.Popen[bytes]:
        """Start the entrypoint; ``python`` in it is the Python that runs Fourscore."""
        words = [*self.specification["ContainerEntrypoint"], *self.specification.get("ContainerArguments", [])]
        program = sys.executable if words[0] == "python" else shutil.which(words[0]) or words[0]
        temporary = base.parent / "tmp"
        temporary.mkdir()
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]), "LANG": "C.UTF-8"}
        environment |= {"HOME": str(temporary), "TMPDIR": str(temporary), "FOURSCORE_FOLDER": str(self.machine.folder)}
        for name, value in self.request.get("Environment", {}).items():
            environment[name] = str(base) + value.removeprefix(BASE) if value.startswith(BASE) else value
        log = self.machine.directory / "logs" / self.name / f"{host}-{time.time_ns() // 1_000_000}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, program, *words[1:]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )

    def _wait(self) -> tuple[str, int]:
        """Wait until the containers have ended or have to end; return why, and an exit code as a container has it."""
        began = synced = time.monotonic()
        limit = self.request["StoppingCondition"]["MaxRuntimeInSeconds"]
        while None in (codes := [process.poll() for process in self.containers.values()]) and not any(codes):
            if self.is_stopped():
                return "stop", 0
            if time.monotonic() - began > limit:
                return "limit", 0
            if time.monotonic() - synced > self.machine.sync:
                synced = time.monotonic()
                if self._save_checkpoints() and self._is_interrupted():
                    return "interruption", 0
            time.sleep(0.05)
        code = next(filter(None, codes), 0)  # of several, the first that failed ends the job
        return "exit", code if code >= 0 else 128 - code

    def _is_interrupted(self) -> bool:
        """Return whether the spot instance is taken away, now that there is a checkpoint; the file asks for it once."""
        interrupt = self.machine.directory / "interrupt"
        if not (interrupt.exists() and self.request.get("EnableManagedSpotTraining")):
            return False
        interrupt.unlink()
        return True

    def _terminate(self) -> None:
        """Send SIGTERM to every container, and wait for as long as SageMaker does."""
        for process in self.containers.values():
            process.terminate()
        until = time.monotonic() + self.machine.grace
        for process in self.containers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))

    def _note(self, status: str, **fields: Any) -> None:
        self.record = {**self.record, f"{self.kind}JobStatus": status, **fields}
        self.note(self.record)

    def _download(self, uri: str, directory: Path) -> int:
        """Copy the objects below a URI, as File mode does; return how many there are."""
        objects = FolderObjects(uri, self.machine.folder)
        listed = objects.list("")
        objects.download({name: directory / name for name in listed})
        return len(listed)

    def _upload(self, inside: str, uri: str) -> bool:
        """Upload the files of every container below a directory that S3 does not have; return whether there were any."""
        objects, before = FolderObjects(uri, self.machine.folder), dict(self.versions)
        for directory in (base / inside for base in self.containers):
            for path in _files(directory):
                with contextlib.suppress(FileNotFoundError):  # a checkpoint that the job has just replaced
                    if self.versions.get(path) != (version := _version(path)):
                        objects.put(path.relative_to(directory).as_posix(), path.read_bytes())
                        self.versions[path] = version
        return self.versions != before

    def _save_checkpoints(self) -> bool:
        """Upload the checkpoints that changed; return whether any did."""
        config = self.request.get("CheckpointConfig")
        return self._upload("checkpoints", config["S3Uri"]) if config else False


def _places(sources: Any) -> dict[str, str]:
    """Return path below ``/opt/ml`` -> URI of the inputs or outputs of a processing job."""
    return {source["LocalPath"].removeprefix(f"{BASE}/"): source["S3Uri"] for source in sources}


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _version(path: Path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_size
