"""Runs: the plan, the keys, the record."""
