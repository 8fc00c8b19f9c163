"""Ten thousand forgeries of log, head, manifests, results and run file: none makes a model count as approved that is not.

The workspace has an approved run, a rejected one, one whose approval was revoked and one that nobody decided about. A forgery may
break the log, or leave the approved run approved; it may not approve any other, nor the approved one with other files.
"""

import base64
import hashlib
import json
import random
import shutil

import pytest
import signed
from judged import judged, key_of

from infra.approvals import dsse, log
from infra.approvals.log import HEAD, LOG
from infra.files import digest_of
from infra.places import store_of
from infra.runs import records
from infra.store.local import LocalStore
from pipelines.approval import revoke, standing_of
from steps.errors import FourscoreError

RUNS = ("approved", "declined", "revoked", "undecided")
ATTACKER = 9


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("original")
    store = LocalStore(workspace)
    for run in RUNS:
        judged(workspace, run)
    signed.approve(workspace, "approved")
    signed.approve(workspace, "declined", decision="reject")
    revoke(store, signed.approve(workspace, "revoked").digest, "a mistake", signed.signer(1))
    return workspace


def is_approved(workspace, run):
    try:
        record = records.load(workspace, run)
        return standing_of(store_of(workspace, record), record)[1].approved
    except FourscoreError:
        return False


def test_without_a_forgery_one_run_is_approved(original):
    assert [is_approved(original, run) for run in RUNS] == [True, False, False, False]


def _flip(rng, data):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :]


def _somewhere(rng, content, value):
    """Replace one value somewhere in JSON."""
    while True:
        key = rng.choice(list(content) if isinstance(content, dict) else range(len(content)))
        if isinstance(content[key], dict | list) and content[key]:
            content = content[key]
            continue
        content[key] = value(content[key])
        return


def _other(rng, strings):
    """Return a function from a value to another one that is found in the same place elsewhere."""

    def value(before):
        if isinstance(before, str):
            return rng.choice([*strings, before[:-1], before.upper(), "approve", "reject", ""])
        return rng.choice([None, True, False, 0, 1, [], {}, "approve"])

    return value


def _lines(rng, workspace):
    """Lines of the log are flipped, cut, moved, repeated, or written anew with a wrong or a stranger's signature."""
    path = workspace / LOG
    lines = path.read_bytes().splitlines()
    number = rng.randrange(len(lines))
    kind = rng.choice(["flip", "cut", "move", "repeat", "payload", "payload", "payload", "signer"])
    if kind == "flip":
        lines[number] = _flip(rng, lines[number])
    elif kind == "cut":
        del lines[number]
        if lines and rng.random() < 0.3:
            (workspace / HEAD).unlink()
    elif kind == "move":
        rng.shuffle(lines)
    elif kind == "repeat":
        lines.append(lines[number])
    else:
        envelope = json.loads(lines[number])
        statement = json.loads(base64.b64decode(envelope["payload"]))
        strings = [key_of(run, stage) for run in RUNS for stage in ("register", "train")] + [*RUNS]
        if kind == "payload":
            _somewhere(rng, statement, _other(rng, strings))
            envelope["payload"] = base64.b64encode(dsse.canonical(statement)).decode()
        else:
            own = json.loads(dsse.seal(dsse.canonical(statement), signed.signer(ATTACKER)))
            own["signatures"][0]["keyid"] = rng.choice([own, envelope])["signatures"][0]["keyid"]
            envelope = own
        lines[number] = dsse.canonical(envelope)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _additions(rng, workspace):
    """A stranger, or an approver's old statement, is added at the end, and the head follows."""
    store = LocalStore(workspace)
    current = log.read(store)
    entry = rng.choice([entry for entry in current.entries if hasattr(entry.content, "registration")])
    run = rng.choice(RUNS[1:])
    content = entry.content.model_copy(
        update={
            "decision": "approve",
            "run": run,
            "registration": key_of(run, "register"),
            "previous": rng.choice([current.head, None]),
            "recomputed": rng.choice(["", "all equal"]),
        }
    )
    from infra.approvals.statement import lineage_of, payload, subjects
    from pipelines.training import TRAINING

    subject = subjects(lineage_of(store, key_of(run, "register"), TRAINING.sources))
    line = rng.choice([dsse.seal(payload(subject, content), signed.signer(ATTACKER)), current.line(entry.digest)])
    with (workspace / LOG).open("ab") as file:
        file.write(line + b"\n")
    if rng.random() < 0.5:
        (workspace / HEAD).write_text(f"{hashlib.sha256(line).hexdigest()}\n")


def _manifests(rng, workspace):
    """A manifest says something else, with the right digest of its own; the approved run must not stay approved."""
    path = (
        workspace
        / "store"
        / key_of("approved", rng.choice(["define", "train", "evaluate", "register"]))
        / "manifest.json"
    )
    content = json.loads(path.read_text())
    before = {name: content[name] for name in ("ingredients", "verdict", "reasons", "files", "directories", "step")}
    _somewhere(rng, before, _other(rng, [key_of(run, "train") for run in RUNS]))
    changed = any(before[name] != content[name] for name in before)
    content |= before
    content["digest"] = digest_of(content)
    path.write_text(json.dumps(content))
    return changed


def _results(rng, workspace):
    """A file of the model or of its evaluation changes, and the manifest with it."""
    stage, name = rng.choice(
        [("train", "model/model.pt2"), ("evaluate", "evaluation/evaluation.json"), ("define", "card/problem.json")]
    )
    directory = workspace / "store" / key_of("approved", stage)
    data = _flip(rng, (directory / name).read_bytes())
    (directory / name).write_bytes(data)
    if rng.random() < 0.7:
        content = json.loads((directory / "manifest.json").read_text())
        content["files"][name]["sha256"] = hashlib.sha256(data).hexdigest()
        content["digest"] = digest_of(content)
        (directory / "manifest.json").write_text(json.dumps(content))
    return True


def _run_files(rng, workspace):
    """The run file of one run names the stages of another, or another author."""
    run = rng.choice(RUNS[1:])
    path = records.path_of(workspace, run)
    content = json.loads(path.read_text())
    _somewhere(rng, content["stages"], _other(rng, [key_of(other, "register") for other in RUNS[1:]]))
    content["provenance"] = {"Run by": rng.choice(RUNS)}
    path.write_text(json.dumps(content))


FORGERIES = (_lines, _additions, _manifests, _results, _run_files)


def forge(original, place, count, seed):
    rng = random.Random(seed)  # noqa: S311
    for number in range(count):
        workspace = place / str(number)
        shutil.copytree(original, workspace)
        forgery = rng.choice(FORGERIES)
        changed = forgery(rng, workspace)
        accepted = [run for run in RUNS if is_approved(workspace, run)]
        assert accepted in (([],) if changed else ([], ["approved"])), (forgery.__name__, seed, number, accepted)
        shutil.rmtree(workspace)


def test_no_forgery_is_accepted(original, tmp_path):
    forge(original, tmp_path, 60, 0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_none_of_ten_thousand_forgeries_is_accepted(original, tmp_path):
    forge(original, tmp_path, 10_000, 1)
