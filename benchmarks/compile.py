"""Compiling a plan to a pipeline definition, beside the SageMaker SDK's authoring of the same three jobs: CPU seconds and their ratio.

The SDK is not among our dependencies, so it wants a throwaway environment of its own:

    python -m venv /some/dir && /some/dir/bin/pip install 'sagemaker>=3.27'
    python benchmarks/compile.py --sdk-python /some/dir/bin/python

Both get what they want: we a plan of examples/breast-cancer, the SDK a bucket to upload to (moto's server, in a process of
its own that is not counted), made-up credentials, no telemetry, no check of the role, and no configuration file, which
it would check against its schema at every look-up. Its jobs are two ScriptProcessors and a ModelTrainer with
three small scripts, a property file, a condition and a Fail step; registering, which imports more, is left out of it.
"""

import argparse
import contextlib
import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from measure import cpu_seconds, in_turn, show, show_ratio

ROOT = Path(__file__).parents[1]
PROBLEM = ROOT / "examples/breast-cancer/problem.yaml"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/fourscore@sha256:" + "0" * 64
REGION, BUCKET = "eu-central-1", "fourscore-benchmark"
ROLE = "arn:aws:iam::123456789012:role/fourscore"


def planned(place):
    """A plan of the example, and how to compile it; what ``plan --on sagemaker`` begins with."""
    from infra.sagemaker.config import SageMakerConfig
    from infra.sagemaker.definition import compile_plan, text
    from infra.sagemaker.stack import Stack
    from pipelines.request import Request, prepare

    prepared = prepare(Request(PROBLEM, Path(place), {}))
    roles = dict.fromkeys(("pipeline", "prepare", "train", "assess"), ROLE)
    stack = Stack("dev", REGION, "123456789012", BUCKET, "work", roles, {"cpu": IMAGE}, "fourscore-dev")
    return lambda: text(compile_plan(prepared.plan, "breast-cancer", SageMakerConfig(), stack, "0" * 64, 1.0))


def scripts(place):
    """Three files that stand for the jobs' code."""
    folder = Path(place) / "source"
    folder.mkdir(exist_ok=True)
    for name in ("prepare", "train", "assess"):
        (folder / f"{name}.py").write_text(f"print({name!r})\n")
    return folder


def authored(place):
    """The same three jobs as the SDK's users write them."""
    from sagemaker.core import telemetry
    from sagemaker.core.processing import ScriptProcessor
    from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output
    from sagemaker.core.workflow.conditions import ConditionEquals
    from sagemaker.core.workflow.functions import Join, JsonGet
    from sagemaker.core.workflow.parameters import ParameterString
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.core.workflow.properties import PropertyFile
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, OutputDataConfig, SourceCode

    telemetry.telemetry_logging._send_telemetry_request = lambda *_, **__: None  # noqa: SLF001 - only a file could switch it off
    folder = scripts(place)
    session = PipelineSession(default_bucket=BUCKET)
    types = {
        name: ParameterString(f"{name}InstanceType", default_value="ml.m5.xlarge") for name in ("Prepare", "Assess")
    }

    def processing(name, outputs, depends, files=None):
        processor = ScriptProcessor(
            image_uri=IMAGE, command=["python3"], instance_type=types[name.capitalize()], instance_count=1, role=ROLE,
            base_job_name=name, sagemaker_session=session,
        )  # fmt: skip
        arguments = processor.run(code=str(folder / f"{name}.py"), outputs=outputs)
        return ProcessingStep(name=name, step_args=arguments, depends_on=depends, property_files=files)

    prepare = processing("prepare", [], [])
    trainer = ModelTrainer(
        training_image=IMAGE, role=ROLE, base_job_name="train", sagemaker_session=session,
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
        source_code=SourceCode(source_dir=str(folder), entry_script="train.py"),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/output"),
    )  # fmt: skip
    train = TrainingStep(name="train", step_args=trainer.train(), depends_on=[prepare])
    verdict = PropertyFile(name="verdict", output_name="result", path="verdict.json")
    place_of = ProcessingS3Output(s3_uri=f"s3://{BUCKET}/result", local_path="/opt/ml/processing/output/result", s3_upload_mode="EndOfJob")  # fmt: skip
    assess = processing("assess", [ProcessingOutput(output_name="result", s3_output=place_of)], [train], [verdict])
    values = {
        path: JsonGet(step_name="assess", property_file=verdict, json_path=path) for path in ("verdict", "reasons")
    }
    rejected = FailStep(name="rejected", error_message=Join(on="", values=["rejected: ", values["reasons"]]))
    decide = ConditionStep(
        name="verdict", depends_on=[assess], conditions=[ConditionEquals(left=values["verdict"], right="pass")],
        if_steps=[], else_steps=[rejected],
    )  # fmt: skip
    pipeline = Pipeline(
        name="breast-cancer",
        parameters=list(types.values()),
        steps=[prepare, train, assess, decide],
        sagemaker_session=session,
    )
    return pipeline.definition()


def again(make, times):
    """CPU milliseconds of one more compile in a process that has imported everything, and how many texts came out."""
    texts, spent = {make()}, []
    for _ in range(times):
        before = time.process_time()
        texts.add(make())
        spent.append(1000 * (time.process_time() - before))
    digests = {hashlib.sha256(text.encode()).hexdigest() for text in texts}
    print(statistics.median(spent), len(digests), times + 1)


@contextlib.contextmanager
def storage():
    """Moto's server with the bucket, and the environment in which the SDK finds it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    serve = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = subprocess.Popen([sys.executable, "-c", serve], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=5).close()
                break
            if time.monotonic() > deadline:
                sys.exit("moto's server did not start")
            time.sleep(0.2)
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()
        yield {
            "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }  # fmt: skip
    finally:
        server.terminate()
        server.wait()


def uploaded(env):
    """Return the number of objects in the bucket."""
    with urllib.request.urlopen(f"{env['AWS_ENDPOINT_URL']}/{BUCKET}?list-type=2") as answer:
        return answer.read().count(b"<Key>")


def warm(command, env=None):
    """Return the output of :func:`again` in a process of its own."""
    process = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr}")
    milliseconds, digests, compiles = process.stdout.split()[-3:]
    return float(milliseconds), f"{compiles} compiles gave {digests} different definitions"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdk-python", help="python of an environment with the SageMaker SDK")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--again", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        make = planned(options.place) if options.one == "ours" else lambda: authored(options.place)
        if options.again:
            again(make, options.again)
        else:
            make()
        return
    with tempfile.TemporaryDirectory() as place:
        fourscore_command = [sys.executable, __file__, "--one", "ours", "--place", place]
        if not options.sdk_python:
            cpu = in_turn(options.runs, lambda: cpu_seconds(fourscore_command))[0]
            milliseconds, digests = warm([*fourscore_command, "--again", "200"])
            show("load, plan and compile (aim <= 0.6)", cpu)
            show("one more compile", [milliseconds], f"CPU ms; {digests}")
            print(
                "not measured: the SageMaker SDK. It wants --sdk-python; see the top of this file for how to make one"
            )
            return
        sdk = [options.sdk_python, __file__, "--one", "theirs", "--place", place]
        with storage() as env:
            figures = in_turn(options.runs, lambda: cpu_seconds(fourscore_command), lambda: cpu_seconds(sdk, env))
            before = uploaded(env)
            more = warm([*fourscore_command, "--again", "200"]), warm([*sdk, "--again", "5"], env)
            uploads = (uploaded(env) - before) / 6
    for who, cpu, (milliseconds, digests) in zip(("ours (aim <= 0.6)", "the SDK"), figures, more, strict=True):
        show(f"{who}: whole process", cpu)
        show(f"{who}: one more compile", [milliseconds], f"CPU ms; {digests}")
    print(
        f"the SDK: objects uploaded by each compile: {uploads:g}; ours: none, code and config travel when a run starts"
    )
    show_ratio("one more compile / the SDK's", [more[0][0]], [more[1][0]], "none")
    show_ratio("whole process / the SDK's", *figures, "below 0.2")


if __name__ == "__main__":
    main()
