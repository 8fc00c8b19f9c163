"""The backend that runs every step in this process, with the store on this machine's disk."""

import contextlib
import errno
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from infra.backends.usage import Usage
from infra.files import write_atomically
from infra.runs import records
from infra.runs.keys import scratch_key
from infra.runs.plan import Plan, PlannedStep, Reporter
from infra.runs.records import RunRecord, StageRecord
from infra.secrets import redacted
from infra.store.ledger import note_reading
from infra.store.manifest import JOURNAL, CorruptExecution, Manifest
from infra.store.store import Store
from steps.core import execute
from steps.errors import GO_ON, FourscoreError, GateRefused, Interrupted
from steps.journal import Journal, read_events


class LocalBackend:
    """Runs a plan in this process; skips what is cached, and leaves nothing half-written when a step fails or is stopped."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        self.store.sweep()
        execution = _Execution(self.store, plan, record, reporter)
        try:
            execution.all()
        except BaseException as stop:
            _close(self.store.workspace, record, stop)
            if isinstance(stop, KeyboardInterrupt):
                raise Interrupted(record.message) from None
            if isinstance(stop, GateRefused):
                return record
            raise
        return record


class _Execution:
    """One run of one plan, while it goes on."""

    def __init__(self, store: Store, plan: Plan, record: RunRecord, reporter: Reporter) -> None:
        self.store, self.plan, self.record, self.reporter = store, plan, record, reporter
        self.by_key = {planned.key: planned for planned in plan.steps}

    def all(self) -> None:
        rejections: list[str] = []
        for planned in self.plan.steps:
            manifest = self.ensure(planned)
            if manifest.verdict == "refused":
                raise GateRefused(*manifest.reasons)
            if manifest.verdict == "rejected":
                rejections = manifest.reasons
        rejected = bool(rejections) and not self.record.smoke
        self.record.status = "rejected" if rejected else "pass"
        self.record.message = "\n".join(rejections)
        if self.plan.later:
            self.record.message = f"stopped after {self.plan.steps[-1].step.name}, as asked"
        self.record.finished = records.now()
        self.save()

    def ensure(self, planned: PlannedStep) -> Manifest:
        """Return the execution of a step, from the store or made now under the lock of its key."""
        stage = self.record.stage(planned.step.name)
        manifest = self.store.find(planned.key)
        if manifest is None:
            with self.store.lock(planned.key):
                manifest = self.store.find(planned.key) or self.make(planned, stage)
        if stage.status == "pending":
            manifest = self.shared(planned, manifest)
        if stage.status == "pending":  # still, as a corrupt execution was not made again
            stage.status, stage.seconds = "cached", 0.0
        stage.journal = str(self.store.file(planned.key, JOURNAL).relative_to(self.store.workspace))
        if manifest.verdict == "refused":
            stage.status = "refused"
        self.reporter(stage.name, {"kind": "stage", "status": stage.status, "seconds": stage.seconds})
        self.save()
        return manifest

    def make(self, planned: PlannedStep, stage: StageRecord) -> Manifest:
        inputs = {artifact: self.open(key, artifact) for artifact, key in planned.inputs.items()}
        with self.store.working(planned.key) as directory:
            stage.status = "running"
            stage.journal = str((directory / JOURNAL).relative_to(self.store.workspace))
            self.save()
            self.reporter(stage.name, {"kind": "stage", "status": "running"})
            note_reading(self.store.workspace, planned, self.plan.divided, self.record.run)
            clock = time.perf_counter()
            try:
                manifest = self.execute(planned, stage, directory, inputs)
            except BaseException:
                stage.seconds = round(time.perf_counter() - clock, 3)
                self.keep_journal(directory, stage)
                raise
            counts = self.store.publish(directory, manifest)
        stage.status, stage.seconds = "ran", manifest.seconds
        return self.settled(stage.name, manifest, counts)

    def shared(self, planned: PlannedStep, manifest: Manifest) -> Manifest:
        """Push a cached result to the store's other users, fetch its journal, and make it again if it is corrupt."""
        try:
            self.store.check(planned.key)
            counts = self.settled(planned.step.name, manifest, self.store.push(planned.key))
            self.store.file(planned.key, JOURNAL)
            return counts
        except CorruptExecution as rot:
            return self.again(planned, rot)

    def settled(self, stage: str, manifest: Manifest, counts: Manifest) -> Manifest:
        """Return the execution that counts, the first one published; warn if this machine's differs."""
        if not counts.is_like(manifest):
            where = self.store.uri or "the store"
            text = f"{where} has another execution of this step, with other files; it counts, not the one made here"
            self.reporter(stage, {"kind": "note", "level": "warning", "text": text})
        return counts

    def execute(self, planned: PlannedStep, stage: StageRecord, directory: Path, inputs: dict[str, Path]) -> Manifest:
        step = planned.step
        directories = inputs | self.sources(planned, directory.with_name(f"{directory.name}.in"))
        for name in step.outputs:
            directories[name] = directory / name
            directories[name].mkdir()
        started, clock = records.now(), time.perf_counter()
        try:
            with (
                self.scratch(planned, directories),
                Journal(directory / JOURNAL, lambda event: self.reporter(step.name, event)) as log,
            ):
                try:
                    with Usage(log):
                        execute(step, directories, planned.config, log)
                except GateRefused as refused:
                    log.verdict("refused", refused.reasons)
        finally:
            shutil.rmtree(directory.with_name(f"{directory.name}.in"), ignore_errors=True)
        verdicts = [event for event in read_events(directory / JOURNAL) if event["kind"] == "verdict"]
        return Manifest(
            key=planned.key,
            step=step.name,
            ingredients=planned.ingredients,
            verdict=verdicts[-1]["verdict"] if verdicts else "pass",
            reasons=verdicts[-1]["reasons"] if verdicts else [],
            started=started,
            finished=records.now(),
            seconds=round(time.perf_counter() - clock, 3),
        )

    @contextlib.contextmanager
    def scratch(self, planned: PlannedStep, directories: dict[str, Path]) -> Iterator[None]:
        """Add the step's scratch directories; those that steps of several keys use are locked."""
        key = scratch_key(planned) if planned.step.scratch else planned.key
        with contextlib.nullcontext() if key == planned.key else self.store.lock(key):
            directories |= {name: self.store.scratch(key, name) for name in planned.step.scratch}
            yield

    def sources(self, planned: PlannedStep, directory: Path) -> dict[str, Path]:
        """Lay out what the step reads from outside.

        Raises:
            FourscoreError: it is lost; a run must not quietly go without it.
        """
        directories = {}
        for name in self.plan.sources.keys() & planned.step.inputs:
            source = self.plan.sources[name]
            (directory / name).mkdir(parents=True, exist_ok=True)
            try:
                directories[name] = source.lay_out(directory / name, self.store)
            except CorruptExecution as lost:
                raise FourscoreError(f"{name} cannot be read: {lost}\n  {source.remedy}") from None
        return directories

    def open(self, key: str, artifact: str) -> Path:
        """Return the directory of an input, verified; make a corrupt one again if the plan has its step."""
        try:
            return self.store.open(key, artifact)
        except CorruptExecution as rot:
            if key not in self.by_key:
                raise
            self.again(self.by_key[key], rot)
            return self.store.open(key, artifact)

    def again(self, planned: PlannedStep, rot: CorruptExecution) -> Manifest:
        """Put a corrupt execution aside, and make it again."""
        self.reporter(planned.step.name, {"kind": "note", "level": "warning", "text": str(rot)})
        self.store.quarantine(planned.key)
        self.record.stage(planned.step.name).status = "pending"
        return self.ensure(planned)

    def keep_journal(self, directory: Path, stage: StageRecord) -> None:
        """Keep the journal of a failed attempt beside the run record."""
        path = self.store.workspace / "runs" / f"{self.record.run}.{stage.name}.journal.jsonl"
        if (directory / JOURNAL).exists():
            shutil.copyfile(directory / JOURNAL, path)
            stage.journal = str(path.relative_to(self.store.workspace))

    def save(self) -> None:
        records.save(self.store.workspace, self.record)


def _close(workspace: Path, record: RunRecord, stop: BaseException) -> None:
    """Record how a run ended that did not end well."""
    running = next((stage for stage in record.stages if stage.status == "running"), None)
    if isinstance(stop, GateRefused):
        records.close(record, "rejected", "\n".join(stop.reasons))
    elif isinstance(stop, KeyboardInterrupt | Interrupted):
        where = f" in stage {running.name}" if running else ""
        records.close(record, "interrupted", f"interrupted{where}; {GO_ON}")
    else:
        records.close(record, "error", _message(workspace, record, stop, running))
    with contextlib.suppress(OSError):  # a full disk takes no record either: the next start marks the run as killed
        records.save(workspace, record)


def full_disk(stop: BaseException, workspace: Path) -> str | None:
    """Return the message for an error that a full disk caused; None for any other."""
    if not (isinstance(stop, OSError) and stop.errno in (errno.ENOSPC, errno.EDQUOT)):
        return None
    advice = "free some space and run the same command again"
    return f"no space left on the disk of {workspace}; nothing was published half: {advice}"


def _message(workspace: Path, record: RunRecord, stop: BaseException, running: StageRecord | None) -> str:
    if isinstance(stop, FourscoreError):
        return str(stop)
    if full := full_disk(stop, workspace):
        return full
    details = workspace / "runs" / f"{record.run}.traceback.txt"
    with contextlib.suppress(OSError):
        write_atomically(details, redacted("".join(traceback.format_exception(stop))))
    where = f"stage {running.name}" if running else "the run"
    return f"{where} broke: {type(stop).__name__}: {stop}\n  the details are in {details}"
