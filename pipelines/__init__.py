"""What people use: the problem, the plan, the command line, the report."""
