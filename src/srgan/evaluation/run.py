"""Every model on every picture of every folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from srgan.data.folders import Pair, Picture8, TestFolder
from srgan.data.pairs import refuse_shared
from srgan.errors import ArgumentError, DataError
from srgan.evaluation.meters import Meters, Profile
from srgan.evaluation.results import Score, SetScores
from srgan.evaluation.sources import Bicubic, FolderSource, NetworkSource, Source


@dataclass(frozen=True)
class Shot:
    """One picture with every model's result and scores."""

    folder: str
    pair: Pair
    results: dict[str, Picture8]
    scores: dict[str, dict[str, float]]


def evaluate(
    models: Sequence[str],
    folders: Sequence[str | Path],
    *,
    made: Sequence[str | Path] = (),
    lr: str | Path | None = None,
    meters: Meters | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    profile: Profile | None = None,
    watch: Callable[[Shot], None] | None = None,
) -> Iterator[SetScores]:
    """Yield the scores of every model on every folder of high-resolution pictures, one folder after the other.

    models   "bicubic", shipped names, "auto" or "auto-fast", by what each lr is like, or .onnx or .safetensors files
    made     folders with results that other programs made
    lr       folder with low-resolution pictures in place of those that a test folder has or bicubic makes: named like
             hr, or with x4 or _x4 behind, in it or in folders inside it that are named like the test folders
    meters   what to measure; by default all that needs no weights
    threads  how many processors to use, in PyTorch for the learned metrics as well
    profile  is told where the time goes
    watch    is told of each picture, when it is measured

    Raises ArgumentError where nothing is to be measured or a model is given twice, DataError for a folder
    without pictures, or whose low-resolution pictures or results are not there or do not fit.
    """
    if isinstance(models, str) or isinstance(folders, str):
        raise ArgumentError("models and folders are lists")
    if len({*models, *map(str, made)}) < len(models) + len(made):
        raise ArgumentError("a model is given twice")
    if not models and not made:
        raise ArgumentError("nothing to measure: name a model, or a folder of results with --sr")
    if threads is not None:
        if threads < 1:
            raise ArgumentError(f"{threads} threads cannot compute: at least 1")
        torch.set_num_threads(threads)
    tests = [TestFolder(Path(folder), None if lr is None else Path(lr)) for folder in folders]
    if len({test.name for test in tests}) < len(tests):
        raise ArgumentError("two folders of the same name: their scores could not be told apart")
    if lr is not None:
        refuse_shared({file: partner for test in tests for file, partner in test.partners.items()})
    profile = profile or Profile()
    with profile("loading"):
        meters = meters or Meters()
        sources: list[Source] = [_source(model, precision, threads) for model in models]
        sources += [FolderSource(Path(path), tests) for path in made]
    for test in tests:
        yield from _one_folder(test, sources, meters, profile, watch)


def _source(model: str, precision: str, threads: int | None) -> Source:
    return Bicubic() if model == "bicubic" else NetworkSource(model, precision, threads)


def _one_folder(
    test: TestFolder,
    sources: Sequence[Source],
    meters: Meters,
    profile: Profile,
    watch: Callable[[Shot], None] | None,
) -> Iterator[SetScores]:
    scores: dict[str, list[Score]] = {source.name: [] for source in sources}
    pairs = iter(test)
    while True:
        with profile("reading"):
            pair = next(pairs, None)
        if pair is None:
            break
        results = {}
        for source in sources:
            with profile("upscaling"):
                results[source.name] = source(pair)
        try:
            values = meters.measure(list(results.values()), pair.hr, pair.lr, profile)
        except DataError as error:
            raise DataError(f"{pair.file}: {error}") from error
        measured = dict(zip(results, values, strict=True))
        for name, found in measured.items():
            scores[name].append(Score(pair.file.name, found))
        if watch is not None:
            watch(Shot(test.name, pair, results, measured))
    for source in sources:
        pictures = tuple(scores[source.name])
        yield SetScores(source.name, test.name, source.device, pictures, source.weights, test.lr, meters.border)
