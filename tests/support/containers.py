"""SageMaker's containers as folders: what it lays down before a job, and the job as a process of its own."""

import json
import os
import shutil
import subprocess
import sys

from infra.sagemaker.upload import modules


def lay(base, job, text, hosts=("algo-1",), host="algo-1"):
    """The files of a job below ``base``; returns what its environment says."""
    training = job == "train"
    inputs = base / ("input/data" if training else "processing/input")
    config = base / ("input/config" if training else "config")
    for place in (inputs / "job", config, base / "output"):
        place.mkdir(parents=True, exist_ok=True)
    (inputs / "job/job.json").write_text(text)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": list(hosts)}))
    for name, path in modules().items():
        (inputs / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inputs / "code" / name)
    return {
        "PYTHONPATH": str(inputs / "code"),
        "FOURSCORE_BASE": str(base),
        "FOURSCORE_RUN": "a-run",
        "OMP_NUM_THREADS": "1",
    }


def start(base, job, environment):
    """The job as SageMaker starts it: the entrypoint, somewhere else than here."""
    return subprocess.Popen(
        [sys.executable, "-m", "infra.container", job],
        cwd=base,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def contents(directory):
    """Every file but the journal, whose times differ, and the manifest without its times."""
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in ("journal.jsonl", "manifest.json") and not name.startswith("."):
            files[name] = path.read_bytes()
    manifest = json.loads((directory / "manifest.json").read_text())
    declared = ("started", "finished", "seconds", "journal", "digest")
    return files | {"manifest": {name: value for name, value in manifest.items() if name not in declared}}
