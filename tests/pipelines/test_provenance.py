"""Where a run comes from: commits, person, machine, packages; and "not recorded" rather than a guess."""

from __future__ import annotations

import subprocess

import pytest

from pipelines.provenance import PERSON, commit, packages_digest, provenance


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def problem(tmp_path):
    path = tmp_path / "a folder" / "problem.yaml"
    path.parent.mkdir()
    path.write_text("name: a")
    return path


def test_a_file_is_of_a_commit_changed_since_not_committed_or_in_no_repository(problem):
    folder, name = problem.parent, problem.name
    assert commit(folder, name) == "not recorded: in no git repository"
    git(folder, "init", "-q")
    (folder / "other").touch()
    git(folder, "add", "other")
    git(folder, "commit", "-qm", "a")
    assert commit(folder, name) == "not committed"
    git(folder, "add", name)
    git(folder, "commit", "-qm", "b")
    head = git(folder, "rev-parse", "HEAD").strip()
    assert commit(folder, name) == head
    problem.write_text("name: b")
    assert commit(folder, name) == f"{head}, changed since"
    assert commit(folder, "other") == head


def test_a_repository_names_no_program_that_is_started(problem, tmp_path):
    git(problem.parent, "init", "-q")
    git(problem.parent, "add", problem.name)
    git(problem.parent, "commit", "-qm", "a")
    git(problem.parent, "config", "core.fsmonitor", f"touch {tmp_path / 'started'}; false")
    commit(problem.parent, problem.name)
    assert not (tmp_path / "started").exists()


def test_who_runs_it_is_the_person_behind_the_automation_else_the_user_else_not_recorded(problem, monkeypatch):
    for name in PERSON:
        monkeypatch.delenv(name, raising=False)
    assert provenance(problem)["Run by"] == "not recorded"
    monkeypatch.setenv("USER", "runner")
    assert provenance(problem)["Run by"] == "runner"
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    assert provenance(problem)["Run by"] == "ada"


def test_the_digest_of_the_packages_changes_with_a_version_and_not_with_the_place(tmp_path):
    for place, version in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / place / f"package-{version}.dist-info").mkdir(parents=True)
    first, moved, newer = (packages_digest([str(tmp_path / place)]) for place in "abc")
    assert first == moved != newer


def test_python_is_named_with_its_patch_level(problem):
    assert provenance(problem)["Python"].count(".") == 2
