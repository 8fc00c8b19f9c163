"""A local stand-in for SageMaker and S3 that runs our own compiled pipelines."""
