"""Expectations: the words of Great Expectations, evaluated by Polars or itself."""
