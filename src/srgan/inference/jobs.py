"""Which pictures files, folders and globs stand for, and where each one's result goes."""

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from srgan.errors import ArgumentError, PictureError
from srgan.image.reading import PICTURE_SUFFIXES, files_below, is_hidden
from srgan.image.size import Size
from srgan.image.writing import FORMATS, RESULT_FORMATS, SAME, own_format
from srgan.image.xmp import is_marked

STREAM = "-"
"""The input that is standard input, and the output that is standard output."""

_IsResult: TypeAlias = Callable[[Path], bool]
_LONGEST_NAME = 255  # bytes, on nearly every file system


@dataclass(frozen=True)
class Job:
    """A picture to upscale, None for standard input, and where the result goes, None for standard output.

    `confidence` is where a map goes of what the network invented in it, None for nowhere.
    """

    source: Path | None
    target: Path | None
    confidence: Path | None = None

    @property
    def places(self) -> list[Path]:
        """The files that are made: the result, and the map."""
        return [path for path in (self.target, self.confidence) if path is not None]

    @property
    def source_name(self) -> str:
        """What the picture is called in messages."""
        return "standard input" if self.source is None else str(self.source)

    @property
    def target_name(self) -> str:
        """What the result is called in messages."""
        return "standard output" if self.target is None else str(self.target)


@dataclass(frozen=True)
class _Source:
    path: Path
    below: Path  # the folder under which it was found, and below which -o mirrors its place
    with_others: bool = False  # all pictures of its own folder were found with it


def plan_batch(
    inputs: Sequence[str],
    output: Path | None,
    size: Size,
    format: str | None = None,  # noqa: A002
    confidence: Path | None = None,
    suffix: str | None = None,
) -> tuple[list[Job], dict[str, PictureError]]:
    """Return the jobs for files, folders (searched through) and globs, and the errors of those that came to nothing.

    The result of photo.jpg is photo_x4.png, for four times the size, no `suffix` to stand in the place of _x4, and no
    other `format` (SAME is the picture's own, see `srgan.image.writing.options_for`). It lies beside it, or below
    `output` as the picture lies below the folder that was given. `output` may also name the one result, as a file of a
    format that is written. Where two would have one name, as of photo.jpg and photo.png in one folder, whichever of
    them is asked for, the results are photo.jpg_x4.png and photo.png_x4.png. A name that would be too long for a file
    system is cut, and keeps apart from others by eight digits of its checksum. "-" is standard input, or as `output`
    standard output. `confidence` is where the map of one picture goes.

    Links to files and folders are followed, each folder once. Left out of folders is what is hidden, and of these and
    of globs results and maps, by their names or by the mark in them; and inputs named like the result of another.

    Raises ArgumentError where results would still fall on each other or on an input, where `output` or `suffix` cannot
    be what they are used as, or where a map is asked for of several pictures.
    """
    ending = Ending(size, format, suffix)
    if output is None and suffix == "":
        raise ArgumentError("results without a suffix need a folder of their own: -o DIR")
    if STREAM in inputs:
        _refuse_suffix(suffix, output)
        jobs = [_stream_job(inputs, output, format, confidence)]
        _refuse_clashes(jobs)
        return jobs, {}
    is_result = _results(ending)
    errors: dict[str, PictureError] = {}
    found: dict[str, _Source] = {}
    for name in inputs:
        try:
            for source in _find(name, is_result, errors):
                found.setdefault(os.path.realpath(source.path), source)
        except PictureError as error:
            errors[name] = error
        except OSError as error:
            errors[name] = PictureError(f"{name}: {error.strerror}")
    if output is None and len(inputs) == 2 and _is_for_a_result(inputs[1]):
        errors[inputs[1]] = PictureError(f"{errors[inputs[1]]}; a result's name comes after -o")
    sources = _without_results(list(found.values()), suffix if output is None else None, is_result)
    targets: Sequence[Path | None]
    own = format if format != SAME else own_format(sources[0].path.name) if sources else None
    if output is not None and (str(output) == STREAM or _is_file_name(output, own)):
        if len(inputs) > 1 or len(sources) > 1 or (sources and Path(inputs[0]).is_dir()):
            raise ArgumentError(f"{output} can hold one result: give one picture, or a folder for the results")
        _refuse_suffix(suffix, output)
        targets = [None if str(output) == STREAM else output for _ in sources]
    else:
        if output is not None and output.exists() and not output.is_dir():
            raise ArgumentError(f"{output} is a file, and neither a folder nor one of {', '.join(RESULT_FORMATS)}")
        alone = len(sources) == 1 and sources[0].path == Path(inputs[0])
        if output is not None and alone and not output.exists() and _names_a_kind(output):
            raise ArgumentError(f"{output}: no such folder, and results are written as {', '.join(RESULT_FORMATS)}")
        targets = _name_results(sources, output, ending, is_result)
    if confidence is not None and len(sources) > 1:
        raise ArgumentError("--confidence is for one picture")
    jobs = [Job(source.path, target, confidence) for source, target in zip(sources, targets, strict=True)]
    _refuse_clashes(jobs)
    return jobs, errors


@dataclass(frozen=True)
class Ending:
    """What stands after pictures' names in those of their results: _x4.png, or a `suffix` in the place of the _x4."""

    size: Size
    format: str | None
    suffix: str | None = None

    def of(self, name: str) -> str:
        """Return it for the picture of that name, which counts where the format is to be the SAME."""
        kind = own_format(name) if self.format == SAME else self.format or "png"
        return f"{self.size.ending if self.suffix is None else self.suffix}{FORMATS[kind].suffixes[0]}"


_FORMATS = "|".join(map(re.escape, RESULT_FORMATS))
_OF_ANY_SIZE = r"_(x\d+(\.\d+)?(e[+-]\d+)?|\d+[wh]|\d+x\d+)"  # `Size.ending`


def named_like_result(ending: Ending) -> Callable[[str], object]:
    """Return what tells whether a file's name is that of a result: of this size or suffix, or of four times."""
    parts = "|".join(map(re.escape, filter(None, ("_x4", ending.size.ending, ending.suffix))))
    return re.compile(rf"({parts})({_FORMATS})$").search


def _results(ending: Ending) -> _IsResult:
    """Return what tells whether a file is a result, or a map: by its name, or by the mark in it."""
    named_like_ours = named_like_result(ending)

    def is_result(path: Path) -> bool:
        if named_like_ours(path.name):
            return True
        try:
            return path.suffix.lower() in RESULT_FORMATS and path.is_file() and is_marked(path)  # a pipe would wait
        except OSError:
            return False

    return is_result


def name_results(
    places: Sequence[tuple[str, str]], ending: Ending, beside: Iterable[tuple[str, str]] = ()
) -> list[str]:
    """Name each result by its picture's stem, or by the whole name where two would have the same, case aside.

    Those of names that differ in case alone have a mark as well: there are file systems that do not tell it.

    places  the folder that each result goes to, and the picture's name
    beside  those of pictures that are not to be made now
    """
    parts = [(os.path.splitext(name)[0], ending.of(name)) for _, name in places]  # noqa: PTH122 - of a million, and seven times as fast
    met = [_meeting(folder, *part) for (folder, _), part in zip(places, parts, strict=True)]
    beside = list(beside)
    uses = Counter(met)
    uses.update(_meeting(folder, os.path.splitext(name)[0], ending.of(name)) for folder, name in beside)  # noqa: PTH122
    shared = {place for place, key in zip(places, met, strict=True) if uses[key] > 1}
    alike = Counter(_meeting(folder, name, "") for folder, name in (shared.union(beside) if shared else ()))
    return [
        fitting(stem, end) if uses[key] == 1 else fitting(name, end, mark=alike[_meeting(folder, name, "")] > 1)
        for (folder, name), (stem, end), key in zip(places, parts, met, strict=True)
    ]


def _meeting(folder: str, stem: str, end: str) -> str:
    return f"{folder}/{stem}{end}".casefold()


def _stream_job(inputs: Sequence[str], output: Path | None, format: str | None, confidence: Path | None) -> Job:  # noqa: A002
    if len(inputs) > 1:
        raise ArgumentError("standard input (-) is one picture: give it alone")
    if format == SAME:
        raise ArgumentError(f"standard input has no name to tell its format by: choose one of {', '.join(FORMATS)}")
    if str(output) == STREAM:
        return Job(None, None, confidence)
    if output is None or not _is_file_name(output, format):
        raise ArgumentError("the result of standard input needs a name: -o FILE, or -o - for standard output")
    return Job(None, output, confidence)


def _find(name: str, is_result: _IsResult, errors: dict[str, PictureError]) -> list[_Source]:
    """Return the pictures that an input stands for. Raises PictureError or OSError where there are none.

    Folders that cannot be searched, this one or some inside, are added to `errors`.
    """
    path = Path(name)
    if not name:  # which as a path is the folder that one is in
        raise PictureError("'': no such file or folder")
    if path.is_dir():
        closed: dict[str, PictureError] = {}
        found = [_Source(inner, path, with_others=True) for inner in _pictures_below(path, is_result, closed)]
        errors |= closed
        if not found and not closed:
            raise PictureError(f"{name}: no pictures in this folder (results do not count)")
    elif path.exists():
        found = [_Source(path, path.parent)]
    elif glob.has_magic(name):
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        matches = (Path(match) for match in sorted(glob.glob(name, recursive=True)))  # noqa: PTH207
        found = [_Source(match, root) for match in matches if _is_picture(match, is_result)]
        if not found:
            raise PictureError(f"{name}: no picture has a name like this (results do not count)")
    elif "://" in name:
        raise PictureError(f"{name}: an address: srgan bulk reads from stores, and files are to be fetched first")
    else:
        raise PictureError(f"{name}: no such file or folder")
    return found


def _pictures_below(folder: Path, is_result: _IsResult, errors: dict[str, PictureError]) -> list[Path]:
    start = len(os.path.join(folder, ""))  # noqa: PTH118 - with what ends it
    found = (path for path in files_below(folder, errors) if not is_hidden(path[start:]))
    return [path for path in map(Path, found) if _is_picture(path, is_result)]


def _is_picture(path: Path, is_result: _IsResult) -> bool:
    """Tell whether a file found in a folder is one to upscale, by its name; a link to nothing is, to be an error."""
    named_so = path.suffix.lower() in PICTURE_SUFFIXES and not is_result(path)
    return named_so and (path.is_file() or not path.exists())


def _without_results(sources: list[_Source], suffix: str | None, is_result: _IsResult) -> list[_Source]:
    """Leave out what a shell's *.png finds of an earlier run: results that lie beside their pictures.

    An icon_x2.png beside icon.png that is none, by its name for the size asked for or by the mark in it, stays.
    """
    given = {source.path.parent / name for source in sources for name in (source.path.name, source.path.stem)}
    parts = f"{_OF_ANY_SIZE}|{re.escape(suffix)}" if suffix else _OF_ANY_SIZE
    like_result = re.compile(rf"({parts})({_FORMATS})$")

    def is_of_another(path: Path) -> bool:
        found = like_result.search(path.name)
        return found is not None and path.parent / path.name[: found.start()] in given and bool(is_result(path))

    return [source for source in sources if not is_of_another(source.path)]


def _refuse_suffix(suffix: str | None, output: Path | None) -> None:
    if suffix is not None:
        raise ArgumentError(f"--suffix is for results in folders: {output} is called as it is")


def _is_for_a_result(name: str) -> bool:
    """Tell whether an input is no file, and called as a result can be, by the habit of other programs."""
    path = Path(name)
    return path.suffix.lower() in RESULT_FORMATS and not glob.has_magic(name) and not os.path.lexists(path)


def _names_a_kind(path: Path) -> bool:
    """Tell whether a name ends as files' names do, that of no kind that is written, large.jxl say."""
    return re.fullmatch(r"\.[a-z]{3,5}", path.suffix.lower()) is not None


def _is_file_name(output: Path, format: str | None) -> bool:  # noqa: A002
    """Tell whether `output` is a result rather than a folder. Raises ArgumentError for one that cannot be."""
    suffix = output.suffix.lower()
    if output.is_dir() or suffix not in PICTURE_SUFFIXES | RESULT_FORMATS.keys():
        return False
    if suffix not in RESULT_FORMATS:
        raise ArgumentError(f"{output}: results are written as {', '.join(RESULT_FORMATS)}")
    if format is not None and RESULT_FORMATS[suffix] is not FORMATS[format]:
        raise ArgumentError(f"{output} is named like a {RESULT_FORMATS[suffix].name}, and the format is to be {format}")
    return True


def _name_results(sources: list[_Source], output: Path | None, ending: Ending, is_result: _IsResult) -> list[Path]:
    folders = [
        source.path.parent if output is None else output / source.path.parent.relative_to(source.below)
        for source in sources
    ]
    places = [(str(folder), source.path.name) for folder, source in zip(folders, sources, strict=True)]
    given = {source.path for source in sources}
    stems = {source.path.stem.casefold() for source in sources if not source.with_others}
    lone = {source.path.parent: to for source, to in zip(sources, folders, strict=True) if not source.with_others}
    beside = [
        (str(to), path.name)
        for place, to in lone.items()
        for path in _pictures_in(place, stems, is_result)
        if path not in given
    ]
    return [folder / name for folder, name in zip(folders, name_results(places, ending, beside), strict=True)]


def _pictures_in(folder: Path, stems: set[str], is_result: _IsResult) -> list[Path]:
    """Return the pictures of these stems in a folder itself, none where it cannot be searched."""
    try:
        return [path for path in folder.iterdir() if path.stem.casefold() in stems and _is_picture(path, is_result)]
    except OSError:
        return []


def fitting(name: str, ending: str, *, mark: bool = False) -> str:
    """Return `name` with `ending`, cut and marked where together they are longer than a file's name can be.

    With `mark` it is marked in any case, by digits of its own.
    """
    whole = os.fsencode(name)
    if not mark and len(whole) + len(os.fsencode(ending)) <= _LONGEST_NAME:
        return name + ending
    marked = f"~{hashlib.sha256(whole).hexdigest()[:8]}{ending}"
    while len(os.fsencode(name + marked)) > _LONGEST_NAME:
        name = name[:-1]
    return name + marked


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {os.path.realpath(job.source) for job in jobs if job.source is not None}
    first: dict[str, Job] = {}
    for job in jobs:
        for place in job.places:
            real = os.path.realpath(place)
            if real in sources:
                raise ArgumentError(f"{place} is an input: a result cannot take its place")
            other = first.get(os.path.normcase(real))
            if other is job:
                raise ArgumentError(f"{place} is the result: the map needs a name of its own")
            if other is not None:
                raise ArgumentError(
                    f"{other.source} and {job.source} would both become {place}: give each a folder of its own"
                )
            first[os.path.normcase(real)] = job
