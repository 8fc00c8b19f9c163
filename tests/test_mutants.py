"""A promise that no test guards is none: each source line that keeps one is broken here, and a test must fail.

A mutant is one textual change in a copy of the tree. Its test passes on the tree itself, as the rest of the suite shows.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
PARTS = ("pipelines", "infra", "steps", "model_code", "examples", "tests", "pyproject.toml", "README.md")


class Mutant(NamedTuple):
    """A promise of README.md or ARCHITECTURE.md, the line that keeps it, what breaks it, and the test that notices."""

    promise: str
    file: str
    line: str
    broken: str
    test: str


STORE, S3 = "infra/store/local.py", "infra/store/s3.py"
LOCAL_TESTS, CONTRACT, S3_TESTS = (f"tests/infra/store/test_{name}.py" for name in ("local", "contract", "s3"))
PROMOTION, PROMOTION_TESTS = "pipelines/promotion.py", "tests/pipelines/test_promotion.py"
CANDIDATES = "pipelines/candidates.py"
UI, UI_TESTS = "infra/tracking/ui_app.py", "tests/infra/tracking/test_ui_app.py"
MUTANTS = (
    Mutant(
        "files are flushed",
        STORE,
        "                os.fsync(file.fileno())\n",
        "                pass\n",
        f"{LOCAL_TESTS}::test_every_file_of_a_publication_is_flushed_to_the_disk_before_it_is_seen",
    ),
    Mutant(
        "files are flushed before they are seen",
        STORE,
        '        for path in sorted(directory.rglob("*")):\n            if path.is_dir():\n                fsync_directory(path)',
        '        for path in sorted(directory.rglob("*")):\n            if path.is_dir():\n                pass',
        f"{LOCAL_TESTS}::test_every_file_of_a_publication_is_flushed_to_the_disk_before_it_is_seen",
    ),
    Mutant(
        "a result is there when its directory is flushed",
        STORE,
        "        fsync_directory(directory)\n        self.root.mkdir",
        "        self.root.mkdir",
        f"{LOCAL_TESTS}::test_every_file_of_a_publication_is_flushed_to_the_disk_before_it_is_seen",
    ),
    Mutant(
        "a result is published whole or not at all",
        STORE,
        "        try:\n            directory.rename(target)\n",
        "        target.mkdir()\n        for child in sorted(directory.iterdir(), reverse=True):\n"
        "            child.rename(target / child.name)\n        try:\n            directory.rmdir()\n",
        f"{CONTRACT}::test_killed_at_every_point_of_a_publication_it_is_there_whole_or_not_at_all[OnDisk]",
    ),
    Mutant(
        "a file that rotted is not read",
        "infra/files.py",
        ' and sha256_of(path) == entry["sha256"]\n',
        "\n",
        f"{CONTRACT}::test_a_file_that_is_not_what_was_published_is_noticed_before_it_is_read",
    ),
    Mutant(
        "a manifest has a digest of itself",
        "infra/store/manifest.py",
        'if content.get("digest") != digest_of(content):',
        "if version < 1:",
        "tests/infra/store/test_manifest.py",
    ),
    Mutant(
        "no default decides a verdict",
        "infra/store/manifest.py",
        "    verdict: Literal[",
        "    verdict: str | Literal[",
        "tests/infra/store/test_manifest.py",
    ),
    Mutant(
        "two equal runs work once",
        "infra/backends/local.py",
        "            with self.store.lock(planned.key):",
        "            with contextlib.nullcontext():",
        "tests/infra/backends/test_local.py::test_two_runs_of_one_plan_at_once_do_the_work_once",
    ),
    Mutant(
        "a reading of the test set is counted",
        "infra/backends/local.py",
        "            note_reading(self.store.workspace, planned, self.plan.divided, self.record.run)\n",
        "",
        "tests/infra/backends/test_local.py::test_the_sealed_test_set_is_given_only_to_who_declares_it_and_every_reading_is_counted",
    ),
    Mutant(
        "a deleted line of a ledger is noticed",
        "infra/store/ledger.py",
        '        write_atomically(ledger.with_suffix(".head"), _digest(content))\n',
        "",
        "tests/infra/store/test_ledger.py",
    ),
    Mutant(
        "nothing below store/ on S3 is overwritten",
        "infra/s3/objects.py",
        '            params.setdefault("IfNoneMatch", "*")',
        "            pass",
        S3_TESTS,
    ),
    Mutant(
        "what S3 has is compared with the manifest",
        S3,
        "if not is_intact(arriving / name, manifest.published[name]):",
        "if not (arriving / name).is_file():",
        f"{CONTRACT}::test_a_file_that_is_not_what_was_published_is_noticed_before_it_is_read",
    ),
    Mutant(
        "a key has the versions of packages",
        "infra/runs/keys.py",
        '    recipe |= {f"package {name}": _version(name) for name in sorted(packages)}\n',
        "",
        "tests/infra/runs/test_keys.py",
    ),
    Mutant(
        "a key has the content of the code",
        "infra/runs/keys.py",
        "hashlib.sha256(source).hexdigest()",
        "hashlib.sha256(b'%d' % len(source)).hexdigest()",
        "tests/pipelines/test_plan.py::test_a_source_file_that_keeps_its_size_and_time_is_read_again",
    ),
    Mutant(
        "a step sees no order that its key does not see",
        "steps/core.py",
        "config=canonical(config)",
        "config=config",
        "tests/steps/test_core.py::test_what_a_step_is_given_does_not_depend_on_an_order_that_its_key_does_not_see",
    ),
    Mutant(
        "raw files are those of the plan",
        "infra/sources/files.py",
        "    return digest.hexdigest() == file.sha256",
        "    return True",
        "tests/infra/sources/test_files.py::test_a_source_that_changed_since_the_plan_is_refused",
    ),
    Mutant(
        "a redirect does not leave https",
        "infra/sources/https.py",
        "        check_scheme(newurl)\n",
        "",
        "tests/infra/sources/test_files.py::test_what_a_server_does_not_have_or_cuts_off_or_sends_elsewhere_is_told",
    ),
    Mutant(
        "a source with a credential is refused",
        "infra/sources/files.py",
        "    if secret := credentials_in(text):",
        "    if secret := '':",
        "tests/pipelines/problem/test_definition.py",
    ),
    Mutant(
        "no secrets in run files",
        "infra/runs/records.py",
        "text = redacted(json.dumps(",
        "text = str(json.dumps(",
        "tests/infra/runs/test_records.py",
    ),
    Mutant(
        "no secrets in logs",
        "infra/secrets.py",
        "self.stream.write(redacted(lines + newline))",
        "self.stream.write(lines + newline)",
        "tests/infra/test_secrets.py",
    ),
    Mutant(
        "one promotion at a time",
        PROMOTION,
        '    with locked(workspace / "locks" / "promotion"):',
        "    if True:",
        f"{PROMOTION_TESTS}::test_three_promotions_at_once_leave_registry_and_champion_equal",
    ),
    Mutant(
        "a champion is exchanged for the one that was read",
        S3,
        "absent=tag is None, tag=tag)",
        ")",
        "tests/infra/sources/test_champion.py::test_what_another_machine_wrote_between_reading_and_writing_stays",
    ),
    Mutant(
        "registry and champion are equal",
        PROMOTION,
        "    while current is not None and current != moved:",
        "    if current != moved:",
        f"{PROMOTION_TESTS}::test_two_machines_that_promote_at_once_leave_registry_and_champion_equal",
    ),
    Mutant(
        "verdicts are read from the store",
        CANDIDATES,
        '        if manifest.verdict != "pass":',
        "        if False:",
        f"{PROMOTION_TESTS}::test_an_edited_run_file_promotes_no_rejected_model",
    ),
    Mutant(
        "a promotion wants an approval",
        PROMOTION,
        "        standing.refuse(run, current)",
        "        pass",
        f"{PROMOTION_TESTS}::test_what_nobody_approved_is_not_promoted",
    ),
    Mutant(
        "an approval is of the files in the store",
        "infra/approvals/standing.py",
        "    if entry.subjects != subjects:",
        "    if False:",
        "tests/infra/approvals/test_standing.py::test_an_approval_of_other_files_does_not_count",
    ),
    Mutant(
        "a line of the log names the one before",
        "infra/approvals/log.py",
        "    if not imported and content.previous != log.head:",
        "    if False:",
        "tests/infra/approvals/test_log.py::test_a_line_that_is_moved_or_missing_breaks_the_log",
    ),
    Mutant(
        "nobody answers, nothing is promoted",
        CANDIDATES,
        "    if fields := unwritten(card.model_dump()):",
        "    if fields := unwritten(record.problem):",
        f"{PROMOTION_TESTS}::test_a_model_that_nobody_answers_for_is_not_promoted_whatever_its_run_file_says",
    ),
    Mutant(
        "a champion's file has a digest",
        "infra/sources/champion.py",
        'is_whole = content.pop("digest", digest_of(content)) == digest_of(content)',
        'is_whole = content.pop("digest", "") is not None',
        "tests/infra/sources/test_champion.py::test_every_flipped_bit_of_the_file_is_noticed_or_harmless",
    ),
    Mutant(
        "a checkpoint has a digest",
        "model_code/training.py",
        "        if hashlib.sha256(content[:-64]).hexdigest().encode() == content[-64:]:",
        "        if content:",
        "tests/model_code/test_training.py::test_a_checkpoint_with_a_flipped_bit_is_not_used_but_the_one_before_and_that_is_said",
    ),
    Mutant(
        "a model holds only what the export writes",
        "model_code/archive.py",
        "    if unexpected := sorted(members.keys() - output.keys()):",
        "    if unexpected := []:",
        "tests/model_code/test_archive.py",
    ),
    Mutant(
        "only a finite number meets a bound",
        "steps/evaluation/document.py",
        "value is None or not math.isfinite(value)",
        "value is None",
        "tests/steps/evaluation/test_thresholds.py",
    ),
    Mutant(
        "documents hold finite numbers",
        "steps/documents.py",
        "        if not math.isfinite(value):",
        "        if False:",
        "tests/steps/test_documents.py",
    ),
    Mutant(
        "a newer document is refused",
        "steps/documents.py",
        "version > latest:",
        "version > latest + 9:",
        "tests/steps/test_documents.py",
    ),
    Mutant(
        "the page of MLflow wants the token",
        UI,
        "if not self._is_token(_cookie(headers, self.cookie)) and not self._is_token(bearer):",
        "if False:",
        UI_TESTS,
    ),
    Mutant("the page of MLflow is read-only", UI, "if not self.write and not only_reads:", "if False:", UI_TESTS),
    Mutant(
        "other pages change nothing in MLflow",
        UI,
        'if headers.get("origin", self.origin) != self.origin:',
        "if False:",
        UI_TESTS,
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise)
def test_a_broken_promise_fails_a_test(mutant, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_file():
            shutil.copy(source, tree)
        else:
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__", ".fourscore"))
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1, f"{mutant.file} no longer has this line once: {mutant.line}"
    path.write_text(text.replace(mutant.line, mutant.broken), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test],
        cwd=tree,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, f"nothing fails though this is broken: {mutant.promise}\n{result.stdout[-2000:]}"
    assert "error" not in result.stdout.splitlines()[-1], "the mutant is no program"
