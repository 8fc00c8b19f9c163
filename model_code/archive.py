"""The guard of model archives: what torch may read of a ``model.pt2``, rebuilt from checked values.

``torch.export.load`` runs code of the archive's maker in several ways: members that are pickles, compiled libraries, texts
of sizes that sympy evaluates, texts of guards that become functions. So torch never sees a file as it came. Each member is
compared with a grammar of what our own export writes, and a new archive is written from the checked values alone. The
format is in the PyTorch documentation, "PT2 Archive Spec", and in ``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any

from model_code.archive_grammar import ITEM_SIZES, PROGRAM, TENSOR_FILES, Grammar, check, parse

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


def rebuild(content: bytes) -> bytes:
    """Return the archive, written again from checked values; the same values give the same bytes.

    Raises:
        ValueError: the content is not an archive, or has a member or value that our export does not write.
    """
    members = _members(content)
    members.pop(".data/serialization_id", None)  # another one for each writing
    for name, expected in FIXED.items():
        if members.pop(name, None) != expected:
            raise ValueError(f"{name}: missing, or not as the export writes it")
    graph = _parse(members, GRAPH, PROGRAM)
    for node in graph["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}  # names of modules, which only a debugger reads
    output = {GRAPH: _json(graph)}
    for index, prefix in ((WEIGHTS, "weight_"), (CONSTANTS, "tensor_")):
        tensors = _parse(members, index, TENSOR_FILES)
        for entry in tensors["config"].values():
            name = index.rsplit("/", 1)[0] + "/" + entry["path_name"]
            if not entry["path_name"].startswith(prefix) or len(members.get(name, b"")) != _size(entry["tensor_meta"]):
                raise ValueError(f"{name}: missing, or not of the size that {index} says")
            output[name] = members[name]
        output[index] = _json(tensors)
    if unexpected := sorted(members.keys() - output.keys()):
        raise ValueError(f"{unexpected[0]}: the export writes no such member")
    return _write(output | FIXED)


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
    size: int = ITEM_SIZES[meta["dtype"]] * math.prod(sizes)
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
