"""What runs and in which order: the problem definition, the plan, the command line, the report."""
