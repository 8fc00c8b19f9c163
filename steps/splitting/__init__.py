"""Splitting rows into parts and folds, and finding leaks between them."""

from typing import Literal

By = Literal["row", "group", "time"]
"""Rows are independent; rows of a group stay together; or later rows are predicted from earlier ones."""
