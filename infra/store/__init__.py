"""The store: executions addressed by what made them, on disk and on S3."""
