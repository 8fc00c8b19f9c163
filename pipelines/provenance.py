"""Where a run comes from, for whoever audits it: code, problem file, person, machine and packages.

It is recorded and never a part of a key: the same run on another machine is the same run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

UNKNOWN = "not recorded"
PERSON = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME", "USERNAME")
"""Variables of the environment that say who runs something; those of automation come first."""
_SECONDS = 5


def provenance(problem: Path) -> dict[str, str]:
    """Return what is known of a run's origin, by title."""
    return {
        "Fourscore": _version(),
        "Fourscore's commit": commit(Path(__file__).parents[1], "pipelines", "infra", "steps", "model_code"),
        "Problem file's commit": commit(problem.resolve().parent, problem.name),
        "Run by": next((os.environ[name] for name in PERSON if os.environ.get(name)), UNKNOWN),
        "Machine": machine(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Packages, digest": packages_digest(sys.path),
    }


def commit(folder: Path, *names: str) -> str:
    """Return the commit of a folder's repository, and whether files of these names differ from it."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or _git(folder, "ls-files", "--error-unmatch", "--", *names) is None:
        return f"{UNKNOWN}: in no git repository" if head is None else "not committed"
    return f"{head}, changed since" if _git(folder, "status", "--porcelain", "--", *names) else head


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says in a folder; None where it fails. No program that the repository names is started."""
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def machine() -> str:
    """Return the name of this machine, its system, processor, cores and memory."""
    cores = f"{os.cpu_count()} cores"
    parts = [platform.node(), f"{platform.system()} {platform.release()}", _processor(), cores, _memory()]
    return ", ".join(part for part in parts if part)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return ""
    return f"{size / 1e9:.0f} GB of memory"


def packages_digest(path: list[str]) -> str:
    """Return the sha256 of the names and versions of all packages that can be imported from a path, sorted."""
    packages = {file.name for place in path if Path(place).is_dir() for file in Path(place).glob("*.dist-info")}
    return hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()


def _version() -> str:
    try:
        return metadata.version("fourscore")
    except metadata.PackageNotFoundError:
        return UNKNOWN
