"""Tracking: journals projected to MLflow, and the model registry."""
