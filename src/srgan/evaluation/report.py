"""A page of HTML that shows an evaluation: tables, plots, and the crops where models differ most.

The page holds all that it shows and opens without a network.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.atomic import written_whole
from srgan.data.folders import Picture8
from srgan.data.pairs import SCALE
from srgan.evaluation.meters import HIGHER_IS_BETTER
from srgan.evaluation.plot import plot
from srgan.evaluation.protocol import versions
from srgan.evaluation.published import Published, published
from srgan.evaluation.results import SetScores, differences, metrics_of, protocol_lines
from srgan.evaluation.run import Shot
from srgan.evaluation.statistics import Interval
from srgan.evaluation.tables import counted, labels, number
from srgan.image.resize import imresize

CROP = 160
"""The side of a crop in hr pixels, a multiple of the scale."""

MOST = 12
"""How many pictures of a folder are shown: those on which models differ most."""


@dataclass(frozen=True)
class _Crops:
    """The same window of every version of a picture, as PNG, with a line about each."""

    folder: str
    picture: str
    place: str
    difference: float
    versions: tuple[tuple[str, str, bytes], ...]


class Report:
    """Takes each picture's crops as it is measured, so that whole pictures need not be kept."""

    def __init__(self) -> None:
        self._crops: list[_Crops] = []

    def add(self, shot: Shot) -> None:
        """Keep the window of a picture where the models' results differ most (one model alone: from hr)."""
        hr, lr = shot.pair.hr, shot.pair.lr
        results, called = list(shot.results.values()), labels(shot.results)
        height, width = (min(CROP, side) for side in hr.shape[:2])
        top, left, difference = most_different(results if len(results) > 1 else [*results, hr], height, width)
        bicubic = [] if "bicubic" in shot.results else [("bicubic", "", imresize(lr, scale=float(SCALE)))]
        pictures = [
            ("low resolution", "each pixel four times", lr.repeat(SCALE, 0).repeat(SCALE, 1)),
            *bicubic,
            *((called[model], _scores_line(shot.scores[model]), sr) for model, sr in shot.results.items()),
            ("original", "", hr),
        ]
        window = (slice(top, top + height), slice(left, left + width))
        self._crops.append(
            _Crops(
                shot.folder,
                shot.pair.file.name,
                f"columns {left} to {left + width - 1}, rows {top} to {top + height - 1}",
                difference,
                tuple((name, line, _png(picture[window])) for name, line, picture in pictures),
            )
        )

    def write(self, path: Path, results: Sequence[SetScores], checksums: Mapping[str, str]) -> None:
        """Write the page, whole or not at all; names that are not Unicode have backslashes in it."""
        template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
        folders = list(dict.fromkeys(r.folder for r in results))
        page = template.substitute(
            title=escape(f"{', '.join(labels(r.model for r in results).values())} on {', '.join(folders)}"),
            version=escape(versions()["srgan"]),
            crop=CROP,
            sets="\n".join(self._one_set(name, list(group)) for name, group in groupby(results, lambda r: r.folder)),
            protocol="".join(_protocol(results, checksums)),
        )
        with written_whole(path) as file:
            file.write(page.encode("utf-8", "backslashreplace"))

    def _one_set(self, folder: str, results: list[SetScores]) -> str:
        theirs = published(folder)
        crops = sorted((c for c in self._crops if c.folder == folder), key=lambda c: -c.difference)
        shown = len(crops[:MOST])
        note = f"{shown} of {len(crops)} pictures, those on which the models differ most." if len(crops) > MOST else ""
        return "\n".join(
            [
                f"<h2>{escape(folder)}</h2>",
                _means(results),
                _changes(results),
                plot(results, theirs),
                _published(theirs),
                _details(results),
                f"<h3>Where they differ most</h3><p>{note} Move over the lower picture, or its slider, to compare.</p>"
                '<div class="tools sticky"><label>zoom <input class="zoom" type="range" min="1" max="8" step="0.25"'
                ' value="1.25"></label></div>',
                *(_picture(c) for c in crops[:MOST]),
            ]
        )


def most_different(pictures: Sequence[Picture8], height: int, width: int) -> tuple[int, int, float]:
    """Return top and left of the window where pictures of the same shape differ most, and by how many levels.

    What counts is the spread of the values between the pictures, the mean over the window.
    """
    stack = np.stack(pictures).astype(np.float32)
    spread = stack.max(axis=0) - stack.min(axis=0)
    plane = spread.mean(axis=2) if spread.ndim == 3 else spread
    sums = np.pad(plane.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    means: NDArray[np.float64] = sums[height:, width:] - sums[:-height, width:]
    means = (means - sums[height:, :-width] + sums[:-height, :-width]) / (height * width)
    top, left = (int(i) for i in np.unravel_index(np.argmax(means), means.shape))
    return top, left, float(means[top, left])


def _png(picture: Picture8) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()


def _scores_line(values: Mapping[str, float]) -> str:
    chosen = [name for name in ("psnr_y", "lpips") if name in values]
    return ", ".join(f"{name} {number(name, values[name])}" for name in chosen)


def _cell(
    metric: str, value: float | None, limits: Interval | None, *, signed: bool = False, best: bool = False
) -> str:
    if value is None:
        return "<td>-</td>"
    low_high = "" if limits is None else " to ".join(number(metric, limit, signed=signed) for limit in limits)
    mark = ' class="best"' if best else ""
    return f"<td{mark}>{number(metric, value, signed=signed)}<small>{low_high}</small></td>"


def _head(first: str, metrics: Sequence[str]) -> str:
    return f"<tr><th>{first}</th>{''.join(f'<th>{escape(m)}</th>' for m in metrics)}</tr>"


def _table(caption: str, rows: Sequence[str]) -> str:
    return f'<div class="scroll"><table><caption>{caption}</caption>{"".join(rows)}</table></div>'


def _means(results: Sequence[SetScores]) -> str:
    metrics, called = metrics_of(results), labels(r.model for r in results)
    means = [r.mean() for r in results]
    best = {m: (max if m in HIGHER_IS_BETTER else min)(mean[m] for mean in means if m in mean) for m in metrics}
    rows = [_head("measured", metrics)]
    for r, mean in zip(results, means, strict=True):
        limits = r.interval()
        cells = (
            _cell(m, mean.get(m), limits.get(m), best=len(results) > 1 and mean.get(m) == best[m]) for m in metrics
        )
        rows.append(f"<tr><td>{escape(called[r.model])}</td>{''.join(cells)}</tr>")
    return _table(f"{counted(results)}, low resolution by {escape(results[0].lr)}", rows)


def _changes(results: Sequence[SetScores]) -> str:
    metrics, called = metrics_of(results), labels(r.model for r in results)
    rows = [_head("difference", metrics)]
    for d in differences(results):
        cells = (_cell(m, d.mean.get(m), d.interval.get(m), signed=True) for m in metrics)
        title = f"{called[d.model]} - {called[d.baseline]}"
        rows.append(f"<tr><td>{escape(title)}</td>{''.join(cells)}</tr>")
    return _table("of the same pictures; an interval without zero is a difference to trust", rows) if rows[1:] else ""


def _published(rows: Sequence[Published]) -> str:
    if not rows:
        return ""
    metrics = list(dict.fromkeys(name for row in rows for name in row.values))
    lines = [_head("published, not measured here", [*metrics, "source"])]
    for row in rows:
        cells = "".join(_cell(m, row.values.get(m), None) for m in metrics)
        lines.append(f"<tr><td>{escape(row.method)}</td>{cells}<td>{escape(row.source)}</td></tr>")
    return f"<details><summary>Published figures</summary>{_table('as their authors measured', lines)}</details>"


def _details(results: Sequence[SetScores]) -> str:
    metrics, called = metrics_of(results), labels(r.model for r in results)
    rows = [_head("picture and model", metrics)]
    for place, score in enumerate(results[0].scores):
        for r in results:
            values = r.scores[place].values
            cells = "".join(_cell(m, values.get(m), None) for m in metrics)
            rows.append(f"<tr><td>{escape(score.picture)} {escape(called[r.model])}</td>{cells}</tr>")
    return f"<details><summary>Each picture</summary>{_table('', rows)}</details>"


def _picture(crops: _Crops) -> str:
    figures, options = [], []
    for place, (name, line, png) in enumerate(crops.versions):
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        alt = f"{crops.picture}: {name}"
        figures.append(
            f'<figure><div class="window"><img src="{source}" alt="{escape(alt)}"></div>'
            f"<figcaption>{escape(name)}<small>{escape(line)}</small></figcaption></figure>"
        )
        options.append(f'<option value="{place}">{escape(name)}</option>')
    last = max(len(options) - 2, 2)  # the last model; beside the only one the original
    right = options.copy()
    right[last] = right[last].replace("<option ", "<option selected ")
    left = options.copy()
    left[1] = left[1].replace("<option ", "<option selected ")
    return (
        f'<section class="picture"><h3>{escape(crops.picture)}</h3><p>{escape(crops.place)}; the results differ by'
        f' {crops.difference:.1f} levels on the mean</p><div class="crops">{"".join(figures)}</div>'
        f'<div class="tools"><label>left <select>{"".join(left)}</select></label><label>right <select>{"".join(right)}'
        '</select></label><label>slider <input class="split" type="range" min="0" max="100" value="50" step="0.5">'
        '</label></div><div class="compare"><div class="stack"><img alt=""><img class="over" alt="">'
        '<div class="bar"></div></div></div></section>'
    )


def _protocol(results: Sequence[SetScores], checksums: Mapping[str, str]) -> Iterator[str]:
    for name, text in protocol_lines(results, checksums):
        yield f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
