"""Models that are formulas, and tables of noise for them."""

import numpy as np
import polars as pl

from model_code.serving import Predictor


def predictor(numeric, answer, category=()):
    """A model of numbers and categories (the positions in their vocabularies) that answers with a function of them."""
    inputs = [{"name": name, "kind": "numeric", "type": "float"} for name in numeric]
    inputs += [{"name": n, "kind": "category", "type": "category", "vocabulary": list("abcdef")} for n in category]
    schema = {"inputs": inputs, "numeric": list(numeric), "category": list(category), "target": "y", "classes": []}
    return Predictor(schema, lambda numbers, places: answer(np.nan_to_num(numbers), places))


def probability(score):
    chance = 1 / (1 + np.exp(-score))
    return np.stack([1 - chance, chance], axis=1)


def noise(rows, *names, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame({name: random.normal(size=rows) for name in names})
