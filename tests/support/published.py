"""Executions to publish, from a test, from a process that races, and from one that is killed on the way.

python published.py race WORKSPACE ROOT TEXT    ROOT: s3://..., or - for a store in the workspace
python published.py killed WORKSPACE ROOT       publishes again and again, killed before and after ever later steps
"""

import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from infra.places import open_store
from infra.store.manifest import Manifest

KEY = "a" * 64


def publish(store, text="content", key=KEY, journal='{"kind":"note"}\n'):
    """What ``store.publish`` makes of one artifact with a file, and one without."""
    with store.working(key) as directory:
        (directory / "table").mkdir()
        (directory / "table/data.txt").write_text(text)
        (directory / "nothing").mkdir()
        (directory / "journal.jsonl").write_text(journal)
        return store.publish(
            directory, Manifest(key=key, step="ingest", ingredients={"python": "3.11"}, verdict="pass")
        )


def sealed(content):
    """The content of a manifest's file with these fields, and their digest."""
    covered = {name: value for name, value in content.items() if name != "digest"}
    digest = hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()
    return json.dumps({**covered, "digest": digest}).encode()


def at(root, name):
    """A root below the root."""
    return None if root == "-" else f"{root}{name}/"


class Dying:
    """Kills this process with -9 at the n-th step of all that write or ask."""

    def __init__(self, last):
        self.left, self.lock = last, threading.Lock()

    def step(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(self, place, name, *, after=False):
        call = getattr(place, name)

        def counted(*arguments, **more):
            self.step()
            result = call(*arguments, **more)
            if after:
                self.step()
            return result

        setattr(place, name, counted)


def killed(workspace, root):
    """Publish into places of their own, each time killed a step later, until it gets through; print how often."""
    from botocore.httpsession import URLLib3Session

    number = 1
    while True:
        child = os.fork()
        if child == 0:
            dying = Dying(number)
            if root == "-":
                for name in ("fsync", "open", "close"):
                    dying.before(os, name)
                for name in ("rename", "replace", "open", "mkdir"):
                    dying.before(Path, name)
            dying.before(URLLib3Session, "send", after=True)
            publish(open_store(workspace / str(number), at(root, number)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        number += 1
    sys.stdout.write(f"{number - 1}\n")


if __name__ == "__main__":
    what, workspace, root, *rest = sys.argv[1:]
    if what == "killed":
        killed(Path(workspace), root)
    else:
        publish(open_store(Path(workspace), None if root == "-" else root), *rest)
