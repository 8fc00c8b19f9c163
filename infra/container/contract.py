"""SageMaker's contract with a container: which files lie where under /opt/ml, which hosts there are, how a failure is told.

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
    """The places of one job, as files say it and nothing is assumed."""

    base: Path
    """``/opt/ml``, or what stands for it."""
    kind: Literal["processing", "training"]
    host: str
    hosts: tuple[str, ...]

    @classmethod
    def at(cls, base: Path) -> Container:
        """Read what SageMaker wrote below ``base``.

        Raises:
            FourscoreError: it wrote nothing there, or not what it documents.
        """
        for kind, config in (("processing", base / "config"), ("training", base / "input/config")):
            resources = config / "resourceconfig.json"
            if not resources.is_file():
                continue
            try:
                told = json.loads(resources.read_bytes())
                return cls(base, kind, str(told["current_host"]), tuple(map(str, told["hosts"])))  # type: ignore[arg-type]
            except (ValueError, KeyError, TypeError) as error:
                raise FourscoreError(f"{resources} is not what SageMaker documents ({error!r})") from None
        raise FourscoreError(
            f"there is neither {base}/config/resourceconfig.json (Processing) nor "
            f"{base}/input/config/resourceconfig.json (Training): this command runs inside a SageMaker job; "
            "on this machine use 'fourscore run', with --on sagemaker-local for the same thing as jobs"
        )

    def input(self, name: str) -> Path:
        """Where the input or channel lies."""
        return self.base / ("processing/input" if self.kind == "processing" else "input/data") / name

    @property
    def result(self) -> Path | None:
        """What is written here becomes the job's output ``result``; only Processing has it."""
        return self.base / "processing/output/result" if self.kind == "processing" else None

    @property
    def checkpoints(self) -> Path | None:
        """What is written here outlives an interruption of a training on spot capacity."""
        return self.base / "checkpoints" if self.kind == "training" else None

    @property
    def model(self) -> Path | None:
        """What is written here becomes the training job's model artifact."""
        return self.base / "model" if self.kind == "training" else None

    @property
    def leads(self) -> bool:
        """Whether this is the host that publishes."""
        return self.host == min(self.hosts)

    def spec(self, job: str) -> dict[str, Any]:
        """The job's own description.

        Raises:
            FourscoreError: it is not there, not readable, or another job's.
        """
        path = self.input("job") / "job.json"
        try:
            spec: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise FourscoreError(f"{path}: the job's description cannot be read ({error})") from None
        if spec.get("job") != job or spec.get("format") != 1:
            raise FourscoreError(
                f"{path} describes job {spec.get('job')!r} in format {spec.get('format')!r}; wanted {job!r} in format 1"
            )
        return spec

    def tell(self, reason: str) -> None:
        """Write down why the job failed, where SageMaker looks for it; bytes count, not characters."""
        text = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
        for name in ("failure", "message"):
            with contextlib.suppress(OSError):  # a full disk: the exit code still tells
                (self.base / "output").mkdir(parents=True, exist_ok=True)
                (self.base / "output" / name).write_text(text, encoding="utf-8")
