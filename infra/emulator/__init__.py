"""The local cloud: a test double of SageMaker for our own pipelines."""
