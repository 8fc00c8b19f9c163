"""A disk on which nothing can be written."""

import contextlib
import resource


@contextlib.contextmanager
def nothing_can_be_written():
    """Let no file grow; it holds for root, too, whom no permission stops."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
