"""Planted wrong labels are suspected, most of what is suspected is wrong, and where classes overlap nothing is said."""

import numpy as np
import pytest

from steps.evaluation import labels


def predicted(share, distance, seed=0, rows=3000):
    """Return labels, which ones are wrong, and probabilities by class means of the other half of the rows."""
    random = np.random.default_rng(seed)
    truth, centres = random.integers(0, 3, rows), distance * np.eye(3)
    points = centres[truth] + random.normal(size=(rows, 3))
    wrong = random.random(rows) < share
    classes = np.where(wrong, (truth + random.integers(1, 3, rows)) % 3, truth)
    chance = np.empty((rows, 3))
    for half in (0, 1):
        rest = np.arange(rows) % 2 != half
        means = np.stack([points[rest & (classes == label)].mean(axis=0) for label in range(3)])
        logits = -np.square(points[~rest][:, None] - means).sum(axis=2) / 2
        chance[~rest] = np.exp(logits - logits.max(axis=1, keepdims=True))
    return classes, wrong, chance / chance.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_most_wrong_labels_are_suspected_and_most_suspected_ones_are_wrong(share):
    classes, wrong, chance = predicted(share, distance=4)
    positions = labels.suspects(classes, chance)
    assert wrong[positions].sum() / wrong.sum() > 0.9
    assert wrong[positions].mean() > 0.8
    assert wrong[positions[:20]].all()
    assert labels.tell_apart(classes, chance)


def test_where_classes_overlap_or_one_has_few_rows_nothing_can_be_said():
    classes, _, chance = predicted(0.05, distance=0.7)
    assert not labels.tell_apart(classes, chance)
    assert not labels.tell_apart(np.zeros(100, np.int64), np.tile([0.9, 0.1], (100, 1)))


def test_rows_are_named_by_their_numbers(tmp_path):
    classes, wrong, chance = predicted(0.03, distance=5)
    labels.write(tmp_path, np.arange(3000) + 11, classes, chance)
    document = labels.document(tmp_path)
    assert document.among == 3000
    assert document.rows == len(labels.suspects(classes, chance.astype(np.float32)))
    assert len(document.listed) == labels.LISTED
    assert wrong[np.array(document.listed) - 11].all()
    (tmp_path / labels.FILE).unlink()
    assert labels.document(tmp_path) is None
