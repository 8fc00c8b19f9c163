"""Write requirements.txt, torch-gpu.txt and serving.txt of infra/docker: the parts of requirements.lock that images need, with digests.

python .ci/lock_image.py        on Linux, x86-64, Python 3.11, which is the image's platform; 'make lock' runs it
"""

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

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "infra/docker"
FROM_AWS = ("boto3",)  # of the extra [aws]: jobs keep their results in S3; the rest drives SageMaker from outside
ONLY_IN_IMAGE = (
    "sagemaker-mlflow==0.5.0",  # reaches MLflow by ARN; it warns on every request to a plain server
    "setuptools==84.2.1",  # torch needs it, and pip freeze leaves it out
)
SERVING = ("numpy", "polars", "onnxruntime", "starlette", "uvicorn", "orjson")  # all that infra.serving imports
HEAD = "# Written by 'python .ci/lock_image.py' from requirements.lock; not by hand.\n"


def normal(name: str) -> str:
    """Return the normal form of a package's name, as in requirements, pins and URLs."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", name, maxsplit=1)[0]).lower()


def lock() -> dict[str, str]:
    """Return name -> pin of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return {normal(line): line.rstrip(" \\") for line in lines if "==" in line}


def pins() -> list[str]:
    """Return the pins of what jobs import, without torch, which has a build for CPUs and one for GPUs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    aws = [requirement for requirement in extras["aws"] if normal(requirement) in FROM_AWS]
    names = required([*project["dependencies"], *extras["excel"], *aws])
    locked = lock()
    return [locked[name] for name in sorted(names & set(locked) - {"torch"})] + list(ONLY_IN_IMAGE)


def serving_pins() -> list[str]:
    """Return the pins of what the server of a model imports."""
    locked = lock()
    return [locked[name] for name in sorted(required(SERVING))]


def required(requirements: Iterable[str]) -> set[str]:
    """Return the names of packages and of all that they require."""
    waiting = list(map(normal, requirements))
    names: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += map(normal, filter(_applies, metadata.distribution(name).requires or ()))
    return names


def _applies(requirement: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def with_digests(pins: list[str], *options: str) -> str:
    """Return a requirements file with the digest of the one file per pin that pip would install here."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--index-url", "https://pypi.org/simple", "--only-binary", ":all:", *options, *pins]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # PyPI's own files only
    report = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    lines = [
        f"{package['metadata']['name']}=={package['metadata']['version']} "
        f"--hash=sha256:{package['download_info']['archive_info']['hashes']['sha256']}\n"
        for package in json.loads(report)["install"]
    ]
    return HEAD + "".join(sorted(lines, key=str.lower))


def main() -> None:
    """Write the files."""
    if (sys.platform, platform.machine(), sys.version_info[:2]) != ("linux", "x86_64", (3, 11)):
        sys.exit("digests are those of the image's platform: run this on Linux, x86-64, Python 3.11")
    common = pins()
    (FOLDER / "requirements.txt").write_text(with_digests(common, "--no-deps"), encoding="utf-8")
    (FOLDER / "serving.txt").write_text(with_digests(serving_pins(), "--no-deps"), encoding="utf-8")
    shared = set(map(normal, common))
    lines = with_digests([lock()["torch"]]).splitlines(keepends=True)
    (FOLDER / "torch-gpu.txt").write_text(
        "".join(line for line in lines if normal(line) not in shared), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
