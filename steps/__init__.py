"""The stages of the pipeline: one file, one function each, files in and files out."""
