"""The same plan on Amazon SageMaker: what is asked of it, how it is compiled, and how it is followed."""
