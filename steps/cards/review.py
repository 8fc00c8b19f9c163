"""What a problem asks of those who review its models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from steps.core import Config

Question = Annotated[str, Field(min_length=1, max_length=500)]


class Review(Config):
    """Who may approve a model of the problem, and what they answer. ``review: four-eyes`` stands for the first field alone."""

    four_eyes: bool = Field(default=False, description="Whoever started a run does not approve its model.")
    questions: tuple[Question, ...] = Field(
        default=(),
        max_length=20,
        description="Questions that an approval answers, such as 'Who is told of a denied claim?'.",
    )
    test_rows: bool = Field(
        default=True,
        description="A bundle for a third party holds the test rows, with which all numbers are computed anew.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {"four_eyes": True} if value == "four-eyes" else value
