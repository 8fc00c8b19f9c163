"""Where a pipeline runs and where its results are kept."""
