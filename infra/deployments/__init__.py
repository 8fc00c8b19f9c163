"""Deployments on this machine: which model answers, the next one beside it, and the way back."""
