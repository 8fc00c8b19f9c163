"""Names are nouns and verb phrases of the field: no participle, no pronoun stands for a thing."""

import ast
from pathlib import Path

import pytest
from tree import LAYERS, ROOT, tracked_files

PARTICIPLES = {
    "asked", "brought", "called", "came", "come", "done", "found", "given", "gone", "got", "heard", "held", "kept", "known", "looked",
    "made", "meant", "missed", "named", "needed", "said", "seen", "sent", "shown", "taken", "thought", "told", "wanted", "went", "written",
}  # fmt: skip
"""As a whole name these say what happened to a thing, not what it is: ``response``, not ``got``; ``expected``, not ``wanted``."""
PRONOUNS = {
    "anybody", "each", "everything", "here", "mine", "nothing", "others", "ours", "somebody", "someone", "something", "theirs", "there",
    "whatever", "whichever", "whoever", "whom", "whose", "yours",
}  # fmt: skip
"""As a whole name these leave it to the reader what they stand for: ``local_stack``, not ``here``; ``stage``, not ``each``."""
NOWHERE = {
    "asked",
    "found",
    "heard",
    "here",
    "looked",
    "made",
    "mine",
    "ours",
    "said",
    "seen",
    "theirs",
    "there",
    "told",
    "wanted",
}
"""Refused as a part of a name, too: ``stack_here``, ``said_plainly``."""
FOLDERS = (*LAYERS, "tests", "benchmarks")


def is_refused(name):
    bare = name.strip("_").lower()
    return bare in PARTICIPLES | PRONOUNS or bool(NOWHERE & set(bare.split("_")))


def names(tree):
    """Every name that a module defines, with its line. Fields of stored documents keep theirs: files depend on them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
            "test_"
        ):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield getattr(node, "lineno", 0), node.asname


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_is_a_participle_or_a_pronoun(folder):
    refused = []
    for file in tracked_files("*.py"):
        if file.startswith(f"{folder}/"):
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            stored = {
                field.target.id
                for field in ast.walk(tree)
                if file.endswith("/document.py") and isinstance(field, ast.AnnAssign)
            }
            modules = [(1, Path(file).stem)]
            refused += [
                f"{file}:{line}: {name}"
                for line, name in (*modules, *names(tree))
                if is_refused(name) and name not in stored
            ]
    assert refused == []


@pytest.mark.parametrize("name", ["found", "_said", "stack_here", "each", "asked_for", "Made"])
def test_participles_and_pronouns_are_refused(name):
    assert is_refused(name)


@pytest.mark.parametrize("name", ["response", "local_stack", "expected", "is_published", "known_columns", "founder"])
def test_nouns_and_verb_phrases_are_not(name):
    assert not is_refused(name)
