"""The CloudFormation templates filled in for one account and region, as CloudFormation would."""

import functools
import re

import yaml

from infra.aws import templates

ACCOUNT = "123456789012"
REGION = "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/fourscore-dev"
BUCKET = f"fourscore-dev-{ACCOUNT}-{REGION}"
SMALL = {"Stack": "dev", "Bucket": BUCKET, "KeyArn": KEY, "ImageRepository": "fourscore-dev"}
FULL = {
    "Stack": "prod",
    "Prefix": "ml/",
    "LogBucket": "acme-access-logs",
    "Bucket": f"fourscore-prod-{ACCOUNT}-{REGION}",
    "KeyArn": KEY,
    "ImageRepository": "fourscore-prod",
    "Notify": "ml-team@example.com,controlling@example.com",
    "BudgetDollars": "1500",
    "Repository": "acme@1234/models@5678",
    "Branch": "release/next",
    "TrainEnvironment": "training",
    "DeployEnvironment": "production",
    "Private": "true",
    "TrackingUri": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/prod",
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
}
ATTRIBUTES = {
    "Key.Arn": KEY,
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "ApprovalRule.Arn": RULE,
    "FailureRule.Arn": f"{RULE}-failed",
}
REMOVED = object()


@functools.cache
def load(name):
    """Return the template as a dictionary, short forms in full: ``!Ref X`` is ``{"Ref": "X"}``."""

    class Loader(yaml.CSafeLoader):
        pass

    def in_full(loader, tag, node):
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        else:
            value = loader.construct_mapping(node, deep=True)
        if tag == "GetAtt":
            value = value.split(".", 1)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}

    Loader.add_multi_constructor("!", in_full)
    return dict(yaml.load(templates.text(name), Loader))  # noqa: S506 - a safe loader


class Filled:
    """A template with values for its parameters: conditions decided, references and substitutions made."""

    def __init__(self, name, **values):
        self.template = load(name)
        defaults = {key: str(entry.get("Default", "")) for key, entry in self.template["Parameters"].items()}
        assigned = {key: value for key, value in values.items() if key in defaults}
        pseudo = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws", "URLSuffix": "amazonaws.com"}
        self.values = {**defaults, **assigned, **{f"AWS::{key}": value for key, value in pseudo.items()}}
        self.resources = {
            key: self.fill({part: value for part, value in resource.items() if part != "Condition"})
            for key, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, condition):
        return self.fill(self.template["Conditions"][condition])

    def fill(self, value):
        if isinstance(value, list):
            return [item for item in map(self.fill, value) if item is not REMOVED]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function in FUNCTIONS:
                return FUNCTIONS[function](self, argument)
        filled = {key: self.fill(item) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item is not REMOVED}

    def reference(self, name):
        return REMOVED if name == "AWS::NoValue" else self.values.get(name, f"<{name}>")

    def attribute(self, name):
        resource = name.partition(".")[0]
        if resource.endswith("Role"):
            role = self.template["Resources"][resource]["Properties"]["RoleName"]
            return f"arn:aws:iam::{ACCOUNT}:role/{self.fill(role)}"
        return ATTRIBUTES.get(name, f"<{name}>")

    def substitute(self, text):
        def value(match):
            return self.attribute(match[1]) if "." in match[1] else self.reference(match[1])

        return re.sub(r"\$\{([\w:.]+)\}", value, text)

    def of_kind(self, kind):
        """Return name -> properties of the resources of this type."""
        return {key: entry["Properties"] for key, entry in self.resources.items() if entry["Type"] == kind}

    def statements(self, name):
        """Return what a role or a managed policy allows and denies, with all policies that are attached to it."""
        properties = self.resources[name]["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for attached in self.of_kind("AWS::IAM::Policy").values():
            documents += [attached["PolicyDocument"]] if f"<{name}>" in attached["Roles"] else []
        for arn in properties.get("ManagedPolicyArns", ()):
            documents.append(self.resources[arn.strip("<>")]["Properties"]["PolicyDocument"])
        return [statement for document in documents for statement in document["Statement"]]


FUNCTIONS = {
    "Ref": Filled.reference,
    "Condition": Filled.holds,
    "Fn::Sub": Filled.substitute,
    "Fn::GetAtt": lambda self, names: self.attribute(".".join(names)),
    "Fn::If": lambda self, parts: self.fill(parts[1] if self.holds(parts[0]) else parts[2]),
    "Fn::Equals": lambda self, parts: self.fill(parts[0]) == self.fill(parts[1]),
    "Fn::Not": lambda self, parts: not self.fill(parts[0]),
    "Fn::And": lambda self, parts: all(self.fill(parts)),
    "Fn::Join": lambda self, parts: parts[0].join(self.fill(parts[1])),
    "Fn::Split": lambda self, parts: self.fill(parts[1]).split(parts[0]),
    "Fn::Select": lambda self, parts: self.fill(parts[1])[parts[0]],
}


@functools.cache
def small(name):
    return Filled(name, **SMALL)


@functools.cache
def full(name):
    return Filled(name, **FULL)
