"""A plan on Amazon SageMaker: compiled, priced, started, followed."""
