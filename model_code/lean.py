"""Imports of a library without the optional ones that it would import for interfaces that nothing here uses."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

_whole = False


def keep_whole() -> None:
    """Import everything from now on: whoever owns this process, such as a notebook, may use those interfaces."""
    global _whole  # noqa: PLW0603
    _whole = True


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """While the block runs, let its imports miss these packages, as where they are not installed.

    A package that is imported already is no cost and stays. Other threads import what they like: nothing is put into
    ``sys.modules``, where they would see it.
    """
    finder = _Missing(() if _whole else packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Missing(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self.packages, self.thread = packages, threading.get_ident()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in self.packages and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
