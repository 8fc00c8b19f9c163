"""LightGBM without its interfaces to scikit-learn and pandas, whose imports take 2.5 CPU s of the 2.8 of its own."""

import torch  # noqa: F401  # LightGBM's OpenMP runtime, where the system has none, is the one that torch has loaded before

from model_code.lean import without

with without("sklearn", "pandas"):
    import lightgbm
    from lightgbm.callback import CallbackEnv, EarlyStopException

__all__ = ["CallbackEnv", "EarlyStopException", "lightgbm"]
