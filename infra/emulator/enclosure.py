"""The wall around a job: run as a script, it makes /opt/ml and /tmp the job's own, then becomes the job's command.

``python -I -S enclosure.py OPTIONS -- COMMAND``. With ``--root`` a mount namespace is made in which ``/opt/ml`` is that
directory, and ``/tmp`` the one of ``--tmp``. With ``--pids`` the command is the first process of a namespace of its own,
as in a container: it gets SIGTERM only if it has a handler for it, and when it ends, or when whoever started the script
dies, nothing of it is left. Where the machine allows no such thing the script ends with :data:`NOT_ALLOWED`.
"""

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

NOT_ALLOWED = 198
NEW_MOUNTS, NEW_USERS, NEW_PIDS, NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
SET_DEATH_SIGNAL = 1
SET_INTERFACE_FLAGS, INTERFACE_UP = 0x8914, 1


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root")
    parser.add_argument("--tmp")
    parser.add_argument("--hosts")
    parser.add_argument("--pids", action="store_true")
    parser.add_argument("--no-network", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if given.root:
            attempt(lambda: enclose(libc, given))
        if given.pids:
            become_first(libc)
    elif given.root:
        sys.exit(NOT_ALLOWED)
    os.chdir("/")
    os.execvp(given.command[0], given.command)  # noqa: S606 -- this script is what becomes the job


def attempt(action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        print(f"no namespace: {error}", file=sys.stderr)  # noqa: T201 -- the log of the job is all there is
        sys.exit(NOT_ALLOWED)


def enclose(libc: ctypes.CDLL, given: argparse.Namespace) -> None:
    user, group = os.geteuid(), os.getegid()
    flags = NEW_MOUNTS | (NEW_NETWORK if given.no_network else 0) | (NEW_USERS if user else 0)
    check(libc.unshare(flags | (NEW_PIDS if given.pids else 0)))
    if user:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    if given.no_network:
        loopback_up()
    mount(libc, None, "/", RECURSIVE | PRIVATE)
    root = os.open(given.root, os.O_PATH | os.O_DIRECTORY)
    if not Path("/opt/ml").is_dir():
        make_room(libc)
    mount(libc, f"/proc/self/fd/{root}", "/opt/ml", BIND)
    os.close(root)
    if given.hosts:
        mount(libc, given.hosts, "/etc/hosts", BIND)
    if given.tmp:
        mount(libc, given.tmp, "/tmp", BIND)  # noqa: S108 -- the very directory that is to be private


def make_room(libc: ctypes.CDLL) -> None:
    """A /opt of our own with everything that the machine's has, and an empty ml; the machine's stays as it is."""
    old = os.open("/opt", os.O_PATH | os.O_DIRECTORY)
    names = [each.name for each in Path("/opt").iterdir()]
    check(libc.mount(b"none", b"/opt", b"tmpfs", 0, b"mode=755"))
    for name in names:
        source, target = Path(f"/proc/self/fd/{old}/{name}"), Path("/opt") / name
        if source.is_symlink():
            target.symlink_to(source.readlink())
            continue
        if source.is_dir():
            target.mkdir()
        else:
            target.touch()
        mount(libc, str(source), str(target), BIND | RECURSIVE)
    os.close(old)
    Path("/opt/ml").mkdir()


def loopback_up() -> None:
    """A container without a network still has the interface on which its own processes talk."""
    with socket.socket() as asking:
        fcntl.ioctl(asking, SET_INTERFACE_FLAGS, struct.pack("16sh14x", b"lo", INTERFACE_UP))


def become_first(libc: ctypes.CDLL) -> None:
    """Go on as the first process of the new namespace; the one left outside passes SIGTERM on and the exit code back."""
    child = os.fork()
    if child == 0:
        libc.prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        attempt(lambda: check(libc.mount(b"proc", b"/proc", b"proc", 0, None)))
        return

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def mount(libc: ctypes.CDLL, source: str | None, target: str, flags: int) -> None:
    check(libc.mount(os.fsencode(source) if source else b"none", os.fsencode(target), None, flags, None))


def check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
