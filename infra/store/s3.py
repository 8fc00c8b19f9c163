"""The store on S3, with the workspace as its cache: each publication goes to the disk and to S3, the manifest last.

s3://bucket/prefix/store/<key>/...           as in a workspace (infra/store/local.py)
                  /quarantine/<key>.<time>/  manifests of broken executions
<workspace>/s3/<digest of the root>/<key>/   cache: manifest.json, journal.jsonl and files of artifacts; compared with the
                                             manifest before they are read

ARCHITECTURE.md, "The store on S3", has the rules for two machines at once.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from infra.files import is_intact, locked, write_atomically
from infra.s3.objects import Absent, Conflict, Entry, Listed, Objects
from infra.store.ledger import exchange
from infra.store.local import LocalStore
from infra.store.manifest import JOURNAL, MANIFEST, CorruptExecution, Manifest, manifest_of
from steps.errors import FourscoreError


class S3Store:
    """A store below ``s3://bucket/prefix/``; scratch, locks and work in progress stay on this machine.

    Args:
        objects: instead of those below the URI as S3 has them.
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
        objects: Objects | None = None,
        publishes: bool = True,
        patience: float = 120.0,
        pause: float = 2.0,
    ) -> None:
        self.workspace, self.publishes, self.patience, self.pause = workspace, publishes, patience, pause
        self.objects = objects or Objects(uri, kms_key, client)
        self.uri: str = self.objects.root
        self.local = LocalStore(workspace)
        """Publications of this machine, and its work in progress."""
        self.lock, self.working = self.local.lock, self.local.working
        self.scratch, self.sweep = self.local.scratch, self.local.sweep
        self._verified: set[tuple[str, str]] = set()
        self.cache = workspace / "s3" / hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        self._shared: dict[str, Manifest] = {}
        """Manifests that this process has read from S3."""
        self._manifest_bytes: dict[str, bytes] = {}

    def directory(self, key: str) -> Path:
        return self.local.directory(key) if self._is_local(key) else self.cache / key

    def _is_local(self, key: str) -> bool:
        return (self.local.directory(key) / MANIFEST).is_file()

    def find(self, key: str) -> Manifest | None:
        """Return the execution of this machine or the one on S3, which every process requests anew."""
        if manifest := self.local.find(key) or self._shared.get(key):
            return manifest
        if manifest := self._intact(key):
            self._cache_manifest(manifest)
        return manifest

    def _cache_manifest(self, manifest: Manifest) -> None:
        """Cache manifest and journal, which are small, for reports and tracking."""
        path, data = self.cache / manifest.key / MANIFEST, self._manifest_bytes[manifest.key]
        with self._locked(manifest.key):  # two runs at once would remove each other's
            if path.is_file() and path.read_bytes() == data:
                return
            shutil.rmtree(path.parent, ignore_errors=True)  # of another execution, which was put aside
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        with suppress(CorruptExecution):  # whoever reads the journal is told
            self.file(manifest.key, JOURNAL)

    def look(self, key: str) -> Manifest | None:
        """Return the manifest, preferably a cached one, so that a report needs no network."""
        if manifest := self.local.look(key) or self._shared.get(key):
            return manifest
        path = self.cache / key / MANIFEST
        return manifest_of(path.read_bytes(), key, str(path)) if path.is_file() else self._request(key)

    def exists(self, key: str) -> bool:
        """Return whether S3 has the execution now."""
        return self._request(key) is not None

    def _request(self, key: str) -> Manifest | None:
        name = f"store/{key}/{MANIFEST}"
        self._shared.pop(key, None)
        data = self.objects.get(name)
        if data is not None:
            self._manifest_bytes[key] = data
            self._shared[key] = manifest_of(data, key, self.objects.uri(name))
        return self._shared.get(key)

    def _lost(self, key: str) -> CorruptExecution:
        return CorruptExecution(f"execution {key[:12]} is neither on this machine nor in {self.uri}")

    # Reading

    def open(self, key: str, artifact: str) -> Path:
        manifest = self.find(key)
        if self._is_local(key):
            try:
                return self.local.open(key, artifact)
            except CorruptExecution:  # the copy on S3 may be intact
                self.local.quarantine(key)
                manifest = self.find(key)
                if manifest is None:
                    raise
        if manifest is None:
            raise self._lost(key)
        place = self.cache / key
        if (key, artifact) not in self._verified:
            self._fetch(manifest, [name for name in manifest.files if name.startswith(f"{artifact}/")])
            for directory in (artifact, *manifest.directories):
                if directory == artifact or directory.startswith(f"{artifact}/"):
                    (place / directory).mkdir(parents=True, exist_ok=True)
            self._verified.add((key, artifact))
        return place / artifact

    def file(self, key: str, name: str) -> Path:
        """Return one file, fetched without the rest of its artifact."""
        if self._is_local(key):
            return self.local.file(key, name)
        manifest = self.look(key)
        if manifest is None:
            raise self._lost(key)
        if name in manifest.published:
            self._fetch(manifest, [name])
        return self.cache / key / name

    def verify(self, manifest: Manifest, prefix: str = "") -> None:
        if self._is_local(manifest.key):
            self.local.verify(manifest, prefix)
            return
        for name in manifest.published:
            if name.startswith(prefix):
                self.file(manifest.key, name)

    def check(self, key: str) -> None:
        """Check the copy of this machine; if it rotted, the one on S3 counts."""
        if not self._is_local(key):
            return
        try:
            self.local.check(key)
        except CorruptExecution:
            self.local.quarantine(key)
            if self.find(key) is None:
                raise

    def _locked(self, key: str) -> AbstractContextManager[bool]:
        """Hold the cache of an execution for one process."""
        return locked(self.workspace / "locks" / f"{self.cache.name}-{key}")

    def _fetch(self, manifest: Manifest, names: Iterable[str]) -> None:
        """Bring files to the cache that are not there as they were published; one process at a time, each file once."""
        place = self.cache / manifest.key
        arriving = place / ".arriving"
        with self._locked(manifest.key):
            shutil.rmtree(arriving, ignore_errors=True)  # of a process that was killed
            objects = {
                f"store/{manifest.key}/{name}": name
                for name in names
                if not is_intact(place / name, manifest.published[name])
            }
            try:
                self.objects.download({uri: arriving / name for uri, name in objects.items()})
                for uri, name in objects.items():
                    if not is_intact(arriving / name, manifest.published[name]):
                        raise self._corrupt(uri, "differs from its manifest", manifest)
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    (arriving / name).replace(place / name)
            except Absent as absent:
                raise self._corrupt(str(absent), "is missing", manifest) from None
            except Conflict as changed:
                raise self._corrupt(str(changed), "changed while it was read", manifest) from None
            finally:
                shutil.rmtree(arriving, ignore_errors=True)

    def _corrupt(self, name: str, fault: str, manifest: Manifest) -> CorruptExecution:
        return CorruptExecution(f"{self.objects.uri(name)} {fault} (stage {manifest.step}); it is not used")

    # Publishing

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        """Publish on this machine first, so that no work is lost if S3 is away, then on S3."""
        published = self.local.publish(directory, manifest)
        return self._upload(published) if self.publishes else published

    def push(self, key: str) -> Manifest:
        local = self.local.find(key)
        shared = self._shared.get(key) or self._request(key)
        if local is None or shared is not None:
            return self._settle(local, shared, key)
        self.local.verify(local)
        return self._upload(local)

    def _settle(self, local: Manifest | None, shared: Manifest | None, key: str) -> Manifest:
        """Return the execution on S3, which counts; put aside a different one of this machine: all read the same files."""
        if shared is None:
            raise self._lost(key)
        if local is None or local.is_like(shared):
            return local or shared
        self.local.quarantine(key)
        return self.find(key) or shared

    def _upload(self, local: Manifest) -> Manifest:
        """Upload the files, then the journal, then the manifest; whoever writes the manifest first has published."""
        while True:
            began = time.monotonic()
            listed = self.objects.list(f"store/{local.key}/")
            if MANIFEST in listed:
                if shared := self._intact(local.key):
                    return self._settle(local, shared, local.key)
                continue
            foreign = [item for name, item in listed.items() if not self._is_same(item, local.published.get(name))]
            if foreign:
                self._wait_for(listed, foreign)
                continue
            try:
                missing = set(local.published) - set(listed)
                self._upload_files(local, missing)
                if missing and time.monotonic() - began > self.patience:
                    continue  # so slow that another machine may have removed the files as abandoned: look again
                self._commit(local)
            except Conflict:
                time.sleep(self.pause / 10)
                continue
            return local

    def _upload_files(self, local: Manifest, names: set[str]) -> None:
        directory, place = self.local.directory(local.key), f"store/{local.key}/"
        for group in (names - {JOURNAL}, names & {JOURNAL}):  # last the journal, which differs between equal executions
            files = {f"{place}{name}": directory / name for name in sorted(group)}
            self.objects.upload(files, {f"{place}{name}": local.published[name] for name in group})

    def _commit(self, local: Manifest) -> None:
        """Write the manifest; if no response came, check whether it was written.

        Raises:
            Conflict: it exists, perhaps by this very request.
        """
        name = f"store/{local.key}/{MANIFEST}"
        try:
            is_written = self.objects.put(name, (self.local.directory(local.key) / MANIFEST).read_bytes())
        except FourscoreError:
            if self.objects.get(name) is None:
                raise
            is_written = False
        if not is_written:
            raise Conflict(name)

    def _is_same(self, item: Listed, entry: Entry | None) -> bool:
        return entry is not None and item.size == entry["size"] and self.objects.holds(item.name, entry)

    def _wait_for(self, listed: Mapping[str, Listed], foreign: Iterable[Listed]) -> None:
        """Wait for another machine's upload, which has other files and no manifest yet; remove it if it was abandoned."""
        if min(item.age for item in listed.values()) < self.patience:
            time.sleep(self.pause)
            return
        for item in foreign:
            self.objects.delete(item.name, item.tag)

    def get(self, name: str) -> bytes | None:
        """Return the file on S3, of which the workspace gets a copy; what only the workspace has counts, too."""
        shared, own = self.objects.get(name), self.local.get(name)
        if shared is not None and shared != own:
            with suppress(OSError):  # a plan in a workspace that cannot be written to
                self.local.put(name, shared)
        return own if shared is None else shared

    def swap(self, name: str, before: bytes | None, data: bytes) -> bool:
        content, tag = self.objects.read(name) or (None, None)
        if before != (self.local.get(name) if content is None else content):
            return False
        if not self.objects.put(name, data, absent=tag is None, tag=tag) and self.objects.get(name) != data:
            return False
        self.local.put(name, data)
        return True

    def exchange_readings(self) -> None:
        exchange(self.objects, self.workspace)

    def quarantine(self, key: str) -> None:
        self.local.quarantine(key)
        shutil.rmtree(self.cache / key, ignore_errors=True)
        self._verified = {entry for entry in self._verified if entry[0] != key}
        self._put_aside(key)

    def _put_aside(self, key: str) -> None:
        """Move the manifest that this process has read; one that was published since is another execution."""
        self._shared.pop(key, None)
        broken, name = self._manifest_bytes.pop(key, None), f"store/{key}/{MANIFEST}"
        listed = self.objects.list(f"store/{key}/").get(MANIFEST) if broken is not None else None
        if listed is None or self.objects.get(name) != broken:
            return
        assert broken is not None
        self.objects.put(f"quarantine/{key}.{time.time_ns()}/{MANIFEST}", broken, absent=True)
        self.objects.delete(name, listed.tag)

    def _intact(self, key: str) -> Manifest | None:
        """Return the manifest on S3 now; put a broken one aside."""
        try:
            return self._request(key)
        except CorruptExecution:
            self._put_aside(key)
            return None
