"""A sealed bundle for a third party: everything that the evaluation of a candidate was computed from, and its computation anew.

A bundle is a tar file with the same bytes for the same run:

  bundle.json              what it is about, and the digests of the two files below
  problem.json             the problem as the run had it
  report.html              the report
  store/<key>/             the manifest of every execution of the lineage, with code, packages, config and digests; of those that
                           evaluated the model, what they read and wrote

Whoever has the bundle and the packages computes every number anew. Manifests name the code and the versions of packages, so a
difference that comes from there is named.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from infra.approvals import dsse, log, statement
from infra.approvals.keys import Signer
from infra.approvals.statement import Decision
from infra.files import arriving, sha256_of
from infra.places import store_of
from infra.runs import keys, records
from infra.store.local import LocalStore
from infra.store.manifest import MANIFEST, CorruptExecution, Manifest, manifest_bytes
from infra.store.store import Store
from model_code.tasks import APPLICATION
from pipelines.approval import later
from pipelines.candidates import Candidate, candidate
from pipelines.training import TRAINING
from steps.core import Config, Step, execute
from steps.errors import GateRefused, InputError
from steps.journal import Journal

JOB = "assess"
"""The job whose stages are computed anew: they read the model and the test rows, and train nothing."""
ROWS = ("train_set", "test_set")
"""Artifacts of rows, which a problem may keep out of bundles."""
LARGEST = 16 * 2**30
"""Bytes that a bundle may unpack to."""


def pack(workspace: Path, run: str, target: Path) -> dict[str, Any]:
    """Write the bundle of a candidate.

    Returns:
        file, bytes, sha256, and whether the test rows are in it.

    Raises:
        InputError, GateRefused: the run has no candidate.
        CorruptExecution: the store has not what was published.
    """
    from pipelines.pages.report.page import write_report

    record = records.load(workspace, run)
    store = store_of(workspace, record)
    subject = candidate(store, record)
    report = write_report(workspace, run)
    problem = (json.dumps(record.problem, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    force = log.read(store).policy
    content = {
        "format": 1,
        "run": run,
        "model": subject.request.name,
        "registration": subject.registration,
        "training": subject.training,
        "model_digest": subject.request.tags["model_digest"],
        "author": subject.author,
        "four_eyes": subject.card.review.four_eyes,
        "questions": list(subject.card.review.questions),
        "test_rows": subject.card.review.test_rows,
        "policy": force.digest() if force else None,
        "valid_days": force.valid_days if force else None,
        "files": {"problem.json": hashlib.sha256(problem).hexdigest(), "report.html": sha256_of(report)},
    }
    with arriving(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "bundle.json", json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        _add(archive, "problem.json", problem)
        _add(archive, "report.html", report)
        for name, path in _files(store, subject, rows=subject.card.review.test_rows):
            _add(archive, name, path)
    return {
        "file": str(target),
        "bytes": target.stat().st_size,
        "sha256": sha256_of(target),
        "test_rows": subject.card.review.test_rows,
    }


def _files(store: Store, subject: Candidate, *, rows: bool) -> Iterator[tuple[str, Path | bytes]]:
    """Yield name and content of what the bundle has of the store, in the order of names."""
    artifacts: dict[str, set[str]] = {key: set() for key in subject.lineage}
    for manifest in subject.lineage.values():
        if (step := _step(manifest)) and step.job == JOB:
            artifacts[manifest.key] |= set(step.outputs)
            for name, key in _inputs(manifest).items():
                if key != "none" and (rows or name not in ROWS):
                    artifacts.setdefault(key, set()).add("model" if name in TRAINING.sources else name)
    for key in sorted(artifacts):
        manifest = subject.lineage.get(key) or _published(store, key)
        yield f"store/{key}/{MANIFEST}", manifest_bytes(manifest)
        for artifact in sorted(artifacts[key]):
            directory = store.open(key, artifact)
            for path in sorted(path for path in directory.rglob("*") if path.is_file()):
                yield f"store/{key}/{artifact}/{path.relative_to(directory).as_posix()}", path


def _published(store: Store, key: str) -> Manifest:
    manifest = store.look(key)
    if manifest is None:
        raise CorruptExecution(f"execution {key[:12]} is no longer in the store")
    return manifest


def _add(archive: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    """Add a file without its owner, time and mode."""
    entry = tarfile.TarInfo(name)
    if isinstance(content, bytes):
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        return
    entry.size = content.stat().st_size
    with content.open("rb") as file:
        archive.addfile(entry, file)


def _step(manifest: Manifest) -> Step | None:
    return next((step for step in TRAINING if step.name == manifest.step), None)


def _inputs(manifest: Manifest) -> dict[str, str]:
    """Return artifact -> key of what an execution read."""
    pairs = ((*name.partition(" "), key) for name, key in manifest.ingredients.items())
    return {artifact: key for kind, _, artifact, key in pairs if kind == "input"}


@dataclass(frozen=True)
class Recomputation:
    """What came of a bundle."""

    content: Mapping[str, Any]
    """bundle.json"""
    equal: int = 0
    """Values that are the same."""
    different: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """File and place of a value -> as it is in the bundle, as it was computed anew."""
    environment: tuple[str, ...] = ()
    """Code and packages that differ from those of the run."""
    subjects: tuple[statement.Subject, ...] = ()

    @property
    def outcome(self) -> str:
        """``equal``, ``different`` or, without test rows, ``not computed``."""
        return "different" if self.different else "equal" if self.equal else "not computed"

    def sentence(self) -> str:
        """Return what was computed and what came of it."""
        if self.outcome == "not computed":
            return "the bundle has no test rows, so no number was computed anew; its files are those of its manifests"
        other = f" (with other code or packages: {'; '.join(self.environment[:3])})" if self.environment else ""
        total = self.equal + len(self.different)
        if self.different:
            return (
                f"{len(self.different):,} of {total:,} values differ, the first at {next(iter(self.different))}{other}"
            )
        return f"all {total:,} values computed anew are equal{other}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.content["run"],
            "outcome": self.outcome,
            "sentence": self.sentence(),
            "equal": self.equal,
            "different": {place: {"bundle": old, "anew": new} for place, (old, new) in self.different.items()},
            "environment": list(self.environment),
        }


def verify(bundle: Path) -> Recomputation:
    """Check the files of a bundle against its manifests, and compute every number of the evaluation anew.

    Raises:
        InputError: it is no bundle, or names files outside.
        CorruptExecution: a file or a key is not what its manifest says.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _unpack(bundle, folder / "bundle")
        content = _content(folder / "bundle", bundle)
        store = LocalStore(folder / "bundle")
        lineage = statement.lineage_of(store, content["registration"], TRAINING.sources)
        _check_files(store, folder / "bundle", content["files"], bundle)
        if content["training"] not in lineage:
            raise CorruptExecution(f"{bundle}: its registration is of another model than it names")
        if not content["test_rows"]:
            return Recomputation(content, subjects=statement.subjects(lineage))
        return _computed_anew(store, lineage, content, folder)


def _computed_anew(
    store: LocalStore, lineage: Mapping[str, Manifest], content: Mapping[str, Any], folder: Path
) -> Recomputation:
    equal = 0
    different: dict[str, tuple[Any, Any]] = {}
    environment: dict[str, None] = {}
    results: dict[str, Path] = {}
    for step in TRAINING:
        manifest = next((manifest for manifest in lineage.values() if manifest.step == step.name), None)
        if manifest is None or step.job != JOB:
            continue
        environment |= dict.fromkeys(keys.differences(manifest.ingredients))
        directories = _directories(store, step, manifest, results, folder / step.name)
        # a verdict that refuses is among the values
        with Journal(folder / f"{step.name}.jsonl") as journal, contextlib.suppress(GateRefused):
            execute(step, directories, _config(step, manifest), journal)
        for output in step.outputs:
            results[output] = directories[output]
            published = store.directory(manifest.key) / output
            for name, pair in _compare(published, directories[output]):
                if pair is None:
                    equal += 1
                else:
                    different[name] = pair
    return Recomputation(content, equal, different, tuple(environment), statement.subjects(lineage))


def _directories(
    store: LocalStore, step: Step, manifest: Manifest, results: Mapping[str, Path], place: Path
) -> dict[str, Path]:
    """Return a directory for each parameter of a step: what was computed anew, then what is in the bundle, then new ones."""
    directories = {}
    for name in (*step.inputs, *step.outputs, *step.scratch):
        key = _inputs(manifest).get(name, "none")
        artifact = "model" if name in TRAINING.sources else name
        if name in results:
            directories[name] = results[name]
        elif name in step.inputs and key != "none":
            directories[name] = store.directory(key) / artifact
        else:
            directories[name] = place / name
            directories[name].mkdir(parents=True)
    return directories


def _config(step: Step, manifest: Manifest) -> Config:
    """Return the config in a manifest, whose names are dotted paths."""
    nested: dict[str, Any] = {}
    prefix = f"config {step.name}."
    for name, value in manifest.ingredients.items():
        if name.startswith(prefix):
            *parents, last = name.removeprefix(prefix).split(".")
            section = nested
            for parent in parents:
                section = section.setdefault(parent, {})
            section[last] = value
    return step.config_type.model_validate(nested)


def _compare(published: Path, anew: Path) -> Iterator[tuple[str, tuple[Any, Any] | None]]:
    """Yield place and both values, or None where they are equal: JSON value by value, other files as a whole."""
    names = {
        path.relative_to(root).as_posix() for root in (published, anew) for path in root.rglob("*") if path.is_file()
    }
    for name in sorted(names):
        pair = [path.read_bytes() if (path := root / name).is_file() else b"" for root in (published, anew)]
        if not name.endswith(".json") or b"" in pair:
            yield name, None if pair[0] == pair[1] else tuple(f"{len(data):,} bytes" for data in pair)  # type: ignore[misc]
            continue
        old, new = (dict(_values(json.loads(data))) for data in pair)
        for place in {**old, **new}:
            if not any(
                part in APPLICATION for part in place.split(".")
            ):  # a time, which no two machines have in common
                same = old.get(place, ...) == new.get(place, ...)
                yield f"{name}: {place}", None if same else (old.get(place), new.get(place))


def _values(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield place, value
    else:
        for key, inner in items:
            yield from _values(inner, f"{place}.{key}" if place else str(key))


def _unpack(bundle: Path, folder: Path) -> None:
    size = 0
    try:
        with tarfile.open(bundle, mode="r:") as archive:
            for entry in archive:
                parts = PurePosixPath(entry.name).parts
                if not entry.isreg() or entry.name.startswith("/") or ".." in parts or not parts:
                    raise InputError(f"{bundle}: {entry.name!r:.100} is no plain file of a bundle")
                size += entry.size
                if size > LARGEST:
                    raise InputError(f"{bundle}: it unpacks to more than {LARGEST:,} bytes")
                target = folder.joinpath(*parts)
                if target.exists():
                    raise InputError(f"{bundle}: {entry.name!r:.100} is in it twice")
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(entry)
                assert content is not None
                with content, target.open("wb") as file:
                    while piece := content.read(1 << 20):
                        file.write(piece)
    except FileNotFoundError:
        raise InputError(f"no file {bundle}; 'fourscore review pack RUN' writes a bundle") from None
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{bundle} is no bundle ({error}); 'fourscore review pack RUN' writes one") from None


_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "format": int, "run": str, "model": str, "registration": str, "training": str, "model_digest": str, "author": str,
    "four_eyes": bool, "questions": list, "test_rows": bool, "policy": (str, type(None)), "valid_days": (int, type(None)),
    "files": dict,
}  # fmt: skip


def _content(folder: Path, bundle: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "bundle.json").read_bytes())
        faults = [name for name, kind in _FIELDS.items() if not isinstance(content[name], kind)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{bundle} is no bundle: it has no whole bundle.json") from None
    if faults:
        raise InputError(f"{bundle}: {faults[0]} of its bundle.json is {content[faults[0]]!r:.60}")
    return dict(content)


def _check_files(store: LocalStore, folder: Path, files: Mapping[str, str], bundle: Path) -> None:
    """Compare every file with the digests of the bundle, and every key with what it is made of."""
    for name, digest in files.items():
        if name not in ("problem.json", "report.html") or sha256_of(folder / name) != digest:
            raise CorruptExecution(f"{bundle}: {name} is not the file that was packed")
    for directory in sorted((folder / "store").iterdir()):
        manifest = _published(store, directory.name)
        if keys.key_of(manifest.step, manifest.ingredients) != manifest.key:
            raise CorruptExecution(f"{bundle}: the key {manifest.key[:12]} is not that of what it says it is made of")
        for artifact in (path.name for path in directory.iterdir() if path.is_dir()):
            store.verify(manifest, f"{artifact}/")


def sign(result: Recomputation, reason: str, answers: Mapping[str, str], signer: Signer) -> bytes:
    """Return a signed decision of a third party: an approval if all values are equal, a rejection if not.

    It counts in the quorum once ``fourscore review add`` has added it to the log.

    Raises:
        InputError: nobody could approve when the bundle was packed.
    """
    content = result.content
    if content["policy"] is None:
        raise InputError(
            "when the bundle was packed, nobody could approve yet: fourscore approvers init, then pack again"
        )
    time = records.now()
    decision = Decision(
        decision="approve" if result.outcome == "equal" else "reject",
        model=content["model"],
        run=content["run"],
        registration=content["registration"],
        training=content["training"],
        model_digest=content["model_digest"],
        author=content["author"],
        four_eyes=content["four_eyes"],
        anyway=True,
        reason=reason,
        answers=dict(answers),
        recomputed=result.sentence(),
        time=time,
        expires=later(time, content["valid_days"]),
        policy=content["policy"],
        previous=None,
    )
    return dsse.seal(statement.payload(result.subjects, decision), signer)
