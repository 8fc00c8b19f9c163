"""Checkpoint files: tensors and plain values that end with their sha256; the one before stays beside the last."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from model_code import parallel

State = Mapping[str, Any]


def write(path: Path | None, state: State, *, last: bool = False) -> None:
    """Write a checkpoint as a whole or not at all; nothing without a path. Beside the last one of a fit no other is left."""
    if path is None or parallel.rank() > 0:
        return
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w+b") as file:
        torch.save(state, file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(digest.encode())
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        path.replace(_earlier(path))
    temporary.replace(path)
    if last:
        _earlier(path).unlink(missing_ok=True)


def read(
    path: Path | None, identity: State, device: torch.device, note: Callable[[str], None] | None = None
) -> State | None:
    """Return the last whole checkpoint of the fit with that identity; one that cannot be read is ignored.

    Args:
        note: called with what a person should know.
    """
    content = parallel.agreed_bytes(_last_whole(path, note), device) if path else b""
    if not content:
        return None
    file = io.BytesIO(content)
    try:
        state: State = torch.load(file, weights_only=True, map_location="cpu")
    except Exception:  # noqa: BLE001  whatever is wrong with the file, the remedy is to start anew
        return None
    return state if state["identity"] == identity else None


def _earlier(path: Path) -> Path:
    """Return where the checkpoint before the last one is."""
    return path.with_name(f"{path.name}.before")


def _last_whole(path: Path, note: Callable[[str], None] | None) -> bytes:
    """Return the content of the last checkpoint that is as it was written, which its last 64 bytes tell; b"" if none is."""
    for place in (path, _earlier(path)):
        content = place.read_bytes() if place.exists() else b""
        if hashlib.sha256(content[:-64]).hexdigest().encode() == content[-64:]:
            return content[:-64]
        if content and note:
            note(f"checkpoint {place.name} is damaged and not used: training starts from an earlier one or anew")
    return b""
