"""Dividing rows into parts, and finding what leaks between them."""
