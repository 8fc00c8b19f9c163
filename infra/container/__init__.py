"""A job inside its container: the contract with SageMaker, the job itself, its processes, its live journal."""
