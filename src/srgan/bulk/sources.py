"""The pictures of a source: a folder or prefix, a list of paths, Parquet with paths or pictures in it, or tars."""

import codecs
import gzip
import io
import os
import posixpath
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from tarfile import InvalidHeaderError, TruncatedHeaderError  # type: ignore[attr-defined]
from types import SimpleNamespace
from typing import Any, BinaryIO, Literal, Self, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import parquet

from srgan.bulk.manifest import clean
from srgan.bulk.places import File, Place, open_place, reason, url_parts, without_nul
from srgan.errors import BulkError, PictureError, SrganError
from srgan.image.reading import PICTURE_SUFFIXES, is_hidden
from srgan.inference.jobs import Ending, fitting, name_results, named_like_result

TARS = (".tar", ".tar.gz", ".tgz")

Kind: TypeAlias = Literal["file", "tar", "rows"]

_PATHS = ("path", "url", "uri", "file", "filename", "file_name", "source", "image", "image_path", "image_url")
_AT_ONCE = 1000  # files whose versions are asked for together
_ROWS = 64  # of pictures in Parquet that are read together


@dataclass(frozen=True, slots=True)
class Task:
    """A picture to make a result of, or an archive with many: goes to other processes as it is.

    place       where `name` is
    source      what people call it
    target      the result's name below the destination; of an archive the folder for its results
    version     see `srgan.bulk.places.File`; "" of a file that is not there
    present     whether something is in the result's place
    identity    the fingerprint that the result is known to have, "" where it is not known
    content     the picture's bytes, where they are in hand
    problem     why there is no picture to be had, "" where nothing is known of one
    members     the results of an archive's pictures that are there, and their identities; `settled` are those that
                nothing is to be done for; both by their names as a manifest holds them, see `srgan.bulk.manifest.clean`
    rows        of a Parquet file that are in this part of it, a row group, and the `column` with pictures
    """

    kind: Kind
    place: Place
    name: str
    source: str
    target: str
    version: str
    present: bool = False
    identity: str = ""
    archive: str = ""
    content: bytes | None = None
    problem: str = ""
    members: tuple[tuple[str, str], ...] = ()
    settled: frozenset[str] = frozenset()
    rows: range = range(0)
    group: int = 0
    column: str = ""

    @property
    def key(self) -> str:
        """What its last row in the manifest goes by: its result, or the archive, of Parquet the part of it."""
        return {"file": self.target, "tar": self.name, "rows": f"{self.name}#{self.group}"}[self.kind]


@dataclass
class Listing:
    """What a source has: tasks whose targets are set, and errors of folders that could not be searched.

    place  the folder or prefix that was searched, None where the source is one file
    """

    url: str
    tasks: list[Task]
    errors: list[PictureError]
    place: Place | None


def list_source(text: str, ending: Ending, column: str | None) -> Listing:
    """Return the tasks of a source.

    text    a path or URL: of a folder or prefix with pictures in it (those named like results do not count) or tars, or
            else with Parquet files; of one of these files; or of a list, .txt, with a path or URL in each line
    ending  of the results' names
    column  of Parquet that has paths or pictures in it; by default the one that has bytes, or is called like paths

    Raises BulkError where there is no such source, or nothing in it, or where two pictures would have one result.
    """
    errors: list[PictureError] = []
    suffix = _suffix(url_parts(text).path if "://" in text else text)
    named = suffix in (".txt", ".parquet", *TARS) or suffix in PICTURE_SUFFIXES
    if named and not os.path.isdir(text):  # noqa: PTH112 - no address is one
        place, name = _file_of(text)
        version = place.versions([name])[0]
        if version == "":
            raise BulkError(f"{place.url_of(name)}: {_lacking(place, name)}")
        files = [File(name, version)]
        if suffix == ".txt":
            content = place.read(name).removeprefix(codecs.BOM_UTF8)
            if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
                raise BulkError(f"{place.url_of(name)}: a list is UTF-8, and this one UTF-16 or with a NUL in it")
            listed = io.StringIO(content.decode("utf-8", "surrogateescape"), newline=None)
            lines = (line.strip() for line in listed)
            tasks = _of_paths(_listed((line for line in lines if line), place, text), ending)
            if not tasks:
                raise BulkError(f"{place.url_of(name)}: no path in this list")
            return Listing(place.url_of(name), _apart(tasks), errors, None)
        searched, where = None, place.url_of(name)
    else:
        searched = place = open_place(text)
        where = place.url
        is_result = named_like_result(ending)
        files = [file for file in place.files(errors) if _counts(file.name, is_result)]
    tasks = _of_pictures([file for file in files if _suffix(file.name) in PICTURE_SUFFIXES], place, ending)
    tasks += [_of_tar(file, place) for file in files if _suffix(file.name) in TARS]
    if not tasks:
        tables = [file for file in files if _suffix(file.name) == ".parquet"]
        tasks = _of_tables(tables, place, text, ending, column)
    if not tasks and not errors:
        what = "no pictures, tars or Parquet files with rows in this place"
        if place.kind == "local" and not os.path.isdir(place.base):  # noqa: PTH112
            exists = os.path.exists(place.base)  # noqa: PTH110
            what = "neither a picture, a .tar nor a list (.txt, .parquet)" if exists else "no such file or folder"
        raise BulkError(f"{where}: {what}")
    url = text if place.kind == "local" else place.url_of("").rstrip("/")
    return Listing(url, _apart(tasks), errors, searched)


def pictures_in(task: Task, ending: Ending, on_read: Callable[[], None] | None = None) -> Iterator[Task]:
    """Yield the pictures of an archive, with their bytes, but for those that are settled.

    on_read  is told of each part of it that has been read, whatever is in that

    Raises BulkError where the archive cannot be read, for which it may take some of the pictures.
    """
    members = (_in_tar if task.kind == "tar" else _in_table)(task, ending, on_read or (lambda: None))
    known = dict(task.members)
    try:
        for name, target, content, problem in members:
            key = clean(target)
            yield replace(
                task,
                kind="file",
                name=name,
                source=f"{task.source}/{name}",
                target=target,
                present=key in known,
                identity=known.get(key, ""),
                archive=task.name,
                content=content,
                problem=problem,
                members=(),
                settled=frozenset(),
                rows=range(0),
            )
    except SrganError:
        raise
    except Exception as error:  # tarfile has no end of them for headers that are damaged
        raise BulkError(f"{task.source}: damaged, or cannot be read to its end: {reason(error)}") from error


def _counts(name: str, is_result: Any) -> bool:
    return not is_result(posixpath.basename(name)) and not is_hidden(name)


def _lacking(place: Place, name: str) -> str:
    """Return what is wrong with a file that has no version."""
    if place.kind == "local":
        try:
            os.stat(place.path_of(name))  # noqa: PTH116 - as places does
        except (FileNotFoundError, NotADirectoryError):
            return "no such file"
        except OSError as error:
            return f"cannot be read: {reason(error)}"
    return "no such file"


def _suffix(name: str) -> str:
    stem, suffix = posixpath.splitext(name.lower())
    return ".tar.gz" if suffix == ".gz" and stem.endswith(".tar") else suffix


def _file_of(text: str) -> tuple[Place, str]:
    """Return the place that a file lies in, and its name."""
    if "://" not in text:
        folder, name = os.path.split(text)
        return open_place(folder or "."), name
    parts = url_parts(text)
    folder, _, name = parts.path.rpartition("/")
    return open_place(parts._replace(path=folder).geturl()), name


def _of_pictures(files: Sequence[File], place: Place, ending: Ending) -> list[Task]:
    folders = [posixpath.split(file.name) for file in files]
    return [
        Task("file", place, file.name, place.url_of(file.name), posixpath.join(folder, name), file.version)
        for file, (folder, _), name in zip(files, folders, name_results(folders, ending), strict=True)
    ]


def _apart(tasks: list[Task]) -> list[Task]:
    """Call the folders of archives by their whole names where those without suffixes would be shared.

    Raises BulkError where results would fall on each other still.
    """
    archives = {task.name: task.target for task in tasks if task.kind != "file"}
    if archives:
        folders = [*archives.values(), *{posixpath.dirname(task.target) for task in tasks if task.kind == "file"}]
        uses = Counter(above for folder in folders for above in upward(folder.casefold()))
        shared = {name for name, folder in archives.items() if uses[folder.casefold()] > 1}
        tasks = [
            replace(task, target=task.name) if task.kind != "file" and task.name in shared else task for task in tasks
        ]
    first: dict[str, Task] = {}
    for task in tasks:
        _refuse(first.setdefault(task.target, task), task, task.target)
    for task in tasks if archives else ():
        for above in upward(task.target):
            if above in first and first[above].kind != "file":
                _refuse(first[above], task, above)
    return tasks


def upward(name: str) -> Iterator[str]:
    """Yield a name below a place, and the folders there that it is in."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _refuse(one: Task, other: Task, target: str) -> None:
    if one.source != other.source:  # parts of one table share its folder
        raise BulkError(f"{one.source} and {other.source} would both become {target}: give one of them another name")


_Listed: TypeAlias = tuple[Place, str, str]
"""Where a picture is, its name there, and its name below the destination."""


def _listed(lines: Iterable[str], beside: Place, text: str) -> list[_Listed]:
    """Return where the pictures of a list are: relative paths are below the place of the list itself.

    The result of s3://bucket/a/b.jpg is bucket/a/b_x4.png, of /data/b.jpg data/b_x4.png, of a/b.jpg a/b_x4.png.
    """
    places: list[_Listed] = []
    query = url_parts(text).query if "://" in text else ""
    scheme = url_parts(text).scheme if "://" in text else ""
    for given in lines:
        line = without_nul(unquote(given.removeprefix("file://")) if given.startswith("file://") else given)
        if "://" in line:
            parts = url_parts(line)
            options = query if parts.scheme == scheme else ""
            path = line.partition("://")[2].partition("/")[2]
            root = open_place(f"{parts.scheme}://{parts.netloc}/" + (f"?{options}" if options else ""))
            places.append((root, path, posixpath.join(parts.netloc.rpartition("@")[2], path)))
        elif line.startswith("/") or os.path.isabs(line):  # noqa: PTH117 - of a million
            places.append((open_place("/"), line.lstrip("/"), line.lstrip("/")))
        else:
            places.append((beside, line, line))
    return places


def _of_paths(places: list[_Listed], ending: Ending) -> list[Task]:
    """Return the tasks for what is listed, each once."""
    apart = {(at[0].url, posixpath.normpath(at[0].path_of(at[1]))): at for at in places}
    places = list(apart.values())
    targets = [posixpath.normpath(below) for _, _, below in places]
    if outside := next((target for target in targets if target.startswith("../") or target == ".."), None):
        raise BulkError(f"{outside}: a path in a list cannot leave its folder: give it from the root")
    folders = [posixpath.split(target) for target in targets]
    names = name_results(folders, ending)
    return [
        Task("file", place, name, place.url_of(name), posixpath.join(folder, result), version)
        for (place, name, _), version, (folder, _), result in zip(
            places, _versions(places), folders, names, strict=True
        )
    ]


def _versions(places: list[_Listed]) -> list[str]:
    """Return the versions of files, asked for by the thousand."""
    found: dict[tuple[str, str], str] = {}
    groups: dict[str, tuple[Place, list[str]]] = {}
    for place, name, _ in places:
        groups.setdefault(place.url, (place, []))[1].append(name)
    for url, (place, names) in groups.items():
        rest = iter(names)
        while part := list(islice(rest, _AT_ONCE)):
            found |= {(url, name): version for name, version in zip(part, place.versions(part), strict=True)}
    return [found[place.url, name] for place, name, _ in places]


_Member: TypeAlias = tuple[str, str, bytes, str]
"""Of an archive: a picture's name, that of its result, its bytes, and the problem where there are none."""


def _of_tar(file: File, place: Place) -> Task:
    folder = file.name[: -len(_suffix(file.name))]
    return Task("tar", place, file.name, place.url_of(file.name), folder, file.version, archive=file.name)


class _Header(tarfile.TarInfo):
    """A header of a tar, where one that is damaged or cut is an error: tarfile takes any but the first for the end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """Return the next header. Raises ReadError, or HeaderError where there is none."""
        try:
            return super().fromtarfile(tar)
        except (InvalidHeaderError, TruncatedHeaderError) as error:
            raise tarfile.ReadError(str(error)) from error


class _Told(io.RawIOBase):
    """A file that is read from front to back, and tells of each part."""

    def __init__(self, file: BinaryIO, on_read: Callable[[], None]) -> None:
        self._file, self._on_read = file, on_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._file.read(len(buffer))
        if part:
            self._on_read()
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def _unpacked(task: Task, on_read: Callable[[], None]) -> Iterator[tarfile.TarFile]:
    """Open a tar that is read from front to back: of gzip's members all, where tarfile would end with the first."""
    with task.place.open(task.name) as file, io.BufferedReader(_Told(file, on_read), tarfile.RECORDSIZE) as told:
        if told.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=told) as plain:
                part: Any = SimpleNamespace(read=plain.read1)  # of a file that is cut all that is there
                with tarfile.open(fileobj=part, mode="r|", tarinfo=_Header) as tar:
                    yield tar
        else:
            with tarfile.open(fileobj=told, mode="r|*", tarinfo=_Header) as tar:
                yield tar


def _in_tar(task: Task, ending: Ending, on_read: Callable[[], None]) -> Iterator[_Member]:
    used: set[str] = set()
    links: list[tarfile.TarInfo] = []

    def named(member: tarfile.TarInfo) -> tuple[str, str]:
        name = posixpath.normpath("/" + member.name).lstrip("/")
        folder, last = posixpath.split(name)
        for base in (posixpath.splitext(last)[0], last, *(f"{last}~{number}" for number in range(2, 10_000))):
            target = posixpath.join(task.target, folder, fitting(base, ending.of(last)))
            if target not in used:
                break
        used.add(target)
        return name, target

    with _unpacked(task, on_read) as tar:
        for member in tar:
            if _suffix(member.name) not in PICTURE_SUFFIXES or is_hidden(member.name):
                continue
            if member.islnk() or member.issym():
                links.append(member)
            elif member.isfile():
                name, target = named(member)
                if clean(target) not in task.settled:
                    content = tar.extractfile(member)
                    assert content is not None
                    yield name, target, content.read(), ""
    for link in links:  # whose results take no name from a picture's
        name, target = named(link)
        if clean(target) not in task.settled:
            yield name, target, b"", f"a link, and tars are read from front to back alone: to {link.linkname}"


def _of_tables(files: Iterable[File], place: Place, text: str, ending: Ending, column: str | None) -> list[Task]:
    """Return the tasks of Parquet files: of all their paths, and one for each part of those that have pictures."""
    listed: list[_Listed] = []
    tasks: list[Task] = []
    for file in files:
        where = place.url_of(file.name)
        with place.open(file.name, anywhere=True) as opened:
            try:
                table = parquet.ParquetFile(opened)
                name = column or _find_column(table.schema_arrow, where)
                if (there := table.schema_arrow.names.count(name)) != 1:
                    several = f"{there or 'no'} column{'s' * (there > 1)} {name!r}"
                    raise BulkError(f"{where}: {several}: {', '.join(table.schema_arrow.names)}")
                kind = table.schema_arrow.field(name).type
                if _is_text(kind):
                    beside = replace_base(place, posixpath.dirname(file.name))
                    listed += _listed((path for path in table.read([name])[name].to_pylist() if path), beside, text)
                elif _has_bytes(kind):
                    tasks += _of_rows(table, file, place, name)
                else:
                    raise BulkError(f"{where}: the column {name} is {kind}, and neither paths nor pictures")
            except (pa.ArrowException, OSError) as error:
                raise BulkError(f"{where}: damaged: {reason(error)}") from error
    return _of_paths(listed, ending) + tasks


def _of_rows(table: parquet.ParquetFile, file: File, place: Place, column: str) -> list[Task]:
    """Return a task for each part of a Parquet file that has pictures."""
    stem = file.name.removesuffix(".parquet")
    where = place.url_of(file.name)
    task = Task("rows", place, file.name, where, stem, file.version, archive=file.name, column=column)
    counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    starts = accumulate(counts, initial=0)
    return [
        replace(task, rows=range(start, start + count), group=group)
        for group, (start, count) in enumerate(zip(starts, counts, strict=False))
    ]


def replace_base(place: Place, folder: str) -> Place:
    """Return a folder below a place as a place."""
    return Place(place.url_of(folder), place.system, place.path_of(folder), place.kind) if folder else place


def row_target(task: Task, row: int, ending: Ending) -> str:
    """Return the name of the result of a row of Parquet, whose picture has none."""
    return f"{task.target}/{row:08d}{ending.of('')}"


def _in_table(task: Task, ending: Ending, on_read: Callable[[], None]) -> Iterator[_Member]:
    targets = ((row, row_target(task, row, ending)) for row in task.rows)
    wanted = {row: target for row, target in targets if clean(target) not in task.settled}
    if not wanted:
        return
    with task.place.open(task.name, anywhere=True) as file:
        table = parquet.ParquetFile(file)
        row = task.rows[0]
        for batch in table.iter_batches(_ROWS, row_groups=[task.group], columns=[task.column]):
            on_read()
            for value in batch.column(0):
                if row in wanted:
                    content = value.as_py()
                    if isinstance(content, dict):
                        content = content.get("bytes")
                    yield f"{row}", wanted[row], content or b"", ""
                row += 1


def _find_column(schema: pa.Schema, where: str) -> str:
    pictures = [field.name for field in schema if _has_bytes(field.type)]
    texts = [field.name for field in schema if _is_text(field.type)]
    named = [name for name in _PATHS if name in texts]
    for names in (pictures, named, texts):
        if len(names) == 1 or (names is named and named):
            return names[0]
    raise BulkError(
        f"{where}: which column has the pictures or their paths? --column says it: {', '.join(schema.names)}"
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _has_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _has_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
