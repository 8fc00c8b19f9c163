"""Runs: the plan, the keys, the record of a run, the champion that runs are compared with."""
