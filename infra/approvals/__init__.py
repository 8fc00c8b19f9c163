"""Approvals: who may sign, what was signed, and whether a model may be used."""
