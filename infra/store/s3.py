"""The same store on S3, with the workspace as its cache: what is published here is published there, manifest last.

s3://bucket/prefix/store/<key>/...           as in a workspace (infra/store/local.py); the manifest is written last
                  /quarantine/<key>.<time>/  manifests of executions that turned out to be broken
<workspace>/s3/<digest of the root>/<key>/   what was fetched: manifest.json, journal.jsonl, whole artifacts, and in
                                             .files/ single files; compared with the manifest before it is read

No object of an execution is ever overwritten, so of two that race the first one counts, whole. S3 has no lock: where two
machines make the same result at once, both work, one is published, and the other machine takes what was published.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.files import locked, write_atomically
from infra.s3.objects import Absent, Entry, Listed, NameTaken, Objects
from infra.store.ledger import exchange
from infra.store.local import LocalStore
from infra.store.manifest import JOURNAL, MANIFEST, CorruptExecution, Manifest, is_intact, manifest_of
from steps.errors import FourscoreError


class S3Store:
    """A store below ``s3://bucket/prefix/``; scratch, locks and work in progress stay on this machine.

    Args:
        publishes: whether publications reach S3; of several processes that train one model, only one publishes.
        patience: seconds without a new file after which an upload without a manifest counts as abandoned.
        pause: seconds between two looks at an upload that somebody else is busy with.
    """

    def __init__(
        self,
        workspace: Path,
        uri: str,
        *,
        kms_key: str | None = None,
        client: Callable[[], Any] | None = None,
        publishes: bool = True,
        patience: float = 120.0,
        pause: float = 2.0,
    ) -> None:
        self.workspace, self.publishes, self.patience, self.pause = workspace, publishes, patience, pause
        self.objects = Objects(uri, kms_key, client)
        self.uri: str = self.objects.root
        self.local = LocalStore(workspace)
        """What was published on this machine, and its work in progress."""
        self.lock, self.working = self.local.lock, self.local.working
        self.scratch, self.sweep = self.local.scratch, self.local.sweep
        self._verified: set[tuple[str, str]] = set()
        self.cache = workspace / "s3" / hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        self._shared: dict[str, Manifest] = {}
        """Of executions that are not here, the manifests as this process has read them from S3."""
        self._manifest_bytes: dict[str, bytes] = {}

    def directory(self, key: str) -> Path:
        """Where manifest, journal and opened artifacts of an execution lie on this machine."""
        return self.local.directory(key) if self._is_local(key) else self.cache / key

    def _is_local(self, key: str) -> bool:
        return (self.local.directory(key) / MANIFEST).is_file()

    def find(self, key: str) -> Manifest | None:
        """The execution of this machine, else the one on S3, which every process asks for anew."""
        if manifest := self.local.find(key) or self._shared.get(key):
            return manifest
        try:
            manifest = self._ask(key)
        except CorruptExecution:
            self._put_aside(key)
            return None
        if manifest is not None:
            self._keep(manifest)
        return manifest

    def _keep(self, manifest: Manifest) -> None:
        """Manifest and journal of an execution that is not here, for reports and tracking; they are small."""
        place, name = self.cache / manifest.key, f"store/{manifest.key}/{JOURNAL}"
        data = self._manifest_bytes[manifest.key]
        if (place / MANIFEST).is_file() and (place / MANIFEST).read_bytes() == data:
            return
        with self._fetching(manifest.key):
            write_atomically(place / MANIFEST, data)
            if manifest.journal and not is_intact(place / JOURNAL, manifest.journal):
                write_atomically(place / JOURNAL, self.objects.get(name) or b"")

    def look(self, key: str) -> Manifest | None:
        """As :meth:`find`, changing nothing; what this workspace knows of S3 is believed, so a report needs no network."""
        if manifest := self.local.look(key) or self._shared.get(key):
            return manifest
        path = self.cache / key / MANIFEST
        return manifest_of(path.read_bytes(), key, str(path)) if path.is_file() else self._ask(key)

    def exists(self, key: str) -> bool:
        """Whether S3 has the execution now."""
        return self._ask(key) is not None

    def _ask(self, key: str) -> Manifest | None:
        name = f"store/{key}/{MANIFEST}"
        self._shared.pop(key, None)
        data = self.objects.get(name)
        if data is not None:
            self._manifest_bytes[key] = data
            self._shared[key] = manifest_of(data, key, self.objects.uri(name))
        return self._shared.get(key)

    # Reading

    def open(self, key: str, artifact: str) -> Path:
        manifest = self.find(key)
        if self._is_local(key):
            try:
                return self.local.open(key, artifact)
            except CorruptExecution:  # what rotted here may be sound there
                self.local.quarantine(key)
                manifest = self.find(key)
                if manifest is None:
                    raise
        if manifest is None:
            raise CorruptExecution(f"execution {key[:12]} is neither here nor in {self.uri}")
        target = self.cache / key / artifact
        if (key, artifact) not in self._verified:
            self._bring_artifact(manifest, artifact, target)
            self._verified.add((key, artifact))
        return target

    def _bring_artifact(self, manifest: Manifest, artifact: str, target: Path) -> None:
        entries = {name: entry for name, entry in manifest.files.items() if name.startswith(f"{artifact}/")}
        empty = [name for name in manifest.directories if name.startswith(f"{artifact}/")]
        with self._fetching(manifest.key) as arriving:
            if target.is_dir() and all(is_intact(target.parent / name, entry) for name, entry in entries.items()):
                return
            self._fetch(manifest, entries, arriving)
            for directory in (artifact, *empty):
                (arriving / directory).mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (arriving / artifact).rename(target)

    def file(self, key: str, name: str) -> Path:
        """One file, fetched without the rest of its artifact where the execution is not here."""
        if self._is_local(key):
            return self.local.file(key, name)
        manifest = self.look(key)
        if manifest is None:
            raise CorruptExecution(f"execution {key[:12]} is neither here nor in {self.uri}")
        entry, place = manifest.published.get(name), self.cache / key
        if entry is None or is_intact(place / name, entry):
            return place / name
        target = place / name if name == JOURNAL else place / ".files" / name
        with self._fetching(key) as arriving:
            if not is_intact(target, entry):
                self._fetch(manifest, {name: entry}, arriving)
                target.parent.mkdir(parents=True, exist_ok=True)
                (arriving / name).replace(target)
        return target

    def verify(self, manifest: Manifest, prefix: str = "") -> None:
        if self._is_local(manifest.key):
            self.local.verify(manifest, prefix)
            return
        for name in manifest.published:
            if name.startswith(prefix):
                self.file(manifest.key, name)

    @contextmanager
    def _fetching(self, key: str) -> Iterator[Path]:
        """A directory beside the cached execution for what arrives; one process at a time, others find what it brought."""
        arriving = self.cache / key / ".arriving"
        with locked(self.workspace / "locks" / f"{self.cache.name}-{key}"):
            shutil.rmtree(arriving, ignore_errors=True)  # of a process that was killed
            arriving.mkdir(parents=True)
            try:
                yield arriving
            finally:
                shutil.rmtree(arriving, ignore_errors=True)

    def _fetch(self, manifest: Manifest, entries: Mapping[str, Entry], arriving: Path) -> None:
        names = {f"store/{manifest.key}/{name}": name for name in entries}
        try:
            self.objects.download({name: arriving / inside for name, inside in names.items()})
        except Absent as absent:
            raise self._corrupt(str(absent), "is missing", manifest) from None
        except NameTaken as changed:
            raise self._corrupt(str(changed), "was changed while it was read", manifest) from None
        for name, inside in names.items():
            if not is_intact(arriving / inside, entries[inside]):
                raise self._corrupt(name, "differs from its manifest", manifest)

    def _corrupt(self, name: str, what: str, manifest: Manifest) -> CorruptExecution:
        return CorruptExecution(f"{self.objects.uri(name)} {what} (stage {manifest.step}); it is not used")

    # Publishing

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        """Here first, so that no work is lost when S3 is away, and then there; see :meth:`push`."""
        published = self.local.publish(directory, manifest)
        return self._share(published) if self.publishes else published

    def push(self, key: str) -> Manifest:
        """Bring an execution that is only here to S3; returns the one that counts there.

        Raises:
            CorruptExecution: there is none, or its files here are not what was published.
        """
        own = self.local.find(key)
        shared = self._shared.get(key) or self._ask(key)
        if own is None or shared is not None:
            return self._settle(own, shared, key)
        self.local.verify(own)
        return self._share(own)

    def _settle(self, own: Manifest | None, shared: Manifest | None, key: str) -> Manifest:
        """The one on S3 counts; another that was made here is put aside, so that all read the same files."""
        if shared is None:
            raise CorruptExecution(f"execution {key[:12]} is neither here nor in {self.uri}")
        if own is None or own.is_like(shared):
            return own or shared
        self.local.quarantine(key)
        return self.find(key) or shared

    def _share(self, own: Manifest) -> Manifest:
        """Files first, the journal then, the manifest last; whoever writes the manifest first is who published."""
        while True:
            began = time.monotonic()
            listed = self.objects.list(f"store/{own.key}/")
            if MANIFEST in listed:
                if self._is_broken(own.key):
                    continue
                return self._settle(own, self._shared.get(own.key), own.key)
            strange = [
                listed_object for name, listed_object in listed.items() if not self._is_own(name, listed_object, own)
            ]
            if strange:
                self._wait_for(listed, strange)
                continue
            try:
                missing = set(own.published) - set(listed)
                self._upload(own, missing)
                if missing and time.monotonic() - began > self.patience:
                    continue  # it took so long that another may have thought us dead and removed files: look again
                self._commit(own)
            except NameTaken:
                time.sleep(self.pause / 10)
                continue
            return own

    def _upload(self, own: Manifest, names: set[str]) -> None:
        directory, place = self.local.directory(own.key), f"store/{own.key}/"
        for group in (
            names - {JOURNAL},
            names & {JOURNAL},
        ):  # an equal execution has another journal: it is in the way last
            files = {f"{place}{name}": directory / name for name in sorted(group)}
            self.objects.upload(files, {f"{place}{name}": own.published[name] for name in group})

    def _commit(self, own: Manifest) -> None:
        """Write the manifest; where no answer came, look whether it is there.

        Raises:
            NameTaken: it is there, maybe by this very request.
        """
        name = f"store/{own.key}/{MANIFEST}"
        try:
            is_written = self.objects.put(name, (self.local.directory(own.key) / MANIFEST).read_bytes())
        except FourscoreError:
            if self.objects.get(name) is None:
                raise
            is_written = False
        if not is_written:
            raise NameTaken(name)

    def _is_own(self, name: str, listed: Listed, own: Manifest) -> bool:
        entry = own.published.get(name)
        return entry is not None and listed.size == entry["size"] and self.objects.holds(listed.name, entry)

    def _wait_for(self, listed: Mapping[str, Listed], strange: Iterable[Listed]) -> None:
        """Files of an upload that has no manifest yet and came to other contents: it goes on, or it was abandoned."""
        if min(listed_object.age for listed_object in listed.values()) < self.patience:
            time.sleep(self.pause)
            return
        for listed_object in strange:
            self.objects.delete(listed_object.name, listed_object.tag)

    def exchange_readings(self) -> None:
        exchange(self.objects, self.workspace, self.cache / "readings.json")

    # What is broken

    def quarantine(self, key: str) -> None:
        """Take a broken execution out of sight, here and on S3."""
        self.local.quarantine(key)
        shutil.rmtree(self.cache / key, ignore_errors=True)
        self._verified = {entry for entry in self._verified if entry[0] != key}
        self._put_aside(key)

    def _put_aside(self, key: str) -> None:
        """Only the manifest that this process has read: one that was published since is another execution."""
        self._shared.pop(key, None)
        broken, name = self._manifest_bytes.pop(key, None), f"store/{key}/{MANIFEST}"
        listed = self.objects.list(f"store/{key}/").get(MANIFEST) if broken is not None else None
        if listed is None or self.objects.get(name) != broken:
            return
        assert broken is not None
        self.objects.put(f"quarantine/{key}.{time.time_ns()}/{MANIFEST}", broken, absent=True)
        self.objects.delete(name, listed.tag)

    def _is_broken(self, key: str) -> bool:
        try:
            return self._ask(key) is None
        except CorruptExecution:
            self._put_aside(key)
            return True
