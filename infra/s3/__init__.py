"""S3: the client and the objects below a root."""
