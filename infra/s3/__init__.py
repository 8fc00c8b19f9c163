"""S3: the objects below a root, there or in a folder in its place."""
