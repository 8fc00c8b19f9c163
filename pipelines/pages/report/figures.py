"""Plots as inline SVG: small, the same bytes for the same numbers, in the colours of the page, with a description."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from steps.evaluation.document import Bin, Curve, Dependence, Outcomes, Stretch
from steps.wording import MINUS, cut

WIDTH, HEIGHT = 440, 260
"""In units of the drawing: its text is legible on a telephone and beside another one on a desk."""
TOP, RIGHT, BOTTOM = 12, 14, 42
LEGEND = 18
_LETTER = 6.2  # the mean width of a letter of tick labels
_SHADES = 5
_LINES = 4
"""Kinds of lines that the style sheet knows, by colour and by dash."""
_LEGEND_START, _LEGEND_SAMPLE, _LEGEND_LETTER = (
    56,
    46,
    6.4,
)  # where a legend begins at most, and how wide a sample and a letter are

Series = tuple[str, Sequence[float], Sequence[float]]
"""Our own name for it, x, y."""
Ends = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` at positions from ``start`` to ``end``, with round ticks."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> str:
        """Return the position of a value, to a tenth of a unit."""
        share = (value - self.low) / (self.high - self.low)
        return f"{self.start + min(1.0, max(0.0, share)) * (self.end - self.start):.1f}"

    @property
    def _step(self) -> float:
        rough = (self.high - self.low) / 5
        size = 10.0 ** math.floor(math.log10(rough))
        return next(size * factor for factor in (1, 2, 5, 10) if rough <= size * factor * 1.001)

    def ticks(self) -> list[float]:
        """Return up to six round values from end to end."""
        first, last = math.ceil(self.low / self._step - 1e-9), math.floor(self.high / self._step + 1e-9)
        return [i * self._step for i in range(first, last + 1)]

    def label(self, value: float) -> str:
        """Return a tick's label with the decimals that tell it from the next one."""
        places = max(0, -math.floor(math.log10(self._step) + 1e-9))
        if places > 6 or abs(value) >= 1e7:
            return f"{value:.3g}".replace("-", MINUS)
        return f"{value:,.{places}f}".replace("-", MINUS)


class Dates(Axis):
    """Seconds since 1970, with ticks at the beginning of days, months or years."""

    @property
    def _months(self) -> int:
        """The months between ticks; 0 where days are between them."""
        months = (self.high - self.low) / (30.4 * 86_400)
        return next((step for step in (1, 2, 3, 6, 12) if months / step <= 6), 12 * math.ceil(months / 72)) * (
            months > 2
        )

    def ticks(self) -> list[float]:
        """Return up to seven moments from end to end."""
        if not self._months:
            days = max(1, math.ceil((self.high - self.low) / 86_400 / 5))
            first = math.ceil(self.low / 86_400)
            return [day * 86_400.0 for day in range(first, math.floor(self.high / 86_400) + 1, days)]
        start, end = (datetime.fromtimestamp(at, UTC) for at in (self.low, self.high))
        months = range(12 * start.year, 12 * end.year + 12, self._months)
        moments = (datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp() for month in months)
        return [moment for moment in moments if self.low <= moment <= self.high]

    def label(self, value: float) -> str:
        """Return the day, the month or the year that begins then."""
        form = "%Y" if self._months >= 12 else "%Y-%m" if self._months else "%m-%d"
        return f"{datetime.fromtimestamp(value, UTC):{form}}"


@dataclass(frozen=True)
class Names(Axis):
    """Names from data at equal distances."""

    names: Sequence[str] = ()

    def ticks(self) -> list[float]:
        """Return the position of each name."""
        return [float(position) for position in range(len(self.names))]

    def label(self, value: float) -> str:
        """Return a name, cut."""
        return cut(self.names[int(value)], 16)


def spread(values: Iterable[float], within: Ends | None = None) -> Ends:
    """Return ends that hold all values, with a margin; those of ``within`` where they are wider."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = 0.04 * (high - low) or 0.04 * abs(low) or 1.0
    low, high = low - margin, high + margin
    return (min(low, within[0]), max(high, within[1])) if within else (low, high)


def curves(
    title: str,
    series: Sequence[Series],
    x: str,
    y: str,
    mark: float | None = None,
    ends: Ends | None = None,
    *,
    dates: bool = False,
) -> Markup:
    """Lines that differ in colour and in dash.

    Args:
        mark: an x to point at, such as the epoch whose weights are used.
        ends: the least and the largest y, so that figures side by side have the same scale.
        dates: whether x is in seconds since 1970.
    """
    of_x = spread(value for _, xs, _ in series for value in xs)
    of_y = ends or spread(value for _, _, ys in series for value in ys)
    plot = _Plot(of_x, of_y, x, y, legend=[name for name, _, _ in series], dates=dates)

    def shapes() -> Iterator[str]:
        if mark is not None:
            yield plot.upright(mark, "kept")
        for position, (_, xs, ys) in enumerate(series):
            kind = f"line-{position % _LINES}"
            if len(xs) == 1:
                yield f'<circle class="{kind} point" cx="{plot.x.at(xs[0])}" cy="{plot.y.at(ys[0])}" r="3.5"/>'
            else:
                yield f'<polyline class="{kind}" points="{plot.points(xs, ys)}"/>'

    described = "; ".join(f"{name} goes from {ys[0]:.4g} to {ys[-1]:.4g}" for name, _, ys in series if len(ys))
    return plot.image(f"{title}. {y} by {x}. {described}.", shapes())


def ranking(
    title: str,
    lines: Sequence[Curve],
    x: str,
    y: str,
    *,
    guess: float | None = None,
    acts: tuple[float, float] | None = None,
) -> Markup:
    """Draw curves of shares by shares, with what guessing makes of them.

    Args:
        guess: the height of guessing; None where it is the diagonal, 0 where each line has its own.
        acts: where the model's own threshold is on the only curve.
    """
    names = [cut(line.name, 24) for line in lines]
    plot = _Plot((0, 1), (0, 1), x, y, legend=names)

    def shapes() -> Iterator[str]:
        if guess != 0:
            yield plot.diagonal(0, 1) if guess is None else plot.level(guess, "ideal")
        for position, line in enumerate(lines):
            yield f'<polyline class="line-{position}" points="{plot.points(line.x, line.y)}"/>'
        if acts:
            yield f'<circle class="line-1 point" cx="{plot.x.at(acts[0])}" cy="{plot.y.at(acts[1])}" r="5"/>'

    areas = "; ".join(
        f"{name}: area {line.area:.3f}" for name, line in zip(names, lines, strict=True) if line.area is not None
    )
    guessing = "" if guess == 0 else "; the dashed line is guessing"
    return plot.image(f"{title}. {y} by {x}{guessing}. {areas}.", shapes())


def outcomes(title: str, observed: Outcomes, x: str) -> Markup:
    """Draw the distribution of probabilities for each outcome, each by the shares of its own rows."""
    shares = [[rows / (sum(counts) or 1) for rows in counts] for counts in observed.counts]
    names = [cut(name, 24) for name in observed.names]
    plot = _Plot(
        (observed.edges[0], observed.edges[-1]),
        (0, 1.04 * max(map(max, shares)) or 1),
        x,
        "share of its rows",
        legend=names,
    )
    lines = (
        f'<polyline class="line-{position}" points="{_outline(plot, observed.edges, part)}"/>'
        for position, part in enumerate(shares)
    )
    counted = "; ".join(f"{name}: {sum(counts)} rows" for name, counts in zip(names, observed.counts, strict=True))
    return plot.image(f"{title}. {x}, by what happened. {counted}.", lines)


def _outline(plot: _Plot, edges: Sequence[float], heights: Sequence[float]) -> str:
    """Return the corners of a histogram, from its base to its base."""
    xs = [edge for edge in edges for _ in range(2)]
    return plot.points(xs, [0, *(height for height in heights for _ in range(2)), 0])


def errors(title: str, listed: Sequence[Stretch], x: str, *, dates: bool = False) -> Markup:
    """Draw the mean error by stretch, and between which errors eight in ten lie."""
    lows, highs = ([end or 0.0 for end in ends] for ends in zip(*((s.low, s.high) for s in listed), strict=True))
    means, at = [part.actual - part.predicted for part in listed], [part.at for part in listed]
    plot = _Plot(spread(at), spread([*lows, *highs, *means, 0]), x, "actual minus predicted", dates=dates)

    def shapes() -> Iterator[str]:
        yield f'<polygon class="band" points="{plot.points(at, highs)} {plot.points(at[::-1], lows[::-1])}"/>'
        yield plot.level(0, "ideal")
        yield f'<polyline class="line-0" points="{plot.points(at, means)}"/>'
        yield from (
            f'<circle class="line-0 point" cx="{plot.x.at(a)}" cy="{plot.y.at(m)}" r="3"/>'
            for a, m in zip(at, means, strict=True)
        )

    largest = max(means, key=abs)
    return plot.image(
        f"{title}. Mean error by {x} in {len(listed)} stretches, the largest {largest:.4g}; eight in ten errors lie in the band.",
        shapes(),
    )


def over_time(title: str, listed: Sequence[Stretch], x: str, y: str, *, dates: bool) -> Markup:
    """Draw what happened beside what was predicted, by time."""
    at = [part.at for part in listed]
    series = (("actual", at, [part.actual for part in listed]), ("predicted", at, [part.predicted for part in listed]))
    return curves(title, series, x, y, dates=dates)


def dependence(drawn: Dependence, y: str, ends: Ends) -> Markup:
    """Draw the predictions of a column's values: the mean strong, single rows faint.

    Args:
        y: what is predicted.
        ends: of the predictions, so that columns side by side have the same scale.
    """
    names = [cut(line.name, 24) for line in drawn.lines]
    means = "; ".join(
        f"{name or 'the mean'} goes from {min(line.y):.4g} to {max(line.y):.4g}"
        for name, line in zip(names, drawn.lines, strict=True)
    )
    description = f"Prediction by {cut(drawn.column, 40)}: {means}."
    if drawn.values:
        return _dependence_on_names(drawn, y, ends, names, description)
    at = drawn.numbers
    plot = _Plot(spread(at), ends, cut(drawn.column, 40), y, legend=names, dates=drawn.is_date)
    shapes = [f'<polyline class="single" points="{plot.points(at, line)}"/>' for line in drawn.single]
    shapes += [
        f'<polyline class="line-{position % _LINES}" points="{plot.points(at, line.y)}"/>'
        for position, line in enumerate(drawn.lines)
    ]
    return plot.image(description, shapes)


def _dependence_on_names(drawn: Dependence, x: str, ends: Ends, legend: Sequence[str], description: str) -> Markup:
    """Draw the predictions of the values of a category, one below the other."""
    height = BOTTOM + TOP + LEGEND + 20 * len(drawn.values)
    plot = _Plot(ends, (0, 1), x, cut(drawn.column, 24), legend=legend, height=height, names=drawn.values)

    def shapes() -> Iterator[str]:
        for line in drawn.single:
            for position, value in enumerate(line):
                yield f'<circle class="single" cx="{plot.x.at(value)}" cy="{plot.y.at(position)}" r="2"/>'
        for kind, means in enumerate(drawn.lines):
            for position, value in enumerate(means.y):
                at = f'cx="{plot.x.at(value)}" cy="{plot.y.at(position)}"'
                yield f'<circle class="line-{kind % _LINES} point" {at} r="4.5"/>'

    return plot.image(description, shapes())


def calibration(bins: Sequence[Bin]) -> Markup:
    """Draw predicted probability against observed share, one dot per bin, its area by the bin's rows."""
    filled = [part for part in bins if part.rows]
    most = max((part.rows for part in filled), default=1)
    plot = _Plot((0, 1), (0, 1), "predicted probability", "observed share")

    def shapes() -> Iterator[str]:
        yield plot.diagonal(0, 1)
        line = plot.points([part.mean_predicted for part in filled], [part.observed for part in filled])
        yield f'<polyline class="line-0 thin" points="{line}"/>'
        for part in filled:
            radius = math.sqrt(6 + 40 * part.rows / most)
            at = f'cx="{plot.x.at(part.mean_predicted)}" cy="{plot.y.at(part.observed)}"'
            yield f'<circle class="line-0 point" {at} r="{radius:.1f}"/>'

    points = "; ".join(
        f"predicted {part.mean_predicted:.2f}, observed {part.observed:.2f} in {part.rows} rows" for part in filled
    )
    return plot.image(
        f"Calibration. Points on the dashed diagonal are perfectly calibrated. {points}.", shapes(), "calibration"
    )


def histogram(title: str, edges: Sequence[float], counts: Sequence[float], x: str) -> Markup:
    """Draw rows by value, with a line at zero."""
    plot = _Plot((edges[0], edges[-1]), (0, max(counts) * 1.04 or 1), x, "rows")

    def shapes() -> Iterator[str]:
        yield f'<path class="area" d="{steps(plot.x, plot.y, edges, counts)}"/>'
        if edges[0] < 0 < edges[-1]:
            yield plot.upright(0, "zero")

    fullest = f"the fullest with {max(counts)} rows"
    described = f"{title}. {x}: {len(counts)} bins from {edges[0]:.4g} to {edges[-1]:.4g}, {fullest}."
    return plot.image(described, shapes())


def density(
    title: str, x_edges: Sequence[float], y_edges: Sequence[float], counts: Sequence[Sequence[float]]
) -> Markup:
    """Rows by predicted (x) and actual (y) value; ``counts[i][j]`` is for predicted bin i and actual bin j."""
    plot = _Plot((x_edges[0], x_edges[-1]), (y_edges[0], y_edges[-1]), "predicted", "actual", height=HEIGHT + 40)
    most = max(max(column) for column in counts) or 1
    shades: list[list[str]] = [[] for _ in range(_SHADES)]
    for i, column in enumerate(counts):
        left, right = plot.x.at(x_edges[i]), plot.x.at(x_edges[i + 1])
        for j, count in enumerate(column):
            if count:
                shade = min(_SHADES - 1, int(_SHADES * math.sqrt(count / most)))
                low, high = plot.y.at(y_edges[j]), plot.y.at(y_edges[j + 1])
                shades[shade].append(f"M{left} {low}H{right}V{high}H{left}z")

    def shapes() -> Iterator[str]:
        for shade, cells in enumerate(shades):
            if cells:
                yield f'<path class="cell" fill-opacity="{(shade + 1) / _SHADES:.2f}" d="{"".join(cells)}"/>'
        yield plot.diagonal(max(x_edges[0], y_edges[0]), min(x_edges[-1], y_edges[-1]))

    return plot.image(
        f"{title}. Stronger cells hold more rows; a perfect model has them all on the dashed diagonal.", shapes()
    )


def steps(x: Axis, y: Axis, edges: Sequence[float], heights: Sequence[float]) -> str:
    """Return the path of a histogram's outline, closed along its base."""
    outline = "".join(f"V{y.at(height)}H{x.at(edge)}" for height, edge in zip(heights, edges[1:], strict=True))
    return f"M{x.at(edges[0])} {y.at(0)}{outline}V{y.at(0)}z"


def overlay(train: Sequence[int], test: Sequence[int]) -> Markup:
    """Return two histograms over one another, each by the shares of its part: training rows as area, test rows as line.

    It has no words: the numbers beside it say the rest.
    """
    shares = [[rows / (sum(part) or 1) for rows in part] for part in (train, test)]
    edges = [float(i) for i in range(len(train) + 1)]
    x, y = Axis(0, len(train) or 1, 1, 119), Axis(0, max(map(max, shares)) or 1, 33, 2)
    area, line = (steps(x, y, edges, part).replace(".0", "") for part in shares)
    start = Markup('<svg class="overlay" aria-hidden="true" viewBox="0 0 120 34" preserveAspectRatio="none">')
    return start + Markup('<path class="train" d="{}"/><path class="test" d="{}"/></svg>').format(area, line)


class _Plot:
    """A pair of axes with grid, ticks and labels, into which shapes are drawn."""

    def __init__(
        self,
        x: Ends,
        y: Ends,
        x_label: str,
        y_label: str,
        *,
        legend: Sequence[str] = (),
        height: float = HEIGHT,
        dates: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        top = TOP + (LEGEND if len(legend) > 1 else 0)
        self.height = height
        base = height - BOTTOM
        self.y = Names(len(names) - 0.4, -0.6, base, top, names) if names else Axis(*y, base, top)
        left = 30 + _LETTER * max(len(self.y.label(tick)) for tick in self.y.ticks())
        self.x = (Dates if dates else Axis)(*x, left, WIDTH - RIGHT)
        letters = int(((WIDTH - RIGHT - _LEGEND_START) / max(1, len(legend)) - _LEGEND_SAMPLE) / _LEGEND_LETTER)
        self._labels, self._legend = (x_label, y_label), [cut(name, letters) for name in legend]

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{self.x.at(x)},{self.y.at(y)}" for x, y in zip(xs, ys, strict=True))

    def upright(self, x: float, kind: str) -> str:
        at = self.x.at(x)
        return f'<line class="{kind}" x1="{at}" x2="{at}" y1="{self.y.start:.1f}" y2="{self.y.end:.1f}"/>'

    def level(self, y: float, kind: str) -> str:
        at = self.y.at(y)
        return f'<line class="{kind}" x1="{self.x.start:.1f}" x2="{self.x.end:.1f}" y1="{at}" y2="{at}"/>'

    def diagonal(self, low: float, high: float) -> str:
        start, end = f'x1="{self.x.at(low)}" y1="{self.y.at(low)}"', f'x2="{self.x.at(high)}" y2="{self.y.at(high)}"'
        return f'<line class="ideal" {start} {end}/>'

    def image(self, description: str, shapes: Iterable[str], kind: str = "") -> Markup:
        """Return the whole drawing; ``shapes`` are our own markup, made of numbers and class names only."""
        parts = Markup("").join([*self._frame(), *map(Markup, shapes), *self._legends()])
        start = Markup('<svg class="plot {}" role="img" aria-label="{}" viewBox="0 0 {} {}">')
        return start.format(kind, description, WIDTH, self.height) + parts + Markup("</svg>")

    def _frame(self) -> Iterator[Markup]:
        base, left, right = f"{self.y.start:.1f}", f"{self.x.start:.1f}", f"{self.x.end:.1f}"
        for tick in self.y.ticks():
            at = self.y.at(tick)
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, at, at)
            yield _text(self.x.start - 5, float(at) + 4, self.y.label(tick), "end")
        for tick in self.x.ticks():
            at = self.x.at(tick)
            yield Markup('<line class="tick" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                at, at, base, f"{self.y.start + 4:.1f}"
            )
            label = self.x.label(tick)
            middle = min(float(at), WIDTH - 3.8 * len(label))  # not beyond the edge
            yield _text(middle, self.y.start + 16, label, "middle")
        yield Markup('<path class="axes" d="M{} {}V{}H{}"/>').format(left, f"{self.y.end:.1f}", base, right)
        middle = (self.y.start + self.y.end) / 2
        yield _text((self.x.start + self.x.end) / 2, self.height - 6, self._labels[0], "middle")
        turned = Markup('<text transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text>')
        yield turned.format(f"{middle:.1f}", self._labels[1])

    def _legends(self) -> Iterator[Markup]:
        at = min(self.x.start, _LEGEND_START)
        for position, name in enumerate(self._legend if len(self._legend) > 1 else ()):
            yield Markup('<polyline class="line-{}" points="{},11 {},11"/>').format(
                position % _LINES, f"{at:.1f}", f"{at + 24:.1f}"
            )
            yield _text(at + 29, 15, name, "start")
            at += _LEGEND_SAMPLE + _LEGEND_LETTER * len(name)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(f"{x:.1f}", f"{y:.1f}", anchor, text)
