"""The server of one model, by the contracts of SageMaker and MLflow; neither torch nor MLflow nor pandas is imported."""
