"""The expectation suite that a problem file names, read from Great Expectations' JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.problem.yaml_lines import check_depth
from steps.errors import InputError
from steps.validate import ROW_COUNT, Expectation, ValidateConfig


def read_suite(path: Path, place: str) -> ValidateConfig:
    """Return the suite of a file.

    Args:
        place: file and line of the problem file that name it.

    Raises:
        InputError: the file is missing, not JSON or not a suite.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        check_depth(path, text)
        content = json.loads(text)
    except FileNotFoundError:
        raise InputError(f"{place}: expectations: no file {path}; 'fourscore new' proposes one") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    whole = content if isinstance(content, dict) else {"expectations": content}
    listed = whole.get("expectations")
    if not isinstance(listed, list) or not listed:
        raise InputError(
            f"{path}: write {{'expectations': [...]}} with at least one expectation; an empty suite checks nothing"
        )
    suite = {"suite": list(map(_without_meta, listed)), "show_values": bool(whole.get("show_values", False))}
    try:
        return ValidateConfig.model_validate(suite)
    except ValidationError as error:
        lines = [
            f"{path}: expectation {fault['loc'][1] if len(fault['loc']) > 1 else ''}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise InputError("\n".join(lines)) from None


def _without_meta(expectation: Any) -> Any:
    """Drop the ids and meta that Great Expectations writes."""
    if not isinstance(expectation, dict):
        return expectation
    return {key: value for key, value in expectation.items() if key not in ("id", "meta")}


def suite_of_sample(suite: ValidateConfig) -> ValidateConfig:
    """Return the suite without expectations about the number of rows, which a sample cannot meet."""
    rest = [expectation for expectation in suite.suite if not expectation.type.startswith("expect_table_row_count")]
    return suite.model_copy(update={"suite": tuple(rest or [Expectation(type=ROW_COUNT, kwargs={"min_value": 1})])})
