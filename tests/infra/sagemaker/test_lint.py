"""The definition lint is mutation-tested: each seeded fault is found by its path, and a definition as compiled has none."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from compiled import make_definition, make_plan, make_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import GONE, changed, places

from infra.sagemaker.lint import faults, refuse
from pipelines.training import STAGES
from steps.errors import FourscoreError

ROOT = Path(__file__).parents[3]
GOLDEN = {path.stem: json.loads(path.read_bytes()) for path in sorted((ROOT / "tests/golden/sagemaker").glob("*.json"))}
PREPARE, TRAIN, ASSESS, VERDICT = (f"Steps[{index}]" for index in range(1, 5))
PACKAGE, REJECTED = f"{VERDICT}.Arguments.IfSteps[0]", f"{VERDICT}.Arguments.ElseSteps[0]"
TOO_EXPENSIVE = "Steps[0].Arguments.ElseSteps[0]"
CLUSTER = f"{PREPARE}.Arguments.ProcessingResources.ClusterConfig"
INPUTS = f"{PREPARE}.Arguments.ProcessingInputs"
CHANNELS = f"{TRAIN}.Arguments.InputDataConfig"
RESOURCES = f"{TRAIN}.Arguments.ResourceConfig"
ENVIRONMENT = f"{PREPARE}.Arguments.Environment"
OUTPUT = f"{ASSESS}.Arguments.ProcessingOutputConfig.Outputs[0]"
CONTAINER = f"{PACKAGE}.Arguments.InferenceSpecification.Containers[0]"
STOPPING = f"{TRAIN}.Arguments.StoppingCondition"
COMPARED = "Steps[0].Arguments.Conditions[0]"
ANOTHER = {
    "InputName": "more",
    "S3Input": {
        "S3Uri": "s3://b/p/",
        "LocalPath": "/opt/ml/processing/input/more",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    },
}

SEEDED = [
    # the top of the definition
    ("another version", "Version", "2019-01-01", "Version"),
    ("no version", "Version", GONE, "Version"),
    ("no steps", "Steps", GONE, "Steps"),
    ("steps are an object", "Steps", {}, "Steps"),
    ("an unknown member at the top", "Step", [], "Step"),
    ("metadata that is a list", "Metadata", [], "Metadata"),
    ("metadata that is not text", "Metadata", {"owner": 7}, "Metadata.owner"),
    ("an experiment by its name only", "PipelineExperimentConfig", "mine", "PipelineExperimentConfig"),
    ("more than 1 MiB", "Metadata", {f"n{i}": "x" * 1000 for i in range(1100)}, ""),
    # parameters
    ("a parameter with a blank in its name", "Parameters[0].Name", "the run", "Parameters[0].Name"),
    ("a parameter with a long name", "Parameters[0].Name", "R" * 65, "Parameters[0].Name"),
    ("a parameter of no type that there is", "Parameters[1].Type", "Str", "Parameters[1].Type"),
    ("a parameter without a type", "Parameters[0].Type", GONE, "Parameters[0].Type"),
    ("a default of another type", "Parameters[3].DefaultValue", "1", "Parameters[3].DefaultValue"),
    ("a default that is no whole number", "Parameters[3].DefaultValue", 1.5, "Parameters[3].DefaultValue"),
    ("a boolean as a number's default", "Parameters[3].DefaultValue", True, "Parameters[3].DefaultValue"),
    ("a default outside its enumeration", "Parameters[7].DefaultValue", "Pending", "Parameters[7].DefaultValue"),
    ("an empty enumeration", "Parameters[7].EnumValues", [], "Parameters[7].EnumValues"),
    ("an enumeration of numbers", "Parameters[3].EnumValues", [1, 2], "Parameters[3].EnumValues"),
    ("a parameter declared twice", "Parameters[2].Name", "PrepareInstanceType", "Parameters[2].Name"),
    ("a parameter that nothing uses", "Parameters[9]", {"Name": "UseSpot", "Type": "Boolean"}, "Parameters[9]"),
    ("a default that is too long", "Parameters[8].DefaultValue", "x" * 1025, "Parameters[8].DefaultValue"),
    ("201 parameters", "Parameters", lambda old: old + [{"Name": f"P{i}", "Type": "String"} for i in range(201 - len(old))], "Parameters"),
    # steps
    ("a step without a name", f"{PREPARE}.Name", GONE, f"{PREPARE}.Name"),
    ("a step with a dot in its name", f"{PREPARE}.Name", "pre.pare", f"{PREPARE}.Name"),
    ("two steps of one name", f"{TRAIN}.Name", "assess", f"{ASSESS}.Name"),
    ("a type of step that there is not", f"{PREPARE}.Type", "Process", f"{PREPARE}.Type"),
    ("a type of step that needs other arguments", f"{PREPARE}.Type", "Training", f"{PREPARE}.Arguments.ProcessingInputs"),
    ("an unknown member of a step", f"{TRAIN}.Depends", ["prepare"], f"{TRAIN}.Depends"),
    ("a step without arguments", f"{TRAIN}.Arguments", GONE, f"{TRAIN}.Arguments"),
    ("a description that is a number", f"{TRAIN}.Description", 7, f"{TRAIN}.Description"),
    ("the service's cache beside ours", f"{PREPARE}.CacheConfig", {"Enabled": True}, f"{PREPARE}.CacheConfig"),
    ("51 steps", f"{VERDICT}.Arguments.ElseSteps", [{"Name": f"f{i}", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}} for i in range(45)], "Steps"),
    # order and references
    ("a dependency on no step", f"{TRAIN}.DependsOn", ["prepara"], f"{TRAIN}.DependsOn[0]"),
    ("a dependency on itself", f"{TRAIN}.DependsOn", ["train"], f"{TRAIN}.DependsOn[0]"),
    ("a dependency by a string", f"{TRAIN}.DependsOn", "prepare", f"{TRAIN}.DependsOn"),
    ("a dependency named twice", f"{TRAIN}.DependsOn", ["prepare", "prepare"], f"{TRAIN}.DependsOn[1]"),
    ("a dependency on a condition", f"{PREPARE}.DependsOn", ["affordable"], f"{PREPARE}.DependsOn[0]"),
    ("a dependency on a Fail step", f"{TRAIN}.DependsOn", ["too-expensive"], f"{TRAIN}.DependsOn[0]"),
    ("a dependency on a branch that may not be taken", f"{REJECTED}.DependsOn", ["register-model"], f"{REJECTED}.DependsOn[0]"),
    ("two jobs that would run side by side", f"{TRAIN}.DependsOn", GONE, f"{TRAIN}.DependsOn"),
    ("steps that wait for each other", f"{PREPARE}.DependsOn", ["assess"], f"{PREPARE}.DependsOn"),
    ("a reference that makes a cycle", f"{ENVIRONMENT}.LATER", {"Get": "Steps.train.TrainingJobName"}, f"{PREPARE}.DependsOn"),
    ("a reference to itself", f"{ENVIRONMENT}.OWN", {"Get": "Steps.prepare.ProcessingJobArn"}, f"{ENVIRONMENT}.OWN.Get"),
    ("a reference to no parameter", f"{CLUSTER}.InstanceType", {"Get": "Parameters.PrepareInstance"}, f"{CLUSTER}.InstanceType.Get"),
    ("a reference to no step", f"{ENVIRONMENT}.OTHER", {"Get": "Steps.prep.ProcessingJobArn"}, f"{ENVIRONMENT}.OTHER.Get"),
    ("a reference to no property", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.prepare.ProcessingJobArm"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("a reference to a whole structure", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.prepare.StoppingCondition"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("a reference to no output", f"{REJECTED}.Arguments.ErrorMessage", {"Get": "Steps.assess.ProcessingOutputConfig.Outputs['results'].S3Output.S3Uri"}, f"{REJECTED}.Arguments.ErrorMessage.Get"),
    ("a reference to a Fail step", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.too-expensive.ErrorMessage"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("a reference to nothing of an execution", f"{ENVIRONMENT}.ID", {"Get": "Execution.Id"}, f"{ENVIRONMENT}.ID.Get"),
    ("a reference that is no reference", f"{ENVIRONMENT}.ID", {"Get": "run"}, f"{ENVIRONMENT}.ID.Get"),
    ("a property file that no step has", f"{VERDICT}.Arguments.Conditions[0].LeftValue.Std:JsonGet".replace(".Std:JsonGet", '["Std:JsonGet"]') + ".PropertyFile.Get", "Steps.assess.PropertyFiles.verdikt", f'{VERDICT}.Arguments.Conditions[0].LeftValue["Std:JsonGet"].PropertyFile'),
    ("a property file of no output", f"{ASSESS}.PropertyFiles[0].OutputName", "results", f"{ASSESS}.PropertyFiles[0].OutputName"),
    ("a property file without a path", f"{ASSESS}.PropertyFiles[0].FilePath", GONE, f"{ASSESS}.PropertyFiles[0].FilePath"),
    ("a value out of a property file without Std:JsonGet", f"{REJECTED}.Arguments.ErrorMessage", {"Get": "Steps.assess.PropertyFiles.verdict"}, f"{REJECTED}.Arguments.ErrorMessage.Get"),
    ("a function that there is not", f"{REJECTED}.Arguments.ErrorMessage", {"Std:Joyn": {}}, f'{REJECTED}.Arguments.ErrorMessage["Std:Joyn"]'),
    ("a join without values", f"{REJECTED}.Arguments.ErrorMessage", {"Std:Join": {"On": ""}}, f'{REJECTED}.Arguments.ErrorMessage["Std:Join"]'),
    ("a join of a list", f"{REJECTED}.Arguments.ErrorMessage", {"Std:Join": {"On": "", "Values": [["no"]]}}, f'{REJECTED}.Arguments.ErrorMessage["Std:Join"].Values[0]'),
    # types, where strings and numbers are wanted
    ("a number where a string is wanted", f"{ENVIRONMENT}.COUNT", {"Get": "Parameters.TrainInstanceCount"}, f"{ENVIRONMENT}.COUNT"),
    ("a string where a number is wanted", f"{RESOURCES}.InstanceCount", {"Get": "Parameters.Run"}, f"{RESOURCES}.InstanceCount"),
    ("a joined string where a number is wanted", f"{RESOURCES}.InstanceCount", {"Std:Join": {"On": "", "Values": [1]}}, f"{RESOURCES}.InstanceCount"),
    ("an expression for a whole object", f"{TRAIN}.Arguments.StoppingCondition", {"Get": "Parameters.Run"}, f"{TRAIN}.Arguments.StoppingCondition"),
    ("a number in quotes", f"{CLUSTER}.VolumeSizeInGB", "30", f"{CLUSTER}.VolumeSizeInGB"),
    ("a bare number in the environment", f"{ENVIRONMENT}.COUNT", 7, f"{ENVIRONMENT}.COUNT"),
    # shapes of the API
    ("a required member is missing", f"{PREPARE}.Arguments.RoleArn", GONE, f"{PREPARE}.Arguments.RoleArn"),
    ("a required member inside is missing", f"{INPUTS}[0].S3Input.S3DataType", GONE, f"{INPUTS}[0].S3Input.S3DataType"),
    ("a misspelt member", f"{INPUTS}[0].S3Input.S3URI", "s3://b/p/", f"{INPUTS}[0].S3Input.S3URI"),
    ("a name that the pipeline gives", f"{TRAIN}.Arguments.TrainingJobName", "mine", f"{TRAIN}.Arguments.TrainingJobName"),
    ("a value outside an enumeration", f"{INPUTS}[0].S3Input.S3InputMode", "file", f"{INPUTS}[0].S3Input.S3InputMode"),
    ("an instance type that there is not", f"{CLUSTER}.InstanceType", "ml.m5.xlarg", f"{CLUSTER}.InstanceType"),
    ("a default instance type that there is not", "Parameters[2].DefaultValue", "ml.m5.huge", f"{RESOURCES}.InstanceType"),
    ("a role that is no ARN", f"{PREPARE}.Arguments.RoleArn", "fourscore-dev-prepare-role", f"{PREPARE}.Arguments.RoleArn"),
    ("a place that is not in S3", f"{INPUTS}[1].S3Input.S3Uri", "gs://bucket/jobs/", f"{INPUTS}[1].S3Input.S3Uri"),
    ("a joined place that is not in S3", f'{OUTPUT}.S3Output.S3Uri["Std:Join"].Values[0]', "/bucket/", f"{OUTPUT}.S3Output.S3Uri"),
    ("11 inputs", INPUTS, lambda old: old + [json.loads(json.dumps(ANOTHER).replace("more", f"more{i}")) for i in range(9)], INPUTS),
    ("257 characters of an argument", f"{ENVIRONMENT}.LONG", "x" * 257, f"{ENVIRONMENT}.LONG"),
    ("257 characters, joined", f"{ENVIRONMENT}.LONG", {"Std:Join": {"On": "", "Values": ["x" * 256, "y", {"Get": "Parameters.Run"}]}}, f"{ENVIRONMENT}.LONG"),
    ("51 tags", f"{TRAIN}.Arguments.Tags", [{"Key": f"k{i}", "Value": "v"} for i in range(51)], f"{TRAIN}.Arguments.Tags"),
    ("101 hyperparameters", f"{TRAIN}.Arguments.HyperParameters", {f"h{i}": "1" for i in range(101)}, f"{TRAIN}.Arguments.HyperParameters"),
    ("a hyperparameter that is a number", f"{TRAIN}.Arguments.HyperParameters", {"epochs": 3}, f"{TRAIN}.Arguments.HyperParameters.epochs"),
    ("no instances", f"{CLUSTER}.InstanceCount", 0, f"{CLUSTER}.InstanceCount"),
    ("nine days of processing", f"{PREPARE}.Arguments.StoppingCondition.MaxRuntimeInSeconds", 777601, f"{PREPARE}.Arguments.StoppingCondition.MaxRuntimeInSeconds"),
    ("29 days of training", f"{STOPPING}.MaxRuntimeInSeconds", 29 * 86400, f"{STOPPING}.MaxRuntimeInSeconds"),
    ("a metadata value of 257 characters", f"{PACKAGE}.Arguments.CustomerMetadataProperties.problem", "x" * 257, f"{PACKAGE}.Arguments.CustomerMetadataProperties.problem"),
    ("a metadata value with a comma", f"{PACKAGE}.Arguments.CustomerMetadataProperties.problem", "cancer, breast", f"{PACKAGE}.Arguments.CustomerMetadataProperties.problem"),
    ("a null", f"{CLUSTER}.VolumeKmsKeyId", None, f"{CLUSTER}.VolumeKmsKeyId"),
    # conditions and ends
    ("a condition that there is not", f"{COMPARED}.Type", "LessOrEqual", f"{COMPARED}.Type"),
    ("a condition without its right side", f"{COMPARED}.RightValue", GONE, f"{COMPARED}.RightValue"),
    ("a number compared with a string", f"{COMPARED}.RightValue", {"Get": "Parameters.Run"}, COMPARED),
    ("an order of strings", f"{VERDICT}.Arguments.Conditions[0].Type", "GreaterThan", f"{VERDICT}.Arguments.Conditions[0]"),
    ("two fixed values compared", f"{COMPARED}", {"Type": "Equals", "LeftValue": 1, "RightValue": 1}, COMPARED),
    ("no conditions", f"{VERDICT}.Arguments.Conditions", [], f"{VERDICT}.Arguments.Conditions"),
    ("a branch that does nothing", f"{VERDICT}.Arguments.ElseSteps", [], f"{VERDICT}.Arguments.ElseSteps"),
    ("a condition inside a condition", f"{VERDICT}.Arguments.IfSteps[1]", {"Name": "deeper", "Type": "Condition", "Arguments": {"Conditions": [{"Type": "Equals", "LeftValue": {"Get": "Parameters.Run"}, "RightValue": "x"}], "IfSteps": [], "ElseSteps": [{"Name": "no", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}]}}, f"{VERDICT}.Arguments.IfSteps[1]"),
    ("a guard that stops nothing", f"{TOO_EXPENSIVE.rpartition('[')[0]}", [], f"{TOO_EXPENSIVE.rpartition('[')[0]}"),
    ("a Fail step without a message", f"{REJECTED}.Arguments.ErrorMessage", GONE, f"{REJECTED}.Arguments.ErrorMessage"),
    ("a message that is too long", f"{TOO_EXPENSIVE}.Arguments.ErrorMessage", "x" * 3073, f"{TOO_EXPENSIVE}.Arguments.ErrorMessage"),
    # retries
    ("an exception that cannot be retried", f"{TRAIN}.RetryPolicies[1].ExceptionType", ["SageMaker.INTERNAL_ERROR"], f"{TRAIN}.RetryPolicies[1].ExceptionType[0]"),
    ("an exception in two policies", f"{TRAIN}.RetryPolicies[1].ExceptionType", ["Step.THROTTLING"], f"{TRAIN}.RetryPolicies[1].ExceptionType[0]"),
    ("21 attempts", f"{TRAIN}.RetryPolicies[0].MaxAttempts", 21, f"{TRAIN}.RetryPolicies[0].MaxAttempts"),
    ("attempts and an end", f"{TRAIN}.RetryPolicies[0].ExpireAfterMin", 10, f"{TRAIN}.RetryPolicies[0]"),
    ("a negative interval", f"{TRAIN}.RetryPolicies[0].IntervalSeconds", -1, f"{TRAIN}.RetryPolicies[0].IntervalSeconds"),
    ("retries of a condition", f"{VERDICT}.RetryPolicies", [], f"{VERDICT}.RetryPolicies"),
    # our own rules
    ("spot that may not wait", f"{TRAIN}.Arguments.EnableManagedSpotTraining", True, f"{STOPPING}.MaxWaitTimeInSeconds"),
    ("a wait without spot", f"{STOPPING}.MaxWaitTimeInSeconds", 9000, f"{STOPPING}.MaxWaitTimeInSeconds"),
    ("a job without a limit", f"{PREPARE}.Arguments.StoppingCondition", GONE, f"{PREPARE}.Arguments.StoppingCondition.MaxRuntimeInSeconds"),
    ("a prefix without its slash", f"{INPUTS}[0].S3Input.S3Uri", lambda old: old.rstrip("/"), f"{INPUTS}[0].S3Input.S3Uri"),
    ("a channel's prefix without its slash", f"{CHANNELS}[0].DataSource.S3DataSource.S3Uri", lambda old: old.rstrip("/"), f"{CHANNELS}[0].DataSource.S3DataSource.S3Uri"),
    ("a model's prefix without its slash", f"{CONTAINER}.ModelDataSource.S3DataSource.S3Uri", lambda old: old.rstrip("/"), f"{CONTAINER}.ModelDataSource.S3DataSource.S3Uri"),
    ("a joined prefix without its slash", f'{OUTPUT}.S3Output.S3Uri["Std:Join"].Values[2]', "/result", f"{OUTPUT}.S3Output.S3Uri"),
    ("metrics that are a prefix", f"{PACKAGE}.Arguments.ModelMetrics.ModelQuality.Statistics.S3Uri", "s3://b/evaluation/", f"{PACKAGE}.Arguments.ModelMetrics.ModelQuality.Statistics.S3Uri"),
    ("two inputs of one name", f"{INPUTS}[1].InputName", "code", f"{INPUTS}[1].InputName"),
    ("two channels of one name", f"{CHANNELS}[1].ChannelName", "code", f"{CHANNELS}[1].ChannelName"),
    ("an input inside another", f"{INPUTS}[1].S3Input.LocalPath", "/opt/ml/processing/input/code/job", f"{INPUTS}[1].S3Input.LocalPath"),
    ("an input outside of what SageMaker mounts", f"{INPUTS}[1].S3Input.LocalPath", "/opt/ml/input/data/job", f"{INPUTS}[1].S3Input.LocalPath"),
    ("an output that climbs out", f"{OUTPUT}.S3Output.LocalPath", "/opt/ml/processing/../x", f"{OUTPUT}.S3Output.LocalPath"),
    ("checkpoints elsewhere", f"{TRAIN}.Arguments.CheckpointConfig.LocalPath", "/opt/ml/checks", f"{TRAIN}.Arguments.CheckpointConfig.LocalPath"),
    ("an image by its tag", f"{PREPARE}.Arguments.AppSpecification.ImageUri", "1.dkr.ecr.eu-central-1.amazonaws.com/fourscore:latest", f"{PREPARE}.Arguments.AppSpecification.ImageUri"),
    ("an image of another region", f"{TRAIN}.Arguments.AlgorithmSpecification.TrainingImage", lambda old: old.replace("eu-central-1", "us-east-1"), f"{TRAIN}.Arguments.AlgorithmSpecification.TrainingImage"),
    ("two ways to an algorithm", f"{TRAIN}.Arguments.AlgorithmSpecification.AlgorithmName", "mine", f"{TRAIN}.Arguments.AlgorithmSpecification.TrainingImage"),
    ("another command", f"{TRAIN}.Arguments.AlgorithmSpecification.ContainerEntrypoint", ["python", "train.py"], f"{TRAIN}.Arguments.AlgorithmSpecification.ContainerEntrypoint"),
    ("a job that there is not", f"{TRAIN}.Arguments.AlgorithmSpecification.ContainerArguments", ["training"], f"{TRAIN}.Arguments.AlgorithmSpecification.ContainerArguments"),
    ("a job without its description", f"{INPUTS}[1].InputName", "jobs", INPUTS),
    ("code that lies elsewhere", f"{ENVIRONMENT}.PYTHONPATH", "/opt/ml/code", f"{ENVIRONMENT}.PYTHONPATH"),
    ("a root without its slash", f"{ENVIRONMENT}.FOURSCORE_ROOT", "s3://bucket/work", f"{ENVIRONMENT}.FOURSCORE_ROOT"),
    ("no root at all", f"{ENVIRONMENT}.FOURSCORE_ROOT", GONE, f"{ENVIRONMENT}.FOURSCORE_ROOT"),
    ("a secret by its name", f"{ENVIRONMENT}.DB_PASSWORD", "hunter2", f"{ENVIRONMENT}.DB_PASSWORD"),
    ("a secret by its look", f"{ENVIRONMENT}.SETTINGS", "AKIAIOSFODNN7EXAMPLE", f"{ENVIRONMENT}.SETTINGS"),
    ("a password in a URL", f"{ENVIRONMENT}.FOURSCORE_TRACKING_URI", "https://me:pass@mlflow.example.com", f"{ENVIRONMENT}.FOURSCORE_TRACKING_URI"),
    ("a job cut off from the network", f"{TRAIN}.Arguments.EnableNetworkIsolation", True, f"{TRAIN}.Arguments.EnableNetworkIsolation"),
    ("a tag named twice", f"{TRAIN}.Arguments.Tags[1].Key", "fourscore:project", f"{TRAIN}.Arguments.Tags[1].Key"),
    ("a reserved tag", f"{TRAIN}.Arguments.Tags[1].Key", "aws:problem", f"{TRAIN}.Arguments.Tags[1].Key"),
    ("tags on a version of a group", f"{PACKAGE}.Arguments.Tags", [{"Key": "a", "Value": "b"}], f"{PACKAGE}.Arguments.Tags"),
    ("a version that is approved from the start", "Parameters[7].DefaultValue", "Approved", f"{PACKAGE}.Arguments.ModelApprovalStatus"),
    ("a version of no group", f"{PACKAGE}.Arguments.ModelPackageGroupName", GONE, f"{PACKAGE}.Arguments.ModelPackageGroupName"),
    ("a version without a model", f"{CONTAINER}.ModelDataSource", GONE, f"{CONTAINER}.ModelDataSource"),
    # what is left: every other message once
    ("an experiment with a misspelt member", "PipelineExperimentConfig", {"Experiment": "x"}, "PipelineExperimentConfig.Experiment"),
    ("parameters that are an object", "Parameters", {}, "Parameters"),
    ("a parameter that is its name only", "Parameters[0]", "Run", "Parameters[0]"),
    ("a description that is too long", "Parameters[0].Description", "x" * 4097, "Parameters[0].Description"),
    ("an enumeration that names a value twice", "Parameters[7].EnumValues", ["PendingManualApproval", "PendingManualApproval"], "Parameters[7].EnumValues"),
    ("an empty list of steps", "Steps", [], "Steps"),
    ("a step that is its name only", "Steps[1]", "prepare", "Steps[1]"),
    ("a description that only the execution will know", f"{TRAIN}.Description", {"Get": "Parameters.Run"}, f"{TRAIN}.Description"),
    ("retry policies that are an object", f"{TRAIN}.RetryPolicies", {}, f"{TRAIN}.RetryPolicies"),
    ("a retry policy that is an exception only", f"{TRAIN}.RetryPolicies[0]", "Step.THROTTLING", f"{TRAIN}.RetryPolicies[0]"),
    ("a retry policy without exceptions", f"{TRAIN}.RetryPolicies[0].ExceptionType", GONE, f"{TRAIN}.RetryPolicies[0].ExceptionType"),
    ("property files that are an object", f"{ASSESS}.PropertyFiles", {}, f"{ASSESS}.PropertyFiles"),
    ("a property file that is its name only", f"{ASSESS}.PropertyFiles[0]", "verdict", f"{ASSESS}.PropertyFiles[0]"),
    ("two property files of one name", f"{ASSESS}.PropertyFiles[1]", {"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "x.json"}, f"{ASSESS}.PropertyFiles[1].PropertyFileName"),
    ("a structure that is text", CLUSTER, "ml.m5.xlarge", CLUSTER),
    ("a list that is text", f"{PREPARE}.Arguments.AppSpecification.ContainerArguments", "prepare", f"{PREPARE}.Arguments.AppSpecification.ContainerArguments"),
    ("a map that is a list", ENVIRONMENT, [], ENVIRONMENT),
    ("an empty list where an item is wanted", f"{PREPARE}.Arguments.AppSpecification.ContainerArguments", [], f"{PREPARE}.Arguments.AppSpecification.ContainerArguments"),
    ("a boolean in quotes", f"{TRAIN}.Arguments.EnableManagedSpotTraining", "true", f"{TRAIN}.Arguments.EnableManagedSpotTraining"),
    ("a reference that is a number", f"{ENVIRONMENT}.ID", {"Get": 7}, f"{ENVIRONMENT}.ID.Get"),
    ("a property path with a blank", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.prepare. ProcessingJobArn"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("an index into a structure", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.prepare[0]"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("a member of a list", f"{TRAIN}.Arguments.Environment.OTHER", {"Get": "Steps.prepare.ProcessingInputs.S3Input"}, f"{TRAIN}.Arguments.Environment.OTHER.Get"),
    ("a join on a number", f"{REJECTED}.Arguments.ErrorMessage", {"Std:Join": {"On": 7, "Values": ["a"]}}, f'{REJECTED}.Arguments.ErrorMessage["Std:Join"].On'),
    ("a join of nothing", f"{REJECTED}.Arguments.ErrorMessage", {"Std:Join": {"On": "", "Values": []}}, f'{REJECTED}.Arguments.ErrorMessage["Std:Join"].Values'),
    ("a property file's value without its path", f"{REJECTED}.Arguments.ErrorMessage", {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.assess.PropertyFiles.verdict"}}}, f'{REJECTED}.Arguments.ErrorMessage["Std:JsonGet"]'),
    ("a property file's value at an empty path", f"{REJECTED}.Arguments.ErrorMessage", {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.assess.PropertyFiles.verdict"}, "Path": ""}}, f'{REJECTED}.Arguments.ErrorMessage["Std:JsonGet"].Path'),
    ("a value out of what is no property file", f"{REJECTED}.Arguments.ErrorMessage", {"Std:JsonGet": {"PropertyFile": {"Get": "Parameters.Run"}, "Path": "a"}}, f'{REJECTED}.Arguments.ErrorMessage["Std:JsonGet"].PropertyFile'),
    ("a value out of no step's property file", f"{REJECTED}.Arguments.ErrorMessage", {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.asses.PropertyFiles.verdict"}, "Path": "a"}}, f'{REJECTED}.Arguments.ErrorMessage["Std:JsonGet"].PropertyFile'),
    ("a list compared with a number", f"{COMPARED}.RightValue", [10], f"{COMPARED}.RightValue"),
    ("a condition in a Not that there is not", COMPARED, {"Type": "Not", "Expression": {"Type": "Is"}}, f"{COMPARED}.Expression.Type"),
    ("an Or of nothing", COMPARED, {"Type": "Or", "Conditions": []}, f"{COMPARED}.Conditions"),
    ("membership in nothing", COMPARED, {"Type": "In", "QueryValue": {"Get": "Parameters.Run"}, "Values": []}, f"{COMPARED}.Values"),
    ("membership of a list", COMPARED, {"Type": "In", "QueryValue": {"Get": "Parameters.Run"}, "Values": [["x"]]}, f"{COMPARED}.Values[0]"),
    ("one run for every execution", f"{ENVIRONMENT}.FOURSCORE_RUN", "first", f"{ENVIRONMENT}.FOURSCORE_RUN"),
    ("another base", f"{ENVIRONMENT}.FOURSCORE_BASE", "/opt", f"{ENVIRONMENT}.FOURSCORE_BASE"),
    ("an input from nowhere", f"{INPUTS}[1].S3Input", GONE, f"{INPUTS}[1].S3Input"),
    ("an input that lies nowhere", f"{INPUTS}[1].S3Input.LocalPath", GONE, f"{INPUTS}[1].S3Input.LocalPath"),
    ("a channel from nowhere", f"{CHANNELS}[1].DataSource.S3DataSource", GONE, f"{CHANNELS}[1].DataSource.S3DataSource"),
    ("a version without a status", f"{PACKAGE}.Arguments.ModelApprovalStatus", GONE, f"{PACKAGE}.Arguments.ModelApprovalStatus"),
    ("a version without containers", f"{PACKAGE}.Arguments.InferenceSpecification", GONE, f"{PACKAGE}.Arguments.InferenceSpecification.Containers"),
    ("a version without an image", f"{CONTAINER}.Image", GONE, f"{CONTAINER}.Image"),
    ("a model from nowhere", f"{CONTAINER}.ModelDataSource.S3DataSource", GONE, f"{CONTAINER}.ModelDataSource.S3DataSource"),
    ("a model that is one object and named as a prefix", f"{CONTAINER}.ModelDataSource.S3DataSource.S3DataType", "S3Object", f"{CONTAINER}.ModelDataSource.S3DataSource.S3Uri"),
    ("a job without a machine", f"{CLUSTER}.InstanceType", GONE, f"{CLUSTER}.InstanceType"),
    ("a bucket that only the execution will know", f'{OUTPUT}.S3Output.S3Uri["Std:Join"].Values[0]', GONE, f"{OUTPUT}.S3Output.S3Uri"),
    ("a place with an empty part", f'{OUTPUT}.S3Output.S3Uri["Std:Join"].Values[1]', GONE, f"{OUTPUT}.S3Output.S3Uri"),
]  # fmt: skip

SPOT = [
    ("a wait shorter than the run", f"{STOPPING}.MaxWaitTimeInSeconds", 60, f"{STOPPING}.MaxWaitTimeInSeconds"),
    ("spot without checkpoints", f"{TRAIN}.Arguments.CheckpointConfig", GONE, f"{TRAIN}.Arguments.CheckpointConfig"),
    ("spot kept warm", f"{RESOURCES}.KeepAlivePeriodInSeconds", 600, f"{RESOURCES}.KeepAlivePeriodInSeconds"),
    ("spot switched off, its wait left", f"{TRAIN}.Arguments.EnableManagedSpotTraining", False, f"{STOPPING}.MaxWaitTimeInSeconds"),
]  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_a_compiled_definition_has_no_fault(name):
    assert [str(fault) for fault in faults(GOLDEN[name])] == []


@pytest.mark.parametrize(("path", "value", "expected"), [row[1:] for row in SEEDED], ids=[row[0] for row in SEEDED])
def test_a_seeded_fault_is_found_by_its_path(path, value, expected):
    found = faults(changed(GOLDEN["all-stages"], path, value))
    assert expected in [fault.path for fault in found], [str(fault) for fault in found]
    assert all(fault.message and len(str(fault)) < 700 for fault in found)


@pytest.mark.parametrize(("path", "value", "expected"), [row[1:] for row in SPOT], ids=[row[0] for row in SPOT])
def test_a_fault_of_a_spot_training_is_found_by_its_path(path, value, expected):
    found = faults(changed(GOLDEN["spot-with-checkpoints"], path, value))
    assert expected in [fault.path for fault in found], [str(fault) for fault in found]


@settings(max_examples=150, deadline=None)
@given(
    cached=st.integers(0, 7),
    until=st.integers(0, 7),
    smoke=st.booleans(),
    train=st.sampled_from([{}, {"spot": True}, {"instances": 4, "warm_minutes": 20}, {"instance": "ml.p4d.24xlarge", "fallback": ["ml.p5.48xlarge"]}]),
    stack=st.sampled_from([{}, {"prefix": "", "kms_key": "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"}, {"tracking_uri": "http://127.0.0.1:5000"}]),
)  # fmt: skip
def test_whatever_the_plan_and_its_config_what_the_compiler_writes_has_no_fault(cached, until, smoke, train, stack):
    plan = make_plan(cached=STAGES[:cached], until=STAGES[max(cached, until)], smoke=smoke)
    assert [str(fault) for fault in faults(make_definition(plan, stack=make_stack(**stack), train=train))] == []


def test_a_key_for_a_disk_that_hardware_encrypts_is_found():
    definition = changed(GOLDEN["all-stages"], f"{CLUSTER}.VolumeKmsKeyId", "alias/mine")
    assert faults(definition) == []
    found = faults(changed(definition, "Parameters[1].DefaultValue", "ml.g5.xlarge"))
    assert [fault.path for fault in found] == [f"{CLUSTER}.VolumeKmsKeyId"]


def test_all_faults_are_told_at_once():
    definition = GOLDEN["all-stages"]
    rows = [row for row in SEEDED if row[0] in ("another version", "a default of another type", "no instances", "a secret by its name", "an exception that cannot be retried", "another command")]  # fmt: skip
    for _, path, value, _ in rows:
        definition = changed(definition, path, value)
    assert {row[3] for row in rows} <= {fault.path for fault in faults(definition)}


def test_a_bare_number_where_a_string_is_wanted_is_told_the_join_that_works():
    definition = changed(GOLDEN["all-stages"], f"{ENVIRONMENT}.COUNT", {"Get": "Parameters.TrainInstanceCount"})
    (fault,) = faults(definition)
    joined = json.loads(fault.message.split("wanted a String: ")[1])
    assert faults(changed(definition, f"{ENVIRONMENT}.COUNT", joined)) == []


def test_what_steps_of_the_api_answer_may_be_referred_to():
    for reference in (
        "Steps.prepare.ProcessingJobArn",
        "Steps.prepare.ProcessingInputs['code'].S3Input.S3Uri",
        "Steps.prepare.ProcessingResources.ClusterConfig.InstanceType",
        "Execution.PipelineExecutionArn",
        "Parameters.Run",
    ):
        assert faults(changed(GOLDEN["all-stages"], f"{TRAIN}.Arguments.Environment.OTHER", {"Get": reference})) == []


def test_what_is_only_dubious_does_not_keep_a_definition_from_being_sent():
    dubious = changed(GOLDEN["all-stages"], "Parameters[9]", {"Name": "UseSpot", "Type": "Boolean"})
    assert [fault.severity for fault in refuse(dubious)] == ["warning"]
    with pytest.raises(FourscoreError, match=r"2 fault\(s\)(?s:.*)Version: is '?\"?2019") as refused:
        refuse(changed(changed(dubious, "Version", "2019-01-01"), f"{CLUSTER}.InstanceCount", 0))
    assert f"{CLUSTER}.InstanceCount: is 0" in str(refused.value)


HARMLESS = {
    "gone": {
        r"Metadata|PipelineExperimentConfig|Parameters": "the top needs none; parameters that something refers to are missed",
        r"Parameters\[\d+\]\.(DefaultValue|EnumValues)": "the start of an execution then says it",
        r"Parameters\[\d+\]\.EnumValues\[\d+\]": "a shorter enumeration",
        r".*\]\.(Description|RetryPolicies)": "a step may do without",
        r".*\.RetryPolicies\[\d+\](\.(IntervalSeconds|BackoffRate|MaxAttempts|ExpireAfterMin))?": "the service's own retries then hold",
        r".*\.RetryPolicies\[\d+\]\.ExceptionType\[\d+\]": "one exception fewer is retried",
        r".*\.(S3InputMode|S3DataDistributionType|InputMode|CompressionType)": "the API has a default, which is ours",
        r".*\.Tags(\[\d+\](\.Value)?)?": "costs are then not told apart",
        r".*\.(KmsKeyId|VolumeKmsKeyId)": "the service's own key then encrypts",
        r".*\.(NetworkConfig|VpcConfig|KeepAlivePeriodInSeconds)": "jobs run without a network of ours, and without a warm pool",
        r".*\.Environment\.(AWS_\w+|FOURSCORE_TRACKING_URI|FOURSCORE_MLFLOW_RUN)": "the SDK in the container looks elsewhere, tracking comes later",
        r".*\.EnableInterContainerTrafficEncryption": "gradients then travel in clear, inside the service's own network",
        r".*\.CheckpointConfig(\.LocalPath)?": "without spot nothing is interrupted; the place has a default",
        r".*\.CustomerMetadataProperties(\.\w+)?": "metadata is for people",
        r".*\.ModelMetrics(\.ModelQuality(\.Statistics)?)?": "metrics are for people",
        r".*\[\"Std:Join\"\]\.On": "nothing is then put between the values",
        r".*\.ErrorMessage\[\"Std:Join\"\]\.Values\[\d+\]": "a message that says less",
        r".*verdict\.DependsOn(\[0\])?": "its condition refers to what it waits for",
    },
    "renamed": {
        r".*\.(Environment|CustomerMetadataProperties)\.\w+": "names of our own choice; those that the job wants are asked for",
    },
    "retyped": {
        r".*\[\"Std:Join\"\]\.Values\[1\]|.*\.ErrorMessage(\[\"Std:Join\"\]\.Values\[\d+\])?": "text, numbers and expressions are joined alike",
        r".*\.Tags\[2\]\.Value|.*\.CustomerMetadataProperties\.(run|mlflow_run_id)": "text where an expression stood",
        r".*\.Environment\.FOURSCORE_MLFLOW_RUN": "tracking comes later",
        r".*\.Conditions\[0\]\.RightValue": "what a property file holds is known only when it is read",
    },
}  # fmt: skip
"""What a single mutation may do without being a fault, each with its reason; the pattern is one of paths."""


def spoken(document, path):
    """The path with the name of the step instead of its number, where that is the verdict's."""
    names = {
        where: value["Name"] for where, value in places(document) if isinstance(value, dict) and "DependsOn" in value
    }
    return next(
        (path.replace(where, name, 1) for where, name in names.items() if name == "verdict" and path.startswith(where)),
        path,
    )


def harmless(kind, path):
    return next((pattern for pattern in HARMLESS[kind] if re.fullmatch(pattern, path)), None)


def retyped(value):
    """The nearest value of another type."""
    if isinstance(value, bool) or value is None:
        return "text"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return 7
    return {} if isinstance(value, list) else "text"


def renamed(document, path):
    holder, _, name = path.rpartition(".")
    if not name or name.endswith("]"):
        return None

    def rename(inner):
        return {(f"{key}X" if key == name else key): value for key, value in inner.items()}

    return changed(document, holder, rename) if holder else rename(document)


def single(kind, document):
    """Every single mutation of that kind, with its path."""
    for path, value in places(document):
        mutant = (
            renamed(document, path)
            if kind == "renamed"
            else changed(document, path, GONE if kind == "gone" else retyped(value))
        )
        if mutant is not None:
            yield path, mutant


@pytest.mark.parametrize("kind", HARMLESS)
def test_every_single_mutation_is_found_or_harmless_by_a_stated_rule(kind):
    """Each member and item in turn is taken away, misspelt, or given a value of another type; no rule is there in vain."""
    missed, applied = [], set()
    for name in ("all-stages", "spot-with-checkpoints", "private-gpu", "cached-and-passed", "cached-and-rejected"):
        for path, mutant in single(kind, GOLDEN[name]):
            if faults(mutant):
                continue
            applied.add(rule := harmless(kind, spoken(GOLDEN[name], path)))
            missed += [] if rule else [f"{name}: {path}"]
    assert missed == []
    assert applied == set(HARMLESS[kind])


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Get", "Std:Join", "Std:JsonGet", "Name", "Type", "Values", "On", "PropertyFile", "Path"]) | st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PLACES = [path for path, _ in places(GOLDEN["all-stages"])]


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(PLACES), value=anything)
def test_whatever_stands_in_one_place_the_lint_answers_and_says_where(path, value):
    mutant = changed(GOLDEN["all-stages"], path, value)
    for fault in faults(mutant):
        assert fault.message
        assert fault.severity in ("error", "warning")


@settings(max_examples=200, deadline=None)
@given(anything)
def test_whatever_is_given_as_a_definition_gets_an_answer(value):
    assert faults(value)


def test_the_lint_imports_neither_boto3_nor_botocore():
    """Which would cost more than all of its checks; `benchmarks/plan_sagemaker.py` has what a plan costs with them."""
    code = (
        "import json, sys\n"
        "from infra.sagemaker.lint import faults\n"
        "assert faults(json.load(open(sys.argv[1]))) == []\n"
        "print([name for name in ('boto3', 'botocore', 'sagemaker') if name in sys.modules])"
    )
    golden = ROOT / "tests/golden/sagemaker/all-stages.json"
    done = subprocess.run(
        [sys.executable, "-c", code, str(golden)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
