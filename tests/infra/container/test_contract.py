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


def test_a_processing_job_has_inputs(container, tmp_path):
    container_of_job = container("processing")
    assert container_of_job.input("job") == tmp_path / "processing/input/job"
    assert not container_of_job.trains


def test_a_training_job_has_channels(container, tmp_path):
    container_of_job = container("training")
    assert container_of_job.input("job") == tmp_path / "input/data/job"
    assert container_of_job.trains


@pytest.mark.parametrize(("host", "leads"), [("algo-1", True), ("algo-2", False)])
def test_of_several_hosts_one_leads(container, host, leads):
    assert container("training", ("algo-2", "algo-1"), host).leads is leads


def test_outside_of_a_job_it_says_what_to_use_instead(tmp_path):
    with pytest.raises(FourscoreError, match=r"runs inside a SageMaker job.*--on sagemaker-local"):
        Container.at(tmp_path)


@pytest.mark.parametrize("spec", ["{}", '{"format": 1, "job": "train"}', '{"format": 9, "job": "prepare"}'])
def test_another_jobs_description_is_refused(container, spec):
    container_of_job = container()
    container_of_job.input("job").mkdir(parents=True)
    (container_of_job.input("job") / "job.json").write_text(spec)
    with pytest.raises(FourscoreError, match=r"job\.json"):
        container_of_job.spec("prepare")


def test_a_reason_is_cut_to_what_sagemaker_keeps(container, tmp_path):
    container().report_failure("ü" * 3000)
    for name in ("failure", "message"):
        text = (tmp_path / "output" / name).read_bytes()
        assert len(text) == 1024
        assert text.decode() == "ü" * 512
