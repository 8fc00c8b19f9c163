"""The store: results by key, on disk and on S3."""
