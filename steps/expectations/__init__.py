"""Expectations: running a Great Expectations suite over a table."""
