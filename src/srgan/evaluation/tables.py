"""Scores as lines of text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from srgan.evaluation.results import SetScores, differences, fewer, metrics_of, protocol_lines
from srgan.evaluation.statistics import Interval

DECIBEL = frozenset({"psnr_y", "psnr_rgb", "lr_psnr"})


def tables(results: Sequence[SetScores], *, pictures: bool = False, checksums: Mapping[str, str] | None = None) -> str:
    """Return a table for each folder, with means, their intervals and differences, and the protocol below all.

    `pictures` adds a table of each picture's scores; `checksums` are of the files with perceptual weights.
    """
    lines: list[str] = []
    for folder, group in groupby(results, key=lambda r: r.folder):
        lines += [*_one_folder(folder, list(group), pictures=pictures), ""]
    told = (f"  {name:<10} {text}" for name, text in protocol_lines(results, checksums or {}))
    return "\n".join([*lines, "Protocol", *told])


def number(metric: str, value: float, *, signed: bool = False) -> str:
    """Return a value as tables have it: decibels, NIQE and levels with 2 digits, the others with 4."""
    digits = 2 if metric in DECIBEL or metric in ("niqe", "grid") else 4
    return f"{value:{'+' if signed else ''}.{digits}f}"


def counted(results: Sequence[SetScores]) -> str:
    """Return how many pictures a folder has, and of how many some means are."""
    some = "".join(f", {name} of {count}" for name, count in fewer(results).items())
    return f"{len(results[0].scores)} pictures{some}"


def labels(models: Iterable[str]) -> dict[str, str]:
    """Return what each model is called: of a name over 30 characters, a path, so much of its end as no other has."""
    names = list(dict.fromkeys(models))
    for length in range(30, max(map(len, names), default=0)):
        shown = {name: name if len(name) <= length else "..." + name[3 - length :] for name in names}
        if len({*shown.values()}) == len(names):
            return shown
    return {name: name for name in names}


def _one_folder(folder: str, results: list[SetScores], *, pictures: bool) -> Iterator[str]:
    metrics = metrics_of(results)
    called = labels(r.model for r in results)
    shown = [called[r.model] for r in results]
    changes = differences(results)
    titles = [f"{called[d.model]} - {called[d.baseline]}" for d in changes]
    width = max(map(len, [*shown, *titles, "  95 % from"])) + 1

    def line(title: str, values: Mapping[str, float], *, signed: bool = False) -> str:
        cells = (number(m, values[m], signed=signed) if m in values else "-" for m in metrics)
        return f"{title:<{width}}" + "".join(f"{cell:>10}" for cell in cells)

    def limits(intervals: Mapping[str, Interval | None], *, signed: bool = False) -> Iterator[str]:
        known = {m: i for m, i in intervals.items() if i is not None}
        if known:
            yield line("  95 % from", {m: i[0] for m, i in known.items()}, signed=signed)
            yield line("         to", {m: i[1] for m, i in known.items()}, signed=signed)

    yield f"{folder}: {counted(results)}, lr by {results[0].lr}"
    yield " " * width + "".join(f"{name:>10}" for name in metrics)
    for title, r in zip(shown, results, strict=True):
        yield line(title, r.mean())
        yield from limits(r.interval())
    for title, d in zip(titles, changes, strict=True):
        yield line(title, d.mean, signed=True)
        yield from limits(d.interval, signed=True)
    if pictures:
        for place, score in enumerate(results[0].scores):
            yield score.picture
            for title, r in zip(shown, results, strict=True):
                yield line(f"  {title}", r.scores[place].values)
