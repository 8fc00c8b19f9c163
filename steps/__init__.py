"""The stages: one file and one function each, directories in and directories out."""
