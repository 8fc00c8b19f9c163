"""The model that is served: loaded once, verified before, and asked by one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import polars as pl

from infra.serving import answers, bodies, media
from infra.serving.refusals import Refusal
from model_code import onnx_runtime, serving
from model_code.digest import directory_digest
from model_code.families import Remark
from steps.errors import InputError

Rows: TypeAlias = pl.DataFrame | Sequence[dict[str, Any]]
MOST_EVIDENCE = 1_000
"""Rows of a request that are kept as evidence."""


@dataclass(frozen=True)
class Evidence:
    """The first rows of a request as they were read, and their answers: JSON of two lists."""

    model: str
    """Digest of the model that answered."""
    rows: int
    """How many rows the request had."""
    inputs: bytes
    answers: bytes


@dataclass(frozen=True)
class Reply:
    """The answers to one request."""

    content: bytes
    media: str
    rows: int
    unlike: Mapping[str, int] = field(default_factory=dict)
    """Column -> the number of its values that are unlike those of training."""
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Question:
    """The rows of a request, and what is asked about them."""

    body: bodies.Body
    accepted: media.MediaType
    """The form of the answers."""
    level: float | None
    """The level of prediction intervals."""

    evidence_of: str | None = None
    """Digest of the model whose evidence is kept; None: none is."""

    def reply(self, inputs: Rows, rows: Rows, remarks: Sequence[Remark] = ()) -> Reply:
        """Return the answers in the form that is asked for."""
        texts = [remark.text for remark in remarks]
        content = answers.encode(rows, texts, self.accepted, header=self.body.header)
        evidence = Evidence(self.evidence_of, len(rows), _json(inputs), _json(rows)) if self.evidence_of else None
        unlike = {remark.column: remark.count for remark in remarks}
        return Reply(content, self.accepted.name, len(rows), unlike, evidence)


def _json(rows: Rows) -> bytes:
    """Return the first rows as JSON; instants are in ISO 8601."""
    few = rows[:MOST_EVIDENCE]
    return orjson.dumps(few.to_dicts() if isinstance(few, pl.DataFrame) else few, default=str)


class Model:
    """A loaded model."""

    def __init__(self, predictor: serving.Predictor, digest: str, level: float | None = None) -> None:
        """Take a predictor, the digest of its directory, and the level of intervals where a request names none."""
        self.predictor, self.digest, self.level = predictor, digest, level
        self.schema = predictor.schema
        self.keeps_evidence = False
        self.names: Sequence[str] = [entry["name"] for entry in self.schema["inputs"]]

    def question(
        self, content: bytes, content_type: str, accept: str = "", *, most_rows: int, level: object = None
    ) -> Question:
        """Return the rows of a body and the form of their answers.

        Args:
            level: of prediction intervals, as the URL or a header asks for it.

        Raises:
            Refusal: the body or what is asked for is wrong.
        """
        accepted = media.answer_type(accept)
        body = bodies.read_body(content, media.content_type(content_type), self.names, most_rows)
        level = _level(body.level if body.level is not None else level, self.level)
        return Question(body, accepted, level, self.digest if self.keeps_evidence else None)

    def quick_reply(self, question: Question) -> Reply | None:
        """Answer a few rows of ordinary values in well under a millisecond; None for other rows.

        Raises:
            Refusal: 400, the model does not answer what is asked for.
        """
        if not question.body.records:
            return None
        try:
            rows = self.predictor.answer_records(question.body.records, question.level)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        if rows is None:
            return None
        inputs = [{name: record[name] for name in self.names} for record in question.body.records]
        return question.reply(inputs, rows)

    def reply(self, question: Question) -> Reply:
        """Answer any rows.

        Raises:
            Refusal: 400, values cannot be read, or the model does not answer what is asked for.
        """
        try:
            readout = self.predictor.read(question.body.table(), skip=True, blanks_hide_words=question.body.from_pandas)
            if readout.faults:
                raise Refusal(400, "\n".join(fault.text for fault in readout.faults), faults=readout.faults)
            rows = self.predictor.answers(readout.frame, question.level)
            return question.reply(readout.frame, rows, readout.remarks)
        except ValueError as error:
            raise Refusal(400, str(error)) from None


def _level(choice: object, usual: float | None) -> float | None:
    """Return the level of intervals that a request asks for; 0 is none.

    Raises:
        Refusal: 400, it is no number.
    """
    if choice is None:
        return usual
    try:
        return float("no number" if isinstance(choice, bool) else choice) or None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Refusal(400, f"intervals {str(choice)[:60]!r}: wanted a share such as 0.95, or 0 for none") from None


def load(
    directory: Path,
    *,
    digest: str | None = None,
    level: float | None = None,
    check: Callable[[Path, str], None] | None = None,
) -> Model:
    """Load the model in a directory.

    A model of the digest that it should have is our own export, and onnxruntime answers. Any other one is read by the guard of
    archives, and numpy answers.

    Args:
        digest: of the directory, as whoever verified its origin knows it.
        level: of prediction intervals, where a request names none.
        check: is called with the directory and its digest before anything is loaded, and may refuse it.

    Raises:
        InputError: there is no model, it has another digest, or it cannot be read.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such directory; a model directory has model.pt2 and schema.json")
    actual = directory_digest(directory)
    if digest is not None and actual != digest:
        raise InputError(f"{directory}: its digest is {actual}, not {digest}; it was changed since it was published")
    if check is not None:
        check(directory, actual)
    try:
        fast = digest is not None and onnx_runtime.is_possible(directory)
        predictor = serving.load_onnx(directory) if fast else serving.load(directory)
        model = Model(predictor, actual, level)
        _warm(predictor, model.names, level)
    except ValueError as error:
        raise InputError(f"{directory}: {error}") from None
    return model


def _warm(predictor: serving.Predictor, names: Sequence[str], level: float | None) -> None:
    """Answer one row, so that a model that cannot is refused, and the first request finds all that is imported later."""
    predictor.answer_records([{}], level)
    predictor.answers(predictor.read(pl.DataFrame({name: [None] for name in names})).frame, level)
