"""What SageMaker writes into a container is found where it documents it, and nowhere else."""

import json

import pytest

from infra.container.contract import Container
from steps.errors import FourscoreError


@pytest.fixture
def container(tmp_path):
    """``container("training", hosts)``: a container of this kind, on the first host."""

    def make(kind="processing", hosts=("algo-1",), host=None):
        config = tmp_path / {"processing": "config", "training": "input/config"}[kind]
        config.mkdir(parents=True)
        resources = {"current_host": host or hosts[0], "hosts": list(hosts), "network_interface_name": "eth0"}
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        return Container.at(tmp_path)

    return make


@pytest.mark.parametrize(("kind", "inputs"), [("processing", "processing/input"), ("training", "input/data")])
def test_a_job_has_its_description_among_its_inputs_or_channels(container, tmp_path, kind, inputs):
    container_of_job = container(kind)
    (tmp_path / inputs / "job").mkdir(parents=True)
    (tmp_path / inputs / "job/job.json").write_text('{"format": 1, "job": "train"}')
    assert container_of_job.spec("train")["job"] == "train"
    assert container_of_job.trains is (kind == "training")


@pytest.mark.parametrize(("host", "leads"), [("algo-1", True), ("algo-2", False)])
def test_of_several_hosts_one_leads(container, host, leads):
    assert container("training", ("algo-2", "algo-1"), host).leads is leads


def test_outside_of_a_job_it_says_what_to_use_instead(tmp_path):
    with pytest.raises(FourscoreError, match=r"runs inside a SageMaker job.*--on sagemaker-local"):
        Container.at(tmp_path)


@pytest.mark.parametrize("spec", ["{}", '{"format": 1, "job": "train"}', '{"format": 9, "job": "prepare"}'])
def test_another_jobs_description_is_refused(container, tmp_path, spec):
    container_of_job = container()
    (tmp_path / "processing/input/job").mkdir(parents=True)
    (tmp_path / "processing/input/job/job.json").write_text(spec)
    with pytest.raises(FourscoreError, match=r"job\.json"):
        container_of_job.spec("prepare")


def test_a_reason_is_cut_to_what_sagemaker_keeps(container, tmp_path):
    container().report_failure("ü" * 3000)
    for name in ("failure", "message"):
        text = (tmp_path / "output" / name).read_bytes()
        assert len(text) == 1024
        assert text.decode() == "ü" * 512
