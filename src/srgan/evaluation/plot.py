"""The plane of perception and distortion (Blau & Michaeli 2018) as SVG: LPIPS against PSNR."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from srgan.evaluation.published import Published
from srgan.evaluation.results import SetScores
from srgan.evaluation.statistics import Interval
from srgan.evaluation.tables import labels

WIDTH, HEIGHT, MARGIN = 720, 440, 56


@dataclass(frozen=True)
class _Axis:
    """A range of values over pixels from `start` to `end`, with a mark at each multiple of `step`."""

    low: float
    high: float
    start: float
    end: float
    step: float

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def marks(self) -> list[float]:
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [i * self.step for i in range(first, last + 1)]


def plot(results: Sequence[SetScores], theirs: Sequence[Published]) -> str:
    """Return the plot as SVG: filled points measured, with their intervals, rings published.

    Empty where nothing was measured with both metrics.
    """
    means = {r.model: r.mean() for r in results}
    ours = [r for r in results if all(math.isfinite(means[r.model].get(m, math.nan)) for m in ("psnr_y", "lpips"))]
    rings = [row for row in theirs if "lpips" in row.values]
    if not ours:
        return ""
    points = [means[r.model] for r in ours] + [row.values for row in rings]
    x = _axis([p["psnr_y"] for p in points], MARGIN, WIDTH - 16)
    y = _axis([p["lpips"] for p in points], HEIGHT - MARGIN, 16)
    parts, called = [_frame(x, y)], labels(r.model for r in ours)
    for row in rings:
        at = (x.place(row.values["psnr_y"]), y.place(row.values["lpips"]))
        parts.append(f'<circle class="theirs" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5"/>')
        parts.append(f'<text x="{at[0] + 9:.1f}" y="{at[1] + 4:.1f}" opacity=".75">{escape(row.method)}</text>')
    for r in ours:
        at = (x.place(means[r.model]["psnr_y"]), y.place(means[r.model]["lpips"]))
        limits = r.interval()
        parts.append(_bars(x, y, at, limits["psnr_y"], limits["lpips"]))
        parts.append(f'<circle class="ours" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5"/>')
        parts.append(
            f'<text x="{at[0] - 9:.1f}" y="{at[1] - 8:.1f}" text-anchor="end" style="font-weight: 700">'
            f"{escape(called[r.model])}</text>"
        )
    sources = "; ".join(dict.fromkeys(row.source for row in rings))
    caption = "Filled: measured, with 95 percent intervals, cut at the frame."
    caption += f" Rings: published, {sources}." if rings else ""
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        f' aria-label="LPIPS against PSNR">{"".join(parts)}</svg>'
        f'<figcaption style="max-width: 46em">{escape(caption)}</figcaption></figure>'
    )


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    """Return an axis with some room beside the values, marked at a round step."""
    spread = max(values) - min(values) or abs(values[0]) or 1.0
    low, high = min(values) - 0.15 * spread, max(values) + 0.15 * spread
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(f * power for f in (1, 2, 5, 10) if (high - low) / (f * power) <= 8)
    return _Axis(low, high, start, end, step)


def _frame(x: _Axis, y: _Axis) -> str:
    parts = []
    for value in x.marks():
        at = x.place(value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{y.start}" y2="{y.end}"/>')
        parts.append(f'<text x="{at:.1f}" y="{y.start + 18}" text-anchor="middle">{value:g}</text>')
    for value in y.marks():
        at = y.place(value)
        parts.append(f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{x.start - 8}" y="{at + 4:.1f}" text-anchor="end">{round(value, 6):g}</text>')
    parts.append(f'<path class="axis" fill="none" d="M{x.start} {y.end}V{y.start}H{x.end}"/>')
    parts.append(f'<text x="{x.end}" y="{y.start + 40}" text-anchor="end">PSNR-Y in dB, right is nearer</text>')
    parts.append(f'<text x="{x.start + 8}" y="{y.end + 10}">LPIPS (AlexNet), low looks nearer</text>')
    return "".join(parts)


def _bars(x: _Axis, y: _Axis, at: tuple[float, float], across: Interval | None, up: Interval | None) -> str:
    """Return the lines of the intervals, as far as they are inside the frame."""
    if across is None or up is None:
        return ""
    left, right = (min(max(x.place(value), x.start), x.end) for value in across)
    low, high = (min(max(y.place(value), y.end), y.start) for value in up)
    return (
        f'<line class="error" x1="{left:.1f}" x2="{right:.1f}" y1="{at[1]:.1f}" y2="{at[1]:.1f}"/>'
        f'<line class="error" x1="{at[0]:.1f}" x2="{at[0]:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    )
