"""The local cloud: a test double of SageMaker and S3 for our own pipelines."""
