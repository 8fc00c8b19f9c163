"""A family in two files, as the next one will be: its encoder turns columns of numbers into one tensor."""

from types import MappingProxyType

import numpy as np
import polars as pl

from model_code.families import Readout


class Numbers:
    architectures = MappingProxyType({"plain": "numbers_family.network:Plain"})
    monotone = ()
    yardsticks = ()

    def describe(self, frame, columns):
        return {
            "inputs": [{**column, "kind": "numeric"} for column in columns],
            "largest": [frame[c["name"]].max() for c in columns],
        }

    def encode(self, frame, schema):
        names = [entry["name"] for entry in schema["inputs"]]
        if missing := [name for name in names if name not in frame.columns]:
            raise ValueError(f"column {missing[0]!r} is missing; wanted a number")
        return (frame.select(names).to_numpy().astype(np.float32) / np.array(schema["largest"], dtype=np.float32),)

    def read(self, frame, schema, *, rows, skip, blanks_hide_words):
        return Readout(frame, pl.Series("row", range(1, frame.height + 1)) if rows is None else rows)

    def record_encoder(self, schema):
        return None

    def random_inputs(self, schema, rows):
        return (np.random.default_rng(0).standard_normal((rows, len(schema["inputs"])), np.float32),)
