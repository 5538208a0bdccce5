"""Files, folders and globs of pictures through a network, each to a file of its own."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from srgan.errors import ArgumentError, InferenceError, OutputError, PictureError, SrganError
from srgan.image.reading import PICTURE_SUFFIXES, read_picture
from srgan.image.writing import RESULT_FORMATS, check_result, write_picture
from srgan.inference.upscaler import Progress, Upscaler

BatchProgress: TypeAlias = Callable[[float, int], None]
"""Is told how many pictures are done, the fraction of the one under way included, and how many there are."""


@dataclass(frozen=True)
class Job:
    """A picture to upscale and where the result goes."""

    source: Path
    target: Path


@dataclass
class Outcome:
    """What became of a batch: the results written, those that were there already, and the errors."""

    done: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    errors: list[SrganError] = field(default_factory=list)


@dataclass(frozen=True)
class _Source:
    path: Path
    below: Path  # the folder under which it was found, and below which -o mirrors its place


def upscale_files(
    upscaler: Upscaler,
    inputs: Sequence[str],
    output: Path | None = None,
    *,
    overwrite: bool = False,
    progress: BatchProgress | None = None,
    on_error: Callable[[SrganError], None] | None = None,
) -> Outcome:
    """Upscale the pictures that files, folders and globs stand for, as `plan_batch` says.

    Keeps the results that are there, unless `overwrite` is set, and goes on after an error with a picture;
    `on_error` is told of each as it happens. Raises ArgumentError before any work, as `plan_batch` does.
    """
    jobs, errors = plan_batch(inputs, output, upscaler.scale)
    outcome = Outcome()

    def failed(error: SrganError) -> None:
        outcome.errors.append(error)
        if on_error is not None:
            on_error(error)

    def tell(before: int, fraction: float) -> None:
        if progress is not None:
            progress(before + fraction, len(jobs))

    for error in errors:
        failed(error)
    for number, job in enumerate(jobs):
        tell(number, 0)
        try:
            if not overwrite and _is_there(job.target):
                outcome.skipped.append(job.target)
            else:
                _upscale_file(upscaler, job, partial(tell, number))
                outcome.done.append(job.target)
        except SrganError as error:
            failed(error)
    tell(len(jobs), 0)
    return outcome


def plan_batch(inputs: Sequence[str], output: Path | None, scale: int) -> tuple[list[Job], list[SrganError]]:
    """Return the jobs for files, folders (searched through) and globs, and the inputs that came to nothing.

    The result of photo.jpg is photo_x4.png, for a scale of 4, beside it, or below `output` as the picture lies
    below the folder that was given. `output` may also name the one result, as .png, .jpg or .webp. Where
    photo.jpg and photo.png would have the same result, theirs are photo.jpg_x4.png and photo.png_x4.png. Left
    out are pictures in folders that are named like results, and inputs named like the result of another.

    Raises ArgumentError where results would still fall on each other or on an input, or where `output` cannot
    be what it is used as.
    """
    ending = f"_x{scale}.png"
    errors: list[SrganError] = []
    found: dict[Path, _Source] = {}
    for name in inputs:
        try:
            for source in _find(name, ending, errors):
                found.setdefault(source.path.resolve(), source)
        except PictureError as error:
            errors.append(error)
        except OSError as error:
            errors.append(PictureError(f"{name}: {error.strerror}"))
    sources = _without_results(list(found.values()), ending)
    if output is not None and _is_file_name(output):
        if len(inputs) > 1 or len(sources) > 1 or Path(inputs[0]).is_dir():
            raise ArgumentError(f"{output} can hold one result: give one picture, or a folder for the results")
        targets = [output for _ in sources]
    else:
        if output is not None and output.exists() and not output.is_dir():
            raise ArgumentError(f"{output} is a file, and neither a folder nor a .png, .jpg or .webp")
        targets = _name_results(sources, output, ending)
    jobs = [Job(source.path, target) for source, target in zip(sources, targets, strict=True)]
    _refuse_clashes(jobs)
    return jobs, errors


def _is_there(target: Path) -> bool:
    try:
        return target.is_file()
    except OSError as error:
        raise OutputError(f"{target}: {error.strerror}") from error


def _upscale_file(upscaler: Upscaler, job: Job, progress: Progress) -> None:
    try:
        picture = read_picture(job.source)
        check_result(job.target, picture, upscaler.scale)
        write_picture(upscaler.upscale_picture(picture, progress), job.target)
    except MemoryError as error:
        raise InferenceError(f"{job.source}: not enough memory for this picture and its result") from error
    except InferenceError as error:
        raise InferenceError(f"{job.source}: {error}") from error


def _find(name: str, ending: str, errors: list[SrganError]) -> list[_Source]:
    """Return the pictures that an input stands for. Raises PictureError or OSError where there are none.

    Folders inside that cannot be searched are added to `errors`.
    """
    path = Path(name)
    if path.is_dir():
        found = [_Source(inner, path) for inner in _pictures_below(path, ending, errors)]
        if not found:
            raise PictureError(f"{name}: no pictures in this folder (results named *{ending} do not count)")
    elif path.exists():
        found = [_Source(path, path.parent)]
    elif glob.has_magic(name):
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        matches = (Path(match) for match in sorted(glob.glob(name, recursive=True)))  # noqa: PTH207
        found = [_Source(match, root) for match in matches if _is_picture(match, ending)]
        if not found:
            raise PictureError(f"{name}: no picture has a name like this (results named *{ending} do not count)")
    else:
        raise PictureError(f"{name}: no such file or folder")
    return found


def _pictures_below(folder: Path, ending: str, errors: list[SrganError]) -> list[Path]:
    def unreadable(error: OSError) -> None:
        errors.append(PictureError(f"{error.filename}: {error.strerror}"))

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        paths = (Path(place, name) for name in sorted(names))
        found += [path for path in paths if _is_picture(path, ending)]
    return found


def _is_picture(path: Path, ending: str) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.endswith(ending) and path.is_file()


def _without_results(sources: list[_Source], ending: str) -> list[_Source]:
    """Leave out what a shell's *.png finds of an earlier run: results that lie beside their pictures."""
    given = {source.path.parent / name for source in sources for name in (source.path.name, source.path.stem)}

    def is_result(path: Path) -> bool:
        return path.name.endswith(ending) and path.parent / path.name.removesuffix(ending) in given

    return [source for source in sources if not is_result(source.path)]


def _is_file_name(output: Path) -> bool:
    """Tell whether `output` is a result rather than a folder. Raises ArgumentError for a format not written."""
    suffix = output.suffix.lower()
    if output.is_dir() or suffix not in PICTURE_SUFFIXES:
        return False
    if suffix not in RESULT_FORMATS:
        raise ArgumentError(f"{output}: results are written as {', '.join(RESULT_FORMATS)}")
    return True


def _name_results(sources: list[_Source], output: Path | None, ending: str) -> list[Path]:
    """Name each result by the picture's stem, or by its whole name where the stems of two meet."""
    folders = [
        source.path.parent if output is None else output / source.path.parent.relative_to(source.below)
        for source in sources
    ]
    short = [folder / f"{source.path.stem}{ending}" for folder, source in zip(folders, sources, strict=True)]
    uses = Counter(os.path.normcase(target) for target in short)
    return [
        target if uses[os.path.normcase(target)] == 1 else folder / f"{source.path.name}{ending}"
        for target, folder, source in zip(short, folders, sources, strict=True)
    ]


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    first: dict[str, Path] = {}
    for job in jobs:
        if job.target.resolve() in sources:
            raise ArgumentError(f"{job.target} is an input: a result cannot take its place")
        other = first.setdefault(os.path.normcase(job.target.resolve()), job.source)
        if other is not job.source:
            raise ArgumentError(f"{other} and {job.source} would both become {job.target}: do one after the other")
