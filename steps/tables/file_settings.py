"""How a file is written where nobody says otherwise: all is detected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from model_code.tabular import MISSING

if TYPE_CHECKING:
    from steps.tables.source import Source

    Settings: TypeAlias = "Source | FileSettings"


@dataclass(frozen=True)
class FileSettings:
    """The fields of ``Source`` with their defaults, without pydantic: importing that takes longer than ten predictions."""

    format: str = "auto"
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    header: bool | None = None
    names: tuple[str, ...] | None = None
    skip: int | None = None
    skip_footer: int = 0
    drop_rows: tuple[int, ...] = ()
    member: str | None = None
    sheet: str | None = None
    missing: tuple[str, ...] = MISSING
