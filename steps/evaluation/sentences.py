"""The sentences about an evaluation, written once; report, card, terminal and registry lay them out.

Names and values from data are marked (``steps.wording.isolate``); whoever shows a sentence escapes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from model_code import tasks
from steps.evaluation.document import (
    CHAMPION,
    MODEL,
    BehaviourResult,
    Comparison,
    Decision,
    Estimate,
    Evaluation,
    Importance,
    PredictionIntervals,
    Robustness,
    SliceResult,
    ThresholdResult,
)
from steps.wording import count, cut, decimals_of_size, exact, isolate, listed, number, percent, signed

_MEANINGS = {
    "roc_auc": "how often a row of the positive class is ranked above one of the other class; 0.5 is guessing, 1 is perfect",
    "average_precision": "how clean the top of the ranking is; guessing scores the share of the positive class, 1 is perfect",
    "recall": "the share of the positive rows that are acted on; 1 is none missed",
    "precision": "the share of the rows acted on that are positive; 1 is no false alarm",
    "specificity": "the share of the other rows that are left alone; 1 is no false alarm",
    "false_positive_rate": "the share of the other rows that are acted on; lower is better",
    "cost_per_1000_rows": "what wrong decisions cost by the declared costs, for 1,000 rows; lower is better",
    "precision_at_top_N_percent": "the share of positive rows among those ranked highest",
    "recall_at_top_N_percent": "the share of all positive rows that are among those ranked highest",
    "lift_at_top_N_percent": "how many times more positive rows are among those ranked highest than among all; 1 is guessing",
    "predict_p50_ms": "half of the calls with one row are answered in less, on the machine that evaluated the model",
    "predict_p99_ms": "99 of 100 calls with one row are answered in less, on the machine that evaluated the model",
    "predict_rows_per_second": "of the test rows, in one call, on the machine that evaluated the model",
    "model_mb": "the size of model.pt2; a million bytes each",
    "within_N": "the share of rows whose error is no larger, in units of the target",
    "within_N_percent": "the share of rows whose error is no larger, in percent of the actual value",
    "top_N_accuracy": "the share of rows whose class is among the most probable ones",
    "f1_weighted": "the balance of finding a class and being right about it, each class counting by its rows",
    "accuracy": "the share of rows that are predicted correctly",
    "balanced_accuracy": "the share predicted correctly, each class counting the same",
    "f1": "the balance of finding the positive class and being right about it; 1 is perfect",
    "f1_macro": "the balance of finding a class and being right about it, each class counting the same",
    "log_loss": "how heavily confident wrong probabilities are penalised; lower is better",
    "brier": "the mean squared error of the probabilities; lower is better",
    "r2": "the share of the variation that is explained; 0 is the mean, 1 is perfect",
    "rmse": "the typical error, large ones weighing more, in units of the target; lower is better",
    "mae": "the average error in units of the target; lower is better",
    "mape": "the average error as a share of the actual value; lower is better",
}
_PREDICTORS = {
    MODEL: ("This model", "this model"),
    CHAMPION: ("Current champion", "the current champion"),
    "trees": ("Gradient boosting", "gradient boosting"),
    "hist_gradient_boosting": ("Gradient boosting", "gradient boosting"),  # of earlier runs
    "linear": ("Linear model", "the linear model"),
    "constant": ("Constant prediction", "a constant prediction"),
}
"""Title and name within a sentence, in the order in which people compare them."""
_SMALL_TEST_SET = 1000
_SMALL, _THOUSANDS = 1e-3, 1000
_LISTED = 4  # segments in a sentence


def interval(estimate: Estimate, decimals: int | None = None, *, sign: bool = False) -> str:
    """Return ``0.853 to 0.884``, or an empty text where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    places = decimals_for(estimate) if decimals is None else decimals
    write = signed if sign else number
    return f"{write(estimate.low, places)} to {write(estimate.high, places)}"


def with_interval(estimate: Estimate) -> str:
    """Return ``0.868 (0.853 to 0.884)``, or what of it is defined."""
    if estimate.value is None:
        return "undefined"
    ends = interval(estimate)
    return number(estimate.value, decimals_for(estimate)) + (f" ({ends})" if ends else "")


def decimals_for(*estimates: Estimate, most: int = 4) -> int:
    """Return two significant digits of the narrowest interval, at most ``most`` places; 3 where there is no interval.

    Numbers that are all below a thousandth get the places that three digits of the largest need.
    """
    values = [abs(end) for e in estimates for end in (e.low, e.value, e.high) if end is not None]
    size = max(values, default=0.0)
    most = max(most, decimals_of_size(size)) if size < _SMALL else most
    widths = [e.high - e.low for e in estimates if e.low is not None and e.high is not None and e.high > e.low]
    if not widths:
        return max(3, decimals_of_size(size)) if size < _SMALL else 3 if size < _THOUSANDS else 0
    return max(0, min(most, 1 - math.floor(math.log10(min(widths)))))


def metric_name(metric: str | None) -> str:
    """Return a metric's name as people write it, as the beginning of a sentence."""
    label = metric_in_sentence(metric)
    return f"{label[:1].upper()}{label[1:]}"


def metric_in_sentence(metric: str | None) -> str:
    """Return a metric's name as a part of a sentence."""
    for task in map(tasks.get, tasks.names()):
        if definition := task.metric(metric or ""):
            return definition.label
    return cut(metric, 40)


def metric_meaning(metric: str) -> str:
    """Return what a metric measures; empty for one that is not known."""
    return _MEANINGS.get(metric) or _MEANINGS.get(re.sub(r"_\d+(\.\d+)?(?=_|$)", "_N", metric), "")


def predictor_name(name: str) -> str:
    """Return the title of whoever predicted: the model, the champion or a yardstick."""
    return _PREDICTORS[name][0] if name in _PREDICTORS else cut(name, 40)


def predictor_in_sentence(name: str) -> str:
    """Return whoever predicted, as a part of a sentence."""
    return _PREDICTORS[name][1] if name in _PREDICTORS else isolate(name)


def in_order(names: Iterable[str]) -> list[str]:
    """Return predictors as people compare them: the model, the champion, then yardsticks from the best to the simplest."""
    order = list(_PREDICTORS)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def bound(threshold: ThresholdResult) -> float | None:
    """Return the promised number; None in documents of early versions, which hold it in words only."""
    return threshold.at_least if threshold.at_least is not None else threshold.at_most


def requirement(threshold: ThresholdResult) -> str:
    """Return ``at least 0.65``."""
    value = bound(threshold)
    if value is None:
        return cut(threshold.wanted)
    return f"{'at least' if threshold.at_least is not None else 'at most'} {exact(value)}"


def judged_on(threshold: ThresholdResult) -> str:
    """Return which number has to meet the promise."""
    if threshold.on == "value":
        return "judged on the estimate"
    end = "upper" if threshold.at_most is not None else "lower"
    return f"judged on the {end} end of the 95 % interval"


def promise_kept(evaluation: Evaluation) -> str:
    """Return how many promises the model kept, as the end of a sentence about it."""
    total = len(evaluation.thresholds)
    broken = sum(not threshold.met for threshold in evaluation.thresholds)
    if broken:
        return "did not keep its promise" if total == 1 else f"did not keep {broken} of {count(total, 'promise')}"
    return {0: "had no promise to keep", 1: "kept its promise", 2: "kept both promises"}.get(
        total, f"kept all {count(total, 'promise')}"
    )


def passed(evaluation: Evaluation, against: Iterable[str]) -> str:
    """Return the verdict on a model that passed, with what speaks against using it."""
    clauses = listed(against)
    return (
        f"Pass{f', but {clauses}' if clauses else ''}: the model {promise_kept(evaluation)} on the held-out test set."
    )


def rejected(evaluation: Evaluation) -> str:
    """Return the verdict on a model that was rejected."""
    if any(not threshold.met for threshold in evaluation.thresholds):
        return f"Rejected: the model {promise_kept(evaluation)}."
    broken, total = sum(not result.met for result in evaluation.behaviour), len(evaluation.behaviour)
    rules = f"does not follow {broken} of {count(total, 'rule')} of behaviour"
    return f"Rejected: the model {rules if broken else 'must not be used'}."


def description(evaluation: Evaluation) -> str:
    """Return the evaluation in one line, for the registry."""
    estimate = evaluation.metrics[evaluation.headline]
    begin = f"Pass, but {listed(reservations(evaluation))}: " if evaluation.grade == "reserved" else ""
    met = sum(threshold.met for threshold in evaluation.thresholds)
    return (
        f"{begin}{metric_name(evaluation.headline)} {with_interval(estimate)} on {count(evaluation.rows, 'test row')}; "
        f"{met} of {count(len(evaluation.thresholds), 'promise')} kept"
    )


def worth(importance: Importance, seconds: float | None) -> str:
    """Return what the importance of a column means, on which rows it was measured, and how long that took."""
    metric = metric_in_sentence(importance.metric)
    rows = count(importance.rows, "test row")
    often = f", {importance.repeats} times" if importance.repeats > 1 else ""
    spent = f" It took {number(seconds, 1)} s." if seconds else ""
    return (
        f"By how much {metric} falls on {rows} where the column has the values of other rows{often}, so that it says nothing. "
        f"Columns of which one nearly determines the other are exchanged together.{spent}"
    )


def dependence_in_words(evaluation: Evaluation) -> str:
    """Return what the curves of columns show, and where they mislead."""
    drawn = evaluation.dependence[0]
    faint = "; faint lines and dots are single rows" if drawn.single else ""
    return (
        f"In {count(drawn.rows, 'test row')} the column gets one value after the other while all others stay as they are: the "
        f"strong lines and dots are the mean prediction{faint}. Where columns go together, some of these combinations do not occur."
    )


def outcome(comparison: Comparison) -> str:
    """Return who is better: model, neither or the other's name; undefined or no interval where nobody can say."""
    if comparison.difference.value is None:
        return "undefined"
    return comparison.better if interval(comparison.difference) else "no interval"


def comparison_sentence(name: str, comparison: Comparison) -> str:
    """Return how the model compares with another predictor on the same test rows."""
    difference, better = comparison.difference, outcome(comparison)
    other, metric = predictor_in_sentence(name), metric_name(comparison.metric)
    if better == "undefined":
        return f"Cannot be compared with {other}: the difference in {metric} is not defined on these rows."
    places = decimals_for(difference)
    by = f"{metric} {signed(difference.value, places)}"
    if better == "no interval":
        return f"Compared with {other}: {by}, without an interval, so it may be due to chance."
    by += f" (95 % interval {interval(difference, places, sign=True)})"
    if better == "model":
        return f"Better than {other}: {by}."
    if better == "neither":
        same = difference.value == difference.low == difference.high == 0
        if same:
            return f"Identical to {other} on these rows."
        if comparison.outcome == "not worse":
            return f"Not worse than {other} by more than {exact(comparison.margin)}: {by}."
        rows = comparison.rows_to_decide
        more = f"; about {number(rows)} test rows would tell, if the difference stays" if rows else ""
        return f"No clear difference from {other}: {by}{more}."
    advice = (
        "the model has learned nothing useful" if name == "constant" else "prefer it unless there is a reason not to"
    )
    return f"Worse than {other}: {by}; {advice}."


def comparisons(evaluation: Evaluation) -> dict[str, str]:
    """Return one honest sentence for each predictor that the model was compared with; the champion first."""
    compared = evaluation.comparisons
    return {name: comparison_sentence(name, compared[name]) for name in in_order(compared)}


def reservations(evaluation: Evaluation) -> list[str]:
    """Return what speaks against a model that keeps its promises: who does better, and who is simpler or in use and does as well."""
    clauses = []
    for name in in_order(evaluation.alternatives):
        comparison = evaluation.comparisons[name]
        if comparison.better == name:
            clauses.append(f"{predictor_in_sentence(name)} does better ({_advantage(evaluation, comparison)})")
        elif name != CHAMPION:
            clauses.append(f"it is not clearly better than {predictor_in_sentence(name)}, which is simpler")
        elif comparison.outcome == "not worse":
            clauses.append("it is not worse than the current champion, but not clearly better either")
        elif rows := comparison.rows_to_decide:
            clauses.append(
                f"it is not clearly better than the current champion (about {number(rows)} test rows would tell)"
            )
        else:
            clauses.append("it is no better than the current champion")
    return clauses


def _advantage(evaluation: Evaluation, comparison: Comparison) -> str:
    """Return by how much the other one differs from the model; shares in points, as ``+7.9 points of accuracy``."""
    difference, label = -(comparison.difference.value or 0.0), metric_in_sentence(comparison.metric)
    if evaluation.ends(comparison.metric) == (0, 1):
        return f"{signed(100 * difference, 1)} points of {label}"
    return f"{label} {signed(difference, decimals_for(comparison.difference))}"


def is_clearly_weaker(evaluation: Evaluation, part: SliceResult) -> bool:
    """Return whether a segment is worse than all rows in the headline metric, beyond chance and with so many compared."""
    overall, estimate = evaluation.metrics[evaluation.headline].value, part.metrics[evaluation.headline]
    if overall is None or estimate.low is None or estimate.high is None or part.weaker is False:
        return False
    return estimate.high < overall if evaluation.higher_is_better(evaluation.headline) else estimate.low > overall


def acting(decision: Decision) -> str:
    """Return what acting by the model's threshold means on the test rows, and what it costs and saves."""
    sentences = [_acted(decision)] if decision.acted is not None else []
    if decision.per_1000_rows is not None:
        sentences.append(_cost(decision, decision.per_1000_rows))
    if decision.saved:
        sentences.append(_saved(decision))
    if decision.reason is None:
        sentences.append("Accuracy, F1 and the table of mistakes are those from one half on.")
    return " ".join(sentences)


_REASONS = {
    "declared": ", as the problem declares",
    "costs": ", the cheapest on the validation folds",
    "promises": ", chosen on the validation folds for the promises",
}


def _acted(decision: Decision) -> str:
    acted, hits, positives = decision.acted or 0, decision.hits or 0, decision.positives or 0
    begin = f"Rows are acted on from a probability of {number(decision.threshold, 3)} on"
    return (
        f"{begin}{_REASONS.get(decision.reason or '', '')}: {count(acted, 'test row')}, {number(hits)} of them rightly; "
        f"{number(positives - hits)} of {count(positives, 'positive row')} are missed."
    )


def _cost(decision: Decision, cost: Estimate) -> str:
    costs = f"a miss {exact(decision.miss or 0)}, a false alarm {exact(decision.false_alarm or 0)}"
    from_where = (
        "that" if decision.acted is not None else f"acting from a probability of {number(decision.threshold, 3)} on"
    )
    places, ends = decimals_for(cost), interval(cost)
    return (
        f"By the declared costs ({costs}), {from_where} costs {number(cost.value, places)}{f' ({ends})' if ends else ''} for "
        f"1,000 rows; never acting costs {number(decision.never, places)}, always {number(decision.always, places)}."
    )


def _saved(decision: Decision) -> str:
    """Return what the model's decisions save against each rival's, or cost more, and how the rivals decide."""
    saved, more = list[str](), list[str]()
    for name in dict.fromkeys(["never", "always", *in_order(decision.saved)]):
        estimate = decision.saved.get(name, Estimate())
        rival = _RIVAL_ACTS.get(name, predictor_in_sentence(name))
        if estimate.value is not None and estimate.value < 0:
            more.append(f"{with_interval(_negative(estimate))} more than {rival}")
        elif estimate.value is not None:
            saved.append(f"{with_interval(estimate)} against {rival}")
    clauses = [f"saves {listed(saved)}"] if saved else []
    clauses += [f"costs {listed(more)}"] if more else []
    text = f"For 1,000 rows it {' but '.join(clauses)}."
    if any(name not in ("never", "always", CHAMPION) for name in decision.saved) and decision.reason != "declared":
        text += " A yardstick acts from the probability that suits these very rows best, which flatters it."
    return text


def _negative(estimate: Estimate) -> Estimate:
    """Return an estimate of the same size in the other direction."""
    value, low, high = (None if end is None else -end for end in (estimate.value, estimate.high, estimate.low))
    return Estimate(value=value, low=low, high=high)


_RIVAL_ACTS = {"never": "acting never", "always": "acting always"}


def of_classes(evaluation: Evaluation) -> list[str]:
    """Return which of several classes are predicted worst, and how many rows a person must see for a stated accuracy."""
    sentences = []
    judged = [result for result in evaluation.per_class if result.recall.value is not None]
    worst = sorted(judged, key=lambda result: (result.recall.value or 0.0, result.name))[:_LISTED]
    if worst:
        parts = [f"{isolate(result.name)} ({with_interval(result.recall)})" for result in worst]
        sentences.append(f"Recall is lowest for {listed(parts)}.")
    levels = [point for point in evaluation.abstention if point.level is not None]
    sentences += [
        f"To be right on {number(100 * (point.level or 0), 0)} % of the rows that it decides, the model leaves "
        f"{number(100 * point.abstained, 1)} % of all rows to a person, those whose most probable class has less than "
        f"{number(point.threshold, 3)}."
        for point in levels
    ]
    return sentences


def coverage(intervals: PredictionIntervals) -> str:
    """Return how often the model's prediction intervals were right on the test rows."""
    share = intervals.coverage
    places = max(decimals_for(share) - 2, 0)
    ends = "" if share.low is None or share.high is None else _in_percent(share.low, share.high, places)
    sentence = (
        f"The intervals for {100 * intervals.level:g} % that predictions can be asked with hold "
        f"{number(100 * (share.value or 0.0), places)} % of the actual values{ends}; on average they are "
        f"{number(intervals.mean_width, max(2, decimals_of_size(intervals.mean_width)))} wide."
    )
    if not intervals.later:
        return sentence
    return f"{sentence} They rest on errors of earlier rows, so over time their share is not guaranteed."


def _in_percent(low: float, high: float, places: int) -> str:
    return f" (95 % interval {number(100 * low, places)} to {number(100 * high, places)})"


def weakest(evaluation: Evaluation) -> list[tuple[str, SliceResult, Estimate]]:
    """Return the segments with rows enough to judge, by the headline metric: (column, part, estimate).

    Those that are weaker beyond chance come first, by their rows times what they lack; then the others, the weakest first.
    """
    sign = 1 if evaluation.higher_is_better(evaluation.headline) else -1
    overall = evaluation.metrics[evaluation.headline].value or 0.0

    def rank(entry: tuple[str, SliceResult, Estimate]) -> tuple[float, float, str, str]:
        column, part, estimate = entry
        above = sign * ((estimate.value or 0.0) - overall)
        lacking = part.rows * above if is_clearly_weaker(evaluation, part) else 0.0
        return lacking, above, column, part.value

    judged = [
        (column, part, estimate)
        for column, parts in evaluation.slices.items()
        for part in parts
        if not part.small and (estimate := part.metrics[evaluation.headline]).value is not None
    ]
    return sorted(judged, key=rank)


def limits(evaluation: Evaluation) -> Iterator[str]:
    """Yield what a careful reader keeps in mind about the numbers."""
    if evaluation.nearly_perfect:
        label = metric_name(evaluation.headline)
        yield (
            f"The model is nearly perfect ({label} {number(evaluation.metrics[evaluation.headline].value, 3)}). That is more often "
            "a feature that is not known before the answer, or rows that are in both parts, than a good model: check where each "
            "feature comes from."
        )
    if evaluation.rows < _SMALL_TEST_SET:
        size = count(evaluation.rows, "row")
        yield f"The test set is small ({size}): intervals are wide, and smaller differences may be due to chance."
    small = [
        f"{isolate(column)} = {isolate(part.value)}"
        for column, parts in evaluation.slices.items()
        for part in parts
        if part.small
    ]
    if small:
        segments_text = listed(small[:_LISTED]) + (f" and {len(small) - _LISTED} more" if len(small) > _LISTED else "")
        yield f"{count(len(small), 'segment has', 'segments have')} too few rows to judge: {segments_text}."
    resampled = evaluation.interval.resampled
    if resampled.startswith("days of "):
        yield "Rows from the same day are not independent, so intervals resample whole days, not single rows."
    elif resampled != "rows":
        units = isolate(resampled, 90)
        yield f"Rows that belong together are not independent, so intervals resample whole {units}, not single rows."
    calibration = evaluation.calibration
    if calibration and calibration.is_off:
        error = number(100 * (calibration.expected_calibration_error or 0), 1)
        yield f"Predicted probabilities are off by {error} percentage points on average: use them only to rank rows."
    for note in evaluation.notes:
        yield f"{note[:1].upper()}{note[1:]}{'' if note.endswith('.') else '.'}"
    if not evaluation.champion and not evaluation.notes:
        yield "There is no champion to compare with yet."
    if not evaluation.slices and not evaluation.search:
        yield "No segments were defined, so a group the model serves badly would not show up here."


def rule(result: BehaviourResult) -> str:
    """Return a rule of behaviour as a sentence begins."""
    return f"{result.rule[:1].upper()}{result.rule[1:]}"


def share_required(result: BehaviourResult) -> str:
    """Return which share of the rows has to follow a rule."""
    return (
        f"{'all' if result.at_least == 1 else percent(result.at_least)} of the {'cases' if result.of_cases else 'rows'}"
    )


def followers(result: BehaviourResult) -> str:
    """Return how many rows follow a rule."""
    return f"{result.followed:,} of {result.rows:,}"


def robust(robustness: Robustness) -> str:
    """Return what the disturbances of the table are."""
    off = percent(robustness.noise)
    return (
        f"On {robustness.rows:,} test rows, evenly drawn, values were taken away, one column at a time, and all numbers with a "
        f"fraction were changed by chance, typically by {off} of their standard deviation."
    )
