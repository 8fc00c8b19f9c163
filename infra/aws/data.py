"""The template of what outlives everything else: key, bucket, image repository, model package groups

It is a stack of its own, so that 'infra down' can take away the rest, and 'infra up' bring it back, around the same data.
"""

from __future__ import annotations

from typing import Any

from infra.aws.facts import Facts, substituted
from infra.aws.options import Options
from infra.aws.people import SOURCES
from infra.aws.statements import VERSION
from infra.sagemaker.requests import fit

Resource = dict[str, Any]

KEPT = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
"""Kept when the stack goes, but not when it never came to be: what is left of that would be in the way the next time."""
LIVE_DAYS, CHECKPOINT_DAYS, OLD_VERSION_DAYS, SOURCE_DAYS = 90, 14, 30, 30
"""Days for which live journals, abandoned checkpoints, overwritten versions and sources of images are kept."""


def data_template(options: Options) -> dict[str, Any]:
    facts = Facts.symbolic(options.stack, options.prefix, "${Key.Arn}")
    groups = {
        f"Group{index}": _group(fit(f"{facts.name}-{model}", 63), facts) for index, model in enumerate(options.models)
    }
    return substituted(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": f"Fourscore stack {options.stack}: its data",
            "Resources": {
                "Key": _key(facts),
                "KeyAlias": {
                    "Type": "AWS::KMS::Alias",
                    # What was said, on a resource: CloudFormation takes a change of a resource's metadata for a change, and
                    # one of the template's own for none.
                    "Metadata": {"Fourscore": options.model_dump(mode="json", exclude_defaults=True)},
                    "Properties": {"AliasName": f"alias/{facts.name}", "TargetKeyId": "${Key}"},
                },
                "Bucket": _bucket(facts, options),
                "BucketPolicy": _bucket_policy(facts),
                "Repository": _repository(facts),
                **groups,
            },
            "Outputs": {
                "KeyArn": {"Value": "${Key.Arn}"},
                "Root": {"Value": facts.root},
                "Images": {"Value": f"{facts.registry}/{facts.name}"},
            },
        }
    )


def _key(facts: Facts) -> Resource:
    """The account's own policies decide who uses it; two services may encrypt messages for the stack's topic."""
    described = "Data, images and messages of the stack"
    administration = {
        "Sid": "AccountDecides",
        "Effect": "Allow",
        "Principal": {"AWS": facts.iam("root")},
        "Action": "kms:*",
        "Resource": "*",
    }
    messages = {
        "Sid": "EncryptMessages",
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "budgets.amazonaws.com"]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": facts.account}},
    }
    context = {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": facts.arn("logs", f"log-group:{build_logs(facts)}")}}
    logs = {
        "Sid": "EncryptBuildLogs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{facts.region}.{facts.suffix}"},
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncrypt*"],
        "Resource": "*",
        "Condition": context,
    }
    return {
        "Type": "AWS::KMS::Key",
        **KEPT,
        "Properties": {
            "Description": described,
            "EnableKeyRotation": True,
            "PendingWindowInDays": 30,
            "KeyPolicy": {"Version": VERSION, "Statement": [administration, messages, logs]},
            "Tags": facts.tags(),
        },
    }


def build_logs(facts: Facts) -> str:
    return f"/aws/codebuild/{facts.name}"


def _bucket(facts: Facts, options: Options) -> Resource:
    logging = {"LoggingConfiguration": {"DestinationBucketName": options.log_bucket, "LogFilePrefix": f"{facts.name}/"}}
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "${Key.Arn}"}
    private = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {
        "Type": "AWS::S3::Bucket",
        **KEPT,
        **_exception("CKV_AWS_18", "access logs want a bucket of their own: --log-bucket names it, where there is one"),
        "Properties": {
            "BucketName": facts.bucket,
            "BucketEncryption": {
                # one key for the bucket for a while, not one call to KMS for each object
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
                ]
            },
            "VersioningConfiguration": {"Status": "Enabled"},
            "PublicAccessBlockConfiguration": dict.fromkeys(private, True),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "LifecycleConfiguration": {"Rules": _lifecycle(facts)},
            **(logging if options.log_bucket else {}),
            "Tags": facts.tags(),
        },
    }


def _lifecycle(facts: Facts) -> list[Resource]:
    """Executions are kept; what was only on the way to them is not."""
    expires = {"runs": LIVE_DAYS, "checkpoints": CHECKPOINT_DAYS, SOURCES: SOURCE_DAYS}
    return [
        {
            "Id": "unfinished-uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSION_DAYS},
            "ExpiredObjectDeleteMarker": True,
        },
        *(
            {"Id": place, "Status": "Enabled", "Prefix": f"{facts.below}{place}/", "ExpirationInDays": days}
            for place, days in expires.items()
        ),
    ]


def _bucket_policy(facts: Facts) -> Resource:
    """What holds for everybody, whatever else they may do.

    Source: S3 User Guide, "Enforce conditional writes on Amazon S3 buckets".
    """
    everything = [facts.bucket_arn, f"{facts.bucket_arn}/*"]
    key = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    rules = [
        _refuse("OnlyThroughTls", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}}),
        _refuse("OnlyModernTls", "s3:*", everything, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        # Of two writers of one manifest the second gets 412, and finds the first one's; the same for all that is stored.
        _refuse(
            "TheStoreIsWrittenOnce",
            "s3:PutObject",
            [facts.objects("store/*")],
            {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
        ),
        _refuse(
            "OnlyUnderTheStacksKey",
            "s3:PutObject",
            [f"{facts.bucket_arn}/*"],
            {"Null": {key: "false"}, "StringNotEquals": {key: facts.key}},
        ),
        _refuse(
            "OnlyEncryptedByKms",
            "s3:PutObject",
            [f"{facts.bucket_arn}/*"],
            {
                "Null": {"s3:x-amz-server-side-encryption": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
            },
        ),
    ]
    document = {"Version": VERSION, "Statement": rules}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": "${Bucket}", "PolicyDocument": document}}


def _refuse(sid: str, action: str, resources: list[str], condition: dict[str, Any]) -> Resource:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": condition,
    }


def _repository(facts: Facts) -> Resource:
    """Runs name images by digest, so a tag never moves and no tagged image goes."""
    import json

    rule = {
        "rulePriority": 1,
        "description": "what no tag names any more",
        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
        "action": {"type": "expire"},
    }
    return {
        "Type": "AWS::ECR::Repository",
        **KEPT,
        "Properties": {
            "RepositoryName": facts.name,
            "ImageTagMutability": "IMMUTABLE",
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "${Key.Arn}"},
            "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [rule]})},
            "Tags": facts.tags(),
        },
    }


def _group(name: str, facts: Facts) -> Resource:
    return {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        **KEPT,
        "Properties": {
            "ModelPackageGroupName": name,
            "ModelPackageGroupDescription": "Models that wait for a person's approval",
            "Tags": facts.tags(),
        },
    }


def _exception(check: str, reason: str) -> Resource:
    """A scanner's finding that is as it should be, with the reason where the scanner looks for it."""
    return {"Metadata": {"checkov": {"skip": [{"id": check, "comment": reason}]}}}
