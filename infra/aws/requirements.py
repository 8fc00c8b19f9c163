"""The image's dependencies, cut out of requirements.lock: what a job imports, with the digest of every file

python -m infra.aws.requirements       writes infra/docker/requirements.txt and torch-gpu.txt anew, asking PyPI for digests
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from steps.errors import FourscoreError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/docker"
OURS = ("boto3",)
"""Of the extra [aws]: jobs keep their results in S3; the rest of it drives SageMaker from outside."""
ONLY_THERE = (
    "sagemaker-mlflow==0.5.0",  # reaches MLflow where its URI is an ARN; it warns on every request to a plain server
    "setuptools==84.2.1",  # torch asks for it, and a lock that pip froze leaves it out
)
PLATFORM = ("linux", "x86_64", (3, 11))
"""The image's; digests are those of files for this platform, so this is where they are asked for."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HEAD = "# Written by 'python -m infra.aws.requirements' from requirements.lock; not by hand.\n"


def wanted() -> list[str]:
    """The pins of what a job needs, in order; torch stands apart, since there is one for CPUs and one for GPUs."""
    lock = {_normal(line.partition("==")[0]): line for line in _lines(ROOT / "requirements.lock")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    roots = [*project["dependencies"], *extras["excel"], *(each for each in extras["aws"] if _name(each) in OURS)]
    needed = _closure(map(_name, roots)) & set(lock)
    return [lock[name] for name in sorted(needed - {"torch"})] + list(ONLY_THERE)


def torch_version() -> str:
    (pin,) = (line for line in _lines(ROOT / "requirements.lock") if line.startswith("torch=="))
    return pin.partition("==")[2]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _closure(names: Iterable[str]) -> set[str]:
    """Everything that the packages need, as they are installed here, which is as the lock says."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += [_name(each) for each in metadata.distribution(name).requires or () if _applies(each)]
    return found


def _applies(requirement: str) -> bool:
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match
    return _normal(match[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_digests(pins: list[str], *, dependencies: bool = False) -> str:
    """Lines of a requirements file with the digest of the one file that the image installs for each pin."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--index-url", "https://pypi.org/simple", "--only-binary", ":all:"]
    command += [*([] if dependencies else ["--no-deps"]), *pins]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # PyPI's own files only
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return HEAD + "".join(sorted(map(_line, json.loads(done.stdout)["install"]), key=str.lower))


def _line(each: dict[str, Any]) -> str:
    digest = each["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{each['metadata']['name']}=={each['metadata']['version']} --hash=sha256:{digest}\n"


def main() -> None:
    """Raises FourscoreError on a machine for which PyPI has other files than for the image."""
    if (sys.platform, platform.machine(), sys.version_info[:2]) != PLATFORM:
        raise FourscoreError("digests are those of the image's platform: run this on Linux, x86-64, Python 3.11")
    pins = wanted()
    (FOLDER / "requirements.txt").write_text(with_digests(pins), encoding="utf-8")
    alone = {_normal(line.partition("==")[0]) for line in pins}
    whole = with_digests([f"torch=={torch_version()}"], dependencies=True)
    kept = [line for line in whole.splitlines(keepends=True) if _normal(line.partition("==")[0]) not in alone]
    (FOLDER / "torch-gpu.txt").write_text("".join(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
