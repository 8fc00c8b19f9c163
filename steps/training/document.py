"""What the train stage publishes beside the weights: the record of the training, and what the model takes and returns."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from steps.documents import Document, Section
from steps.evaluation.document import Estimate

BLEND = "blend"
"""The name of the candidate that is a weighted mean of others."""


class FoldFit(Section):
    """One fit of a candidate on a fold; losses by epoch."""

    epochs: int
    """The epoch with the lowest validation loss, whose weights are used."""
    unit: str = "epoch"
    """What losses are counted by: epochs of a network, rounds of trees."""
    stopped: str
    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()


class CandidateRecord(Section):
    """One candidate and its cross-validated score in the headline metric."""

    name: str
    status: Literal["chosen", "tried", "given up", "skipped"] = "tried"
    reason: str | None = None
    """Why it was given up or skipped."""
    config: dict[str, Any] | None = None
    """Its settings; of a blend, the weight of each member by name."""
    weights: int | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    unmet: tuple[str, ...] = ()
    """The thresholds that it does not meet on the validation folds."""
    folds: tuple[FoldFit, ...] = ()

    @property
    def estimate(self) -> Estimate:
        """Return the score with its interval."""
        return Estimate(value=self.score, low=self.low, high=self.high)


class FinalFit(Section):
    """The fit of the chosen candidate on the whole training part."""

    rows: int
    epochs: int
    unit: str = "epoch"
    train_loss: tuple[float, ...] = ()
    continues_fold: bool = False
    """True if it went on from the network of the last fold."""


class CalibrationFit(Section):
    """How the probabilities of the chosen candidate were calibrated, by the folds."""

    scale: float
    """What log probabilities are multiplied by; below 1 the model was too sure."""
    shift: float
    """What is then added to that of the second of two classes."""
    gain: float
    """By how much the log loss of rows without a part in the fit is lower."""
    standard_error: float


class FoldRows(Section):
    """How many rows a fold trains and validates on."""

    training_rows: int
    validation_rows: int


class TrainingRecord(Document):
    """Everything about the training but how long it took."""

    artifact: ClassVar[str] = "model"
    file: ClassVar[str] = "training.json"

    metric: str | None = None
    chosen: str
    why: str | None = None
    choose: str | None = None
    candidates: tuple[CandidateRecord, ...] = ()
    final: FinalFit | None = None
    calibration: CalibrationFit | None = None
    """None where calibrating did not help by more than noise."""
    target_scale: str | None = None
    """``log``, or ``log1p`` of a target with zeros, where that is learned; None for the target as it is."""
    folds: tuple[FoldRows, ...] = ()
    divided_by: str | None = None
    resampled: str | None = None
    budget_bound: bool = False
    """True if the time budget cut the training short, so that another machine may get another model."""
    budget_cut: tuple[str, ...] = ()
    train_digest: str | None = None
    seed: int | None = None
    device: str | None = None
    threads: int | None = None

    def why_absent(self, name: str) -> str:
        """Return why a yardstick of this name was not fitted beside the chosen model."""
        if self.chosen == name:
            return f"{name} is the chosen model itself, which it cannot beat"
        reasons = [candidate.reason for candidate in self.candidates if candidate.name == name and candidate.reason]
        return f"it was not fitted, since as a candidate it {reasons[0]}" if reasons else "it was not fitted"


class ModelColumn(Section):
    """A column that the model takes or returns."""

    name: str
    type: str


class ModelSchema(Document):
    """What the model takes and returns, of the file that the model's own code writes and reads whole."""

    artifact: ClassVar[str] = "model"
    file: ClassVar[str] = "schema.json"

    task: str
    target: str
    classes: tuple[str, ...] = ()
    architecture: str
    inputs: tuple[ModelColumn, ...] = ()
