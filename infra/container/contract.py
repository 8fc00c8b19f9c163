"""SageMaker's contract with a container: files below /opt/ml, hosts, and how a failure is reported.

ARCHITECTURE.md, "The container contract", lists them. Sources: the SageMaker Developer Guide's "How Amazon SageMaker
provides training information", "... signals success and failure" and "How Amazon SageMaker Processing configures your
processing container".
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from steps.errors import FourscoreError

LONGEST_REASON = 1024


@dataclass(frozen=True)
class Container:
    """The paths and hosts of one job, read from SageMaker's files."""

    base: Path
    """``/opt/ml``, or another directory in its place."""
    trains: bool
    """True in a training job, which has checkpoints and leaves a model; others leave a result."""
    host: str
    hosts: tuple[str, ...]

    @classmethod
    def at(cls, base: Path) -> Self:
        """Read the files that SageMaker wrote below ``base``.

        Raises:
            FourscoreError: there are none.
        """
        for trains, path in ((False, "config/resourceconfig.json"), (True, "input/config/resourceconfig.json")):
            if (base / path).is_file():
                resources = json.loads((base / path).read_bytes())
                return cls(base, trains, resources["current_host"], tuple(resources["hosts"]))
        raise FourscoreError(
            f"there is neither {base}/config/resourceconfig.json (Processing) nor "
            f"{base}/input/config/resourceconfig.json (Training): this command runs inside a SageMaker job; "
            "on this machine use 'fourscore run', with --on sagemaker-local for the same thing as jobs"
        )

    @property
    def leads(self) -> bool:
        """Whether this host publishes."""
        return self.host == min(self.hosts)

    def spec(self, job: str) -> dict[str, Any]:
        """Return the job's description.

        Raises:
            FourscoreError: it is another job's, or of another version.
        """
        path = self.base / ("input/data" if self.trains else "processing/input") / "job/job.json"
        spec: dict[str, Any] = json.loads(path.read_bytes())
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
