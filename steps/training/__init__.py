"""Training: candidates, their scores on folds, the choice between them."""
