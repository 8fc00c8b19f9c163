"""The figures of an evaluation with their titles and captions, in the order in which they answer questions."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from pipelines.pages.report import figures
from steps import wording
from steps.evaluation import sentences
from steps.evaluation.document import Calibration, Curve, Curves, Evaluation, Residuals
from steps.training.document import TrainingRecord

GAIN_AT = 10
"""The point of a gain curve at a tenth of the rows."""
Figure = tuple[str, str, Markup]
"""Title, what is said under it, the plot."""


def of_evaluation(evaluation: Evaluation, training: TrainingRecord | None) -> Iterator[Figure]:
    """Yield title, caption and plot of whatever the evaluation can draw."""
    if evaluation.calibration and evaluation.calibration.bins:
        caption = _calibration_caption(evaluation.calibration, classes=len(evaluation.classes))
        if training and (fit := training.calibration):
            sure = "less" if fit.scale < 1 else "more"
            caption += (
                f" The validation folds made them {sure} sure than the {training.chosen} model's own (scale "
                f"{wording.number(fit.scale, 2)}, shift {wording.number(fit.shift, 2)})."
            )
        yield "Can its probabilities be trusted?", caption, figures.calibration(evaluation.calibration.bins)
    if evaluation.curves:
        yield from _ranking(evaluation, evaluation.curves)
    if residuals := evaluation.residuals:
        histogram, plane = residuals.histogram, residuals.predicted_vs_actual
        intervals = evaluation.prediction_intervals
        coverage = f" {sentences.coverage(intervals)}" if intervals else ""
        yield (
            "How large are its errors?",
            (
                "How far predictions are from actual values; a good model is narrow and centred on zero."
                f"{_spread(residuals)}{coverage}"
            ),
            figures.histogram("Errors", histogram.edges, histogram.counts, "actual minus predicted"),
        )
        yield (
            "Predicted against actual",
            "Stronger cells hold more rows; a perfect model has them all on the dashed line.",
            figures.density("Predicted and actual", plane.edges_predicted, plane.edges_actual, plane.counts),
        )
    yield from _stretches(evaluation)


def _ranking(evaluation: Evaluation, drawn: Curves) -> Iterator[Figure]:
    """Yield how rows are ranked: of two classes with the point where the model acts, of several those that are ranked worst."""
    several, total = len(evaluation.classes) > 2, len(evaluation.classes)
    recall, precision, specificity = (
        evaluation.metrics[name].value if name in evaluation.metrics and not several else None
        for name in ("recall", "precision", "specificity")
    )
    about = " The dot is where the model acts."
    if several:
        left = f": the {len(drawn.roc)} of {total} classes that are ranked worst" if len(drawn.roc) < total else ""
        about = f" Each class is drawn against all others{left}."
    if drawn.roc:
        at = None if recall is None or specificity is None else (1 - specificity, recall)
        caption = (
            f"A perfect ranking is in the upper left corner, guessing on the dashed line.{about} {_areas(drawn.roc)}"
        )
        plot = figures.ranking("ROC curve", drawn.roc, "false-positive rate", "true-positive rate", acts=at)
        yield "How well are rows ranked?", caption, plot
    if drawn.precision_recall:
        at = None if recall is None or precision is None else (recall, precision)
        base = sum(drawn.outcomes.counts[1]) / evaluation.rows if drawn.outcomes and not several else 0.0
        guess = "" if several else "; guessing is on the dashed line"
        caption = (
            f"The more of a class is reached, the less clean it is{guess}.{about} {_areas(drawn.precision_recall)}"
        )
        plot = figures.ranking(
            "Precision by recall", drawn.precision_recall, "recall", "precision", guess=base, acts=at
        )
        yield "What does reaching more rows cost?", caption, plot
    if gain := drawn.gain:
        top, times = wording.percent(gain.y[GAIN_AT]), wording.number(gain.y[GAIN_AT] / gain.x[GAIN_AT], 1)
        caption = (
            f"How many of the rows of class {wording.isolate(gain.name)} are among those that rank highest. The first 10 % hold {top} of "
            f"them, {times} times as many as guessing (the dashed line)."
        )
        yield (
            "How far does a look at a part reach?",
            caption,
            figures.ranking("Gain", [gain], "share of all rows", "share of its rows"),
        )
    if drawn.outcomes:
        of = "the predicted class" if several else wording.isolate(evaluation.classes[1])
        caption = f"The probability of {of} by what happened. The less the two overlap, the better they are told apart."
        plot = figures.outcomes("Probabilities by outcome", drawn.outcomes, "predicted probability")
        yield "Are the outcomes told apart?", caption, plot


def of_columns(evaluation: Evaluation) -> Iterator[Figure]:
    """Yield how predictions follow the columns that are worth most, all on one scale."""
    classes, drawn = evaluation.classes, evaluation.dependence
    ends = figures.spread(
        value for part in drawn for values in (*(line.y for line in part.lines), *part.single) for value in values
    )
    if classes:
        ends = (max(0.0, ends[0]), min(1.0, ends[1]))
    what = f"probability of {wording.cut(classes[1], 24)}" if len(classes) == 2 else "probability"
    for part in drawn:
        caption = "The classes that move most."
        if len(part.lines) == 1:
            low, high = (wording.number(end(part.lines[0].y), 3 if classes else None) for end in (min, max))
            caption = f"The mean is between {low} and {high}."
        plot = figures.dependence(part, what if classes else f"predicted {wording.cut(evaluation.target, 24)}", ends)
        yield part.column, caption, plot


def _areas(lines: tuple[Curve, ...]) -> str:
    """Return the area under each line, which is the metric of all thresholds."""
    measured = [line for line in lines if line.area is not None]
    if len(measured) == 1:
        return f"Area under the curve: {wording.number(measured[0].area, 3)}."
    areas = wording.listed(f"{wording.isolate(line.name, 20)} {wording.number(line.area, 3)}" for line in measured)
    return f"Area under each: {areas}."


def _stretches(evaluation: Evaluation) -> Iterator[Figure]:
    """Yield errors from small to large predictions, and what becomes of the model in time."""
    band = "The line is the mean error, and eight in ten errors lie in the band."
    if listed := evaluation.by_prediction:
        caption = f"{band} Where the line leaves zero, predictions of that size are too high or too low."
        yield "Where are its errors?", caption, figures.errors("Errors by prediction", listed, "predicted")
    if not (listed := evaluation.over_time):
        return
    title, column, dates = (
        "Does it stay right in time?",
        wording.cut(evaluation.time_column, 40),
        evaluation.time_is_date,
    )
    if not evaluation.classes:
        plot = figures.errors("Errors over time", listed, column, dates=dates)
        yield title, f"{band} Rows by {wording.isolate(column)}.", plot
        return
    what = (
        "share predicted right" if len(evaluation.classes) > 2 else f"share of {wording.cut(evaluation.classes[1], 24)}"
    )
    fewest = wording.count(min(part.rows for part in listed), "row")
    caption = f"What happened beside the mean predicted probability, by {wording.isolate(column)}; each point stands for {fewest} or more."
    yield title, caption, figures.over_time("Actual and predicted over time", listed, column, what, dates=dates)


def _calibration_caption(calibration: Calibration, classes: int) -> str:
    error = calibration.expected_calibration_error or 0.0
    chance = ", which may be due to chance" if error <= calibration.error_by_chance() else ""
    about = "" if classes == 2 else " Here: for the predicted class."
    return (
        "Points on the dashed line are perfectly calibrated; larger dots hold more rows. "
        f"Mean error: {wording.number(100 * error, 1)} percentage points{chance}.{about}"
    )


def _spread(residuals: Residuals) -> str:
    """Return where half and nine in ten of the errors lie."""
    ends = [residuals.quantiles.get(name) for name in ("0.25", "0.75", "0.05", "0.95")]
    half_low, half_high, most_low, most_high = map(wording.number, ends)
    return (
        f" Half of the errors lie between {half_low} and {half_high}, nine in ten between {most_low} and {most_high}."
    )
