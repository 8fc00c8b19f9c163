"""Data from outside: files, packages, https and s3, resolved to content digests."""
