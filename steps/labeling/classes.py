"""The positive class of two, classes that are one word in two spellings, and the shares of classes as metrics."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from model_code.tasks.labels import number, ordered_classes
from steps.errors import InputError
from steps.wording import near

POSITIVE = ("true", "yes", "y", "t", "positive", "pos", "1")
"""Names of positive classes, in lower case."""

LOGGED = 50
"""The shares of at most this many classes are logged as metrics."""


def choose_positive(counts: Mapping[str, int], declared: str | None, *, in_order: bool = False) -> tuple[str, str]:
    """Return the positive one of two classes, and how it was chosen.

    Args:
        counts: rows of each class, in the order of the classes.
        in_order: true if the order was declared, so that its last class is the positive one.

    Raises:
        InputError: the declared class does not exist.
    """
    names = list(counts)
    if declared is not None:
        by_spelling = {name.lower(): name for name in names} | {name: name for name in names}
        positive = by_spelling.get(declared) or by_spelling.get(declared.lower())
        if positive is None:
            listed = ", ".join(map(repr, names))
            raise InputError(
                f"label.positive {declared!r} is not a class{near(declared, names)}; the classes are: {listed}"
            )
        return positive, "declared in label.positive"
    if in_order:
        return names[-1], "the last of label.classes"
    by_name = [name for name in names if name.lower() in POSITIVE]
    numbers = [number(name) for name in names]
    if all(value is not None for value in numbers):
        return ordered_classes(names)[-1], "guessed: the larger number"
    if len(by_name) == 1:
        return by_name[0], "guessed: from its name"
    if counts[names[0]] != counts[names[1]]:
        return min(names, key=lambda name: counts[name]), "guessed: the rarer class"
    return names[-1], "guessed: the last in alphabetical order; both are equally frequent"


def twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the classes that differ in case, blanks or the form of a letter only, those of one word together: `Yes` and `yes`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        word = " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
        groups.setdefault(word, []).append(name)
    return [tuple(spellings) for spellings in groups.values() if len(spellings) > 1]


def class_metrics(counts: Mapping[str, int]) -> dict[str, float]:
    """Return ``data/class_share.<class>`` of the first classes; characters that MLflow refuses become ``_``."""
    total = sum(counts.values())
    metrics: dict[str, float] = {}
    for name, count in list(counts.items())[:LOGGED]:
        key = base = f"data/class_share.{re.sub(r'[^A-Za-z0-9_.-]+', '_', name) or '_'}"
        repeated = 2
        while key in metrics:
            key, repeated = f"{base}-{repeated}", repeated + 1
        metrics[key] = count / total
    return metrics
