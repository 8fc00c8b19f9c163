"""A job inside its container: SageMaker's contract, processes, live journals."""
