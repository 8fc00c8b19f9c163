"""Sources, which come from outside of a pipeline: files, packages, https, S3, the champion."""
