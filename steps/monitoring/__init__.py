"""Monitoring: requests and answers of a model in use beside its training."""
