"""Where the pipeline runs and where things are kept: backends, store, sources, tracking."""
