"""The model that is served: loaded once, verified before, and asked by one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from infra.serving import answers, bodies, media
from infra.serving.refusals import Refusal
from model_code import onnx_runtime, serving
from model_code.digest import directory_digest
from steps.errors import InputError


@dataclass(frozen=True)
class Reply:
    """The answers to one request."""

    content: bytes
    media: str
    rows: int
    unlike: Mapping[str, int] = field(default_factory=dict)
    """Column -> the number of its values that are unlike those of training."""


class Model:
    """A loaded model."""

    def __init__(self, predictor: serving.Predictor, digest: str, level: float | None = None) -> None:
        """Take a predictor, the digest of its directory, and the level of intervals where a request names none."""
        self.predictor, self.digest, self.level = predictor, digest, level
        self.schema = predictor.schema
        self.names: Sequence[str] = [entry["name"] for entry in self.schema["inputs"]]

    def reply(
        self, content: bytes, content_type: str, accept: str = "", *, most_rows: int, level: object = None
    ) -> Reply:
        """Answer the rows of a body.

        Args:
            level: of prediction intervals, as the URL or a header asks for it.

        Raises:
            Refusal: the body, its values or what is asked for is wrong.
        """
        accepted = media.answer_type(accept)
        body = bodies.read_body(content, media.content_type(content_type), self.names, most_rows)
        level = _level(body.level if body.level is not None else level, self.level)
        try:
            readout = self.predictor.read(body.frame, skip=True, blanks_hide_words=body.from_pandas)
            if readout.faults:
                raise Refusal(400, "\n".join(fault.text for fault in readout.faults), faults=readout.faults)
            table = self.predictor.answers(readout.frame, level)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        remarks = [remark.text for remark in readout.remarks]
        unlike = {remark.column: remark.count for remark in readout.remarks}
        return Reply(answers.encode(table, remarks, accepted, header=body.header), accepted.name, table.height, unlike)


def _level(choice: object, usual: float | None) -> float | None:
    """Return the level of intervals that a request asks for; 0 is none.

    Raises:
        Refusal: 400, it is no number.
    """
    if choice is None:
        return usual
    try:
        return float(choice) or None  # type: ignore[arg-type]
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
    predictor.answers(predictor.read(pl.DataFrame({name: [None] for name in names})).frame, level)
