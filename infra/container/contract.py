"""SageMaker's contract with a container: files below /opt/ml, hosts, and how a failure is reported.

Processing   /opt/ml/config/{processingjobconfig,resourceconfig}.json, inputs and outputs below /opt/ml/processing
Training     /opt/ml/input/config/{hyperparameters,resourceconfig,inputdataconfig}.json, channels below /opt/ml/input/data,
             /opt/ml/checkpoints, /opt/ml/model
both         /opt/ml/output/failure (training), /opt/ml/output/message (processing): why it failed, in 1,024 characters

Sources: the SageMaker Developer Guide's "How Amazon SageMaker provides training information", "... signals success and
failure" and "How Amazon SageMaker Processing configures your processing container". ``SM_*`` variables are set by
toolkits, not by SageMaker, and are not used.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from steps.errors import FourscoreError

LONGEST_REASON = 1024


@dataclass(frozen=True)
class Container:
    """The paths and hosts of one job, read from SageMaker's files."""

    base: Path
    """``/opt/ml``, or another directory in its place."""
    kind: Literal["processing", "training"]
    host: str
    hosts: tuple[str, ...]

    @classmethod
    def at(cls, base: Path) -> Container:
        """Read the files that SageMaker wrote below ``base``.

        Raises:
            FourscoreError: there are none, or they do not have the documented format.
        """
        for kind, config in (("processing", base / "config"), ("training", base / "input/config")):
            resources = config / "resourceconfig.json"
            if not resources.is_file():
                continue
            try:
                hosts = json.loads(resources.read_bytes())
                return cls(base, kind, str(hosts["current_host"]), tuple(map(str, hosts["hosts"])))  # type: ignore[arg-type]
            except (ValueError, KeyError, TypeError) as error:
                raise FourscoreError(
                    f"{resources} does not have the format that SageMaker documents ({error!r})"
                ) from None
        raise FourscoreError(
            f"there is neither {base}/config/resourceconfig.json (Processing) nor "
            f"{base}/input/config/resourceconfig.json (Training): this command runs inside a SageMaker job; "
            "on this machine use 'fourscore run', with --on sagemaker-local for the same thing as jobs"
        )

    def input(self, name: str) -> Path:
        """Return the directory of an input or channel."""
        return self.base / ("processing/input" if self.kind == "processing" else "input/data") / name

    @property
    def result(self) -> Path | None:
        """The directory of the output ``result``; None in a training job."""
        return self.base / "processing/output/result" if self.kind == "processing" else None

    @property
    def checkpoints(self) -> Path | None:
        """The directory that outlives an interruption of spot capacity; None in a processing job."""
        return self.base / "checkpoints" if self.kind == "training" else None

    @property
    def model(self) -> Path | None:
        """The directory of the model artifact; None in a processing job."""
        return self.base / "model" if self.kind == "training" else None

    @property
    def leads(self) -> bool:
        """Whether this host publishes."""
        return self.host == min(self.hosts)

    def spec(self, job: str) -> dict[str, Any]:
        """Return the job's description.

        Raises:
            FourscoreError: it is missing, unreadable, or another job's.
        """
        path = self.input("job") / "job.json"
        try:
            spec: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise FourscoreError(f"{path}: the job's description cannot be read ({error})") from None
        if spec.get("job") != job or spec.get("format") != 1:
            raise FourscoreError(
                f"{path} describes job {spec.get('job')!r} in format {spec.get('format')!r}; expected {job!r} in format 1"
            )
        return spec

    def report_failure(self, reason: str) -> None:
        """Write why the job failed where SageMaker looks for it, in at most 1,024 bytes."""
        text = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
        for name in ("failure", "message"):
            with contextlib.suppress(OSError):  # a full disk; the exit code still says that it failed
                (self.base / "output").mkdir(parents=True, exist_ok=True)
                (self.base / "output" / name).write_text(text, encoding="utf-8")
