"""Classes: which of two is the positive one, and their shares as metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping

from model_code.tasks.labels import number, ordered_classes
from steps.errors import InputError, near

POSITIVE = ("true", "yes", "y", "t", "positive", "pos", "1")
"""Names that say of themselves that they are the positive class, in lower case."""

LOGGED = 50
"""Of so many classes at most the shares are logged as metrics."""


def choose_positive(counts: Mapping[str, int], declared: str | None, *, in_order: bool = False) -> tuple[str, str]:
    """Which of two classes is the positive one, and how that was decided.

    Args:
        counts: rows of each class, in the order of the classes.
        in_order: the order was declared, so its last class is the positive one.

    Raises:
        InputError: the declared one is not a class.
    """
    names = list(counts)
    if declared is not None:
        wanted = {name.lower(): name for name in names} | {name: name for name in names}
        found = wanted.get(declared) or wanted.get(declared.lower())
        if found is None:
            listed = ", ".join(map(repr, names))
            raise InputError(
                f"label.positive {declared!r} is not a class{near(declared, names)}; the classes are: {listed}"
            )
        return found, "declared in label.positive"
    if in_order:
        return names[-1], "the last of label.classes"
    by_name = [name for name in names if name.lower() in POSITIVE]
    numbers = [number(name) for name in names]
    if all(value is not None for value in numbers):
        return ordered_classes(names)[-1], "guessed: the larger number"
    if len(by_name) == 1:
        return by_name[0], "guessed: its name says so"
    if counts[names[0]] != counts[names[1]]:
        return min(names, key=lambda name: counts[name]), "guessed: the rarer class"
    return names[-1], "guessed: the last in alphabetical order; both are equally frequent"


def class_metrics(counts: Mapping[str, int]) -> dict[str, float]:
    """``data/class_share.<class>`` for each of not too many classes; what a tracker's metric names cannot
    hold becomes ``_``.
    """
    total = sum(counts.values())
    metrics: dict[str, float] = {}
    for name, count in list(counts.items())[:LOGGED]:
        key = base = f"data/class_share.{re.sub(r'[^A-Za-z0-9_.-]+', '_', name) or '_'}"
        repeated = 2
        while key in metrics:
            key, repeated = f"{base}-{repeated}", repeated + 1
        metrics[key] = count / total
    return metrics
