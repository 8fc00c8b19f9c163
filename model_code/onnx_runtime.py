"""The answers of ``model.onnx`` by onnxruntime, a second runtime beside ``runtime``.

onnxruntime checks little of what it reads, so it only gets files that our own export wrote, by their digests.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

MODEL = "model.onnx"
"""The name of the file in a model directory."""
_ERRORS = 3
"""The log level without warnings."""


def is_possible(directory: Path) -> bool:
    """Return whether the model has the file and onnxruntime is installed."""
    return (directory / MODEL).is_file() and find_spec("onnxruntime") is not None


def load(path: Path) -> Callable[..., Array]:
    """Return the graph of a ``model.onnx`` as a function of arrays; it uses one thread and standard operators only.

    Raises:
        ValueError: onnxruntime does not read the file; the function raises it for inputs that are not the graph's.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    try:
        # as bytes: a file beside the model is then no place of its weights
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a type for each of its statuses
        raise ValueError(f"{path}: onnxruntime does not read it: {error}") from error
    names = [described.name for described in session.get_inputs()]

    def answer(*inputs: Array) -> Array:
        try:
            [output] = session.run(None, dict(zip(names, inputs, strict=True)))
        except Exception as error:
            raise ValueError(f"{path.name} does not run on these inputs: {error}") from error
        result: Array = output
        return result

    return answer
