"""Splitting rows into parts and folds, and finding leaks between them."""
