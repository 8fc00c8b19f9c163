"""Judging answers: intervals, slices, calibration, thresholds."""
