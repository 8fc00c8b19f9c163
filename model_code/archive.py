"""The reader and guard of model archives: a ``model.pt2`` as checked values.

``torch.export.load`` runs code of the archive's maker in several ways: members that are pickles, compiled libraries, texts
of sizes that sympy evaluates, texts of guards that become functions. So a foreign file never goes to torch. Each member is
compared with a grammar of what our own export writes, and ``model_code.runtime`` evaluates the checked values. The format
is in the PyTorch documentation, "PT2 Archive Spec", and in ``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_code.archive_grammar import PROGRAM, TENSOR_FILES, Grammar, check, parse
from model_code.operators import DTYPES

Array = np.ndarray[Any, Any]

MODEL = "model.pt2"
"""The name of the archive in a model directory."""
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"
FIXED = {
    "data/sample_inputs/model.pt": b"",
    "archive_format": b"pt2",
    "archive_version": b"0",
    ".data/version": b"6\n",
    "byteorder": b"little",
}


def read(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the program of an archive and its tensors by name; all values are checked.

    Raises:
        ValueError: the content is not an archive, or has a member or value that our export does not write.
    """
    graph, tensors, members = _checked(content)
    return graph, {
        name: np.frombuffer(members[path], DTYPES[meta["dtype"]]).reshape([size["as_int"] for size in meta["sizes"]])
        for name, path, meta in tensors
    }


def rebuild(content: bytes) -> bytes:
    """Return the archive, written again from checked values; the same values give the same bytes.

    Raises:
        ValueError: see ``read``.
    """
    _, _, members = _checked(content)
    return _write(members | FIXED)


def _checked(content: bytes) -> tuple[dict[str, Any], list[tuple[str, str, Any]], dict[str, bytes]]:
    """Return the program, the name, member and metadata of each tensor, and the members."""
    members = _members(content)
    members.pop(".data/serialization_id", None)  # another one for each writing
    for name, expected in FIXED.items():
        if members.pop(name, None) != expected:
            raise ValueError(f"{name}: missing, or not as the export writes it")
    graph = _parse(members, GRAPH, PROGRAM)
    for node in graph["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}  # names of modules, which only a debugger reads
    output, tensors = {GRAPH: _json(graph)}, []
    for index, prefix in ((WEIGHTS, "weight_"), (CONSTANTS, "tensor_")):
        files = _parse(members, index, TENSOR_FILES)
        for name, entry in files["config"].items():
            path = index.rsplit("/", 1)[0] + "/" + entry["path_name"]
            if not entry["path_name"].startswith(prefix) or len(members.get(path, b"")) != _size(entry["tensor_meta"]):
                raise ValueError(f"{path}: missing, or not of the size that {index} says")
            output[path] = members[path]
            tensors.append((name, path, entry["tensor_meta"]))
        output[index] = _json(files)
    if unexpected := sorted(members.keys() - output.keys()):
        raise ValueError(f"{unexpected[0]}: the export writes no such member")
    return graph, tensors, output


def _members(content: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(content):
                    raise ValueError(f"{entry.filename}: compressed")
                root, _, name = entry.filename.partition("/")
                if root not in ("model", "archive") or name in members:
                    raise ValueError(f"{entry.filename}: twice in the archive, or in another folder than model/")
                members[name] = archive.read(entry)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, OverflowError) as error:
        raise ValueError(f"not a model archive: {error}") from error
    return members


def _parse(members: Mapping[str, bytes], name: str, grammar: Grammar) -> Any:
    try:
        return check(parse(members.get(name, b"")), grammar)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: {error}") from None


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _size(meta: Mapping[str, Any]) -> int:
    """Return the bytes of a contiguous tensor; -1 for one whose values lie otherwise, which no member has."""
    sizes, strides = ([n["as_int"] for n in meta[key]] for key in ("sizes", "strides"))
    size: int = DTYPES[meta["dtype"]].itemsize * math.prod(sizes)
    contiguous = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    # the stride of a dimension of one value is of no use, and an empty tensor has none that is
    is_contiguous = all(
        stride == expected for extent, stride, expected in zip(sizes, strides, contiguous, strict=True) if extent > 1
    )
    return size if size == 0 or is_contiguous else -1


def _write(members: Mapping[str, bytes]) -> bytes:
    """Return a zip file with nothing in it that depends on when or where it was written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(f"model/{name}", (1980, 1, 1, 0, 0, 0)), members[name])
    return buffer.getvalue()
