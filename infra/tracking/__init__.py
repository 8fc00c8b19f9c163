"""Tracking: the projection of journals to MLflow, and the model registry."""
