"""Evaluation: predictions, intervals, slices, calibration, thresholds, verdict."""
