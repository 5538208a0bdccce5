"""Folders and prefixes of object stores, by path or URL: what they hold, read, and written whole or not at all."""

import os
import pickle
import posixpath
import random
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from srgan.atomic import remove_leftovers, written_whole
from srgan.errors import BulkError, OutputError, PictureError
from srgan.image.reading import files_below
from srgan.image.xmp import find_fingerprint

Kind: TypeAlias = Literal["local", "store", "other"]

TRIES = 5
"""How often a request to a place beyond this machine is made before it has failed; the waits double from half a
second."""

_T = TypeVar("_T")
_STORES = ("s3", "gcs", "abfs")  # a put is whole or not at all
_AWS = re.compile(r"AWS Error (\w+).* operation(?: \(.*?\))?: (.*?)(?: \(Request ID.*)?$", re.DOTALL)
_FOR_EVER = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "NO_SUCH_KEY")


@dataclass(frozen=True)
class File:
    """A file that a listing found.

    name     below its place, with slashes
    version  what tells that it has changed without reading it: its size and the time of its last change
    """

    name: str
    version: str


@dataclass(frozen=True)
class Place:
    """A folder, or a prefix of an object store; goes to other processes as it is.

    url   what people call it, without what is secret in it
    base  the path of it in its file system
    kind  local: a folder of this machine; store: one request writes a file; other: files are renamed when whole
    """

    url: str
    system: fs.FileSystem
    base: str
    kind: Kind

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep one file system, with its connections, in a process that is sent a place many times."""
        return _unpacked, (type(self), self.url, pickle.dumps(self.system), self.base, self.kind)

    def url_of(self, name: str) -> str:
        """Return what people call a file."""
        return f"{self.url.rstrip('/')}/{name}"

    def path_of(self, name: str) -> str:
        """Return the path of a file in its file system."""
        return f"{self.base.rstrip('/')}/{name}" if self.base else name

    def real_path_of(self, name: str) -> str:
        """Return the path of a file by which it is known as the same: without . and .. and links to its folder."""
        folder, last = posixpath.split(posixpath.normpath(self.path_of(name)))
        return posixpath.join(_real(folder) if self.kind == "local" else folder, last)

    def files(self, errors: list[PictureError]) -> Iterator[File]:
        """Yield the files below, in order. Nothing there is no file.

        Folders of this machine that cannot be searched are added to `errors`, and objects whose names lead out of the
        place; raises BulkError where there is no such place, or no access to it.
        """
        if self.kind == "local":
            yield from self._local_files(errors)
            return
        selector = fs.FileSelector(self.base, recursive=True)
        try:
            found = self._again(lambda: self.system.get_file_info(selector))
        except FileNotFoundError:
            return
        except (OSError, pa.ArrowException) as error:
            raise BulkError(f"{self.url}: {reason(error)}") from error
        start = len(self.base.rstrip("/")) + 1 if self.base else 0
        files = ((info.path[start:], info) for info in found if info.type == fs.FileType.File)
        for name, info in sorted(files, key=lambda file: file[0]):
            if ".." in name.split("/"):
                errors.append(PictureError(f"{self.url_of(name)}: a name with .. in it is that of no file below"))
            else:
                yield File(name, _version(info.size, info.mtime_ns))

    def _local_files(self, errors: list[PictureError]) -> Iterator[File]:
        try:
            if not stat.S_ISDIR(os.stat(self.base).st_mode):  # noqa: PTH116 - as elsewhere here
                return
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:  # as of a folder above: the search tells of it
            pass
        broken: dict[str, PictureError] = {}
        start = len(self.base.rstrip("/")) + 1
        for path in files_below(Path(self.base), broken):
            name = path[start:].replace(os.sep, "/")
            version = _local_version(path)
            if version or not os.path.exists(path):  # noqa: PTH110 - a link to nothing: an error when it is read
                yield File(name, version)
        errors += broken.values()

    def all_files(self) -> list[File]:
        """Return the files below, as `files` does. Raises BulkError where a folder cannot be searched as well."""
        errors: list[PictureError] = []
        found = list(self.files(errors))
        if errors:
            raise BulkError(f"{errors[0]}: what is there cannot be told")
        return found

    def has(self, name: str) -> bool:
        """Tell whether something is in a file's place, found by a search or not: on this machine, where it is cheap."""
        return self.kind == "local" and os.path.lexists(self.path_of(name))

    def versions(self, names: list[str]) -> list[str]:
        """Return the versions of files, "" of those that are not there. Raises BulkError."""
        if self.kind == "local":
            return [_local_version(self.path_of(name)) for name in names]
        try:
            found = self._again(lambda: self.system.get_file_info([self.path_of(name) for name in names]))
        except (OSError, pa.ArrowException) as error:
            raise BulkError(f"{self.url}: {reason(error)}") from error
        return [_version(info.size, info.mtime_ns) if info.type == fs.FileType.File else "" for info in found]

    def read(self, name: str) -> bytes:
        """Return what is in a file. Raises PictureError."""

        def whole() -> bytes:
            with self._stream(name) as file:
                return file.read()

        try:
            return self._again(whole)
        except FileNotFoundError as error:
            raise PictureError(f"{self.url_of(name)}: no such file") from error
        except (OSError, pa.ArrowException) as error:
            raise PictureError(f"{self.url_of(name)}: cannot be read: {reason(error)}") from error

    def open(self, name: str, *, anywhere: bool = False) -> BinaryIO:
        """Open a file to read: to its end, or anywhere in it. Raises BulkError."""
        try:
            file = self._again(lambda: self._stream(name, anywhere=anywhere))
        except FileNotFoundError as error:
            raise BulkError(f"{self.url_of(name)}: no such file") from error
        except (OSError, pa.ArrowException) as error:
            raise BulkError(f"{self.url_of(name)}: cannot be read: {reason(error)}") from error
        return file

    def _stream(self, name: str, *, anywhere: bool = False) -> BinaryIO:
        """Open a file: one of this machine by its name in bytes, which need not be UTF-8 as pyarrow's are."""
        if self.kind == "local":
            return Path(self.path_of(name)).open("rb")
        way = self.system.open_input_file if anywhere else self.system.open_input_stream
        file: BinaryIO = way(self.path_of(name))
        return file

    def fingerprint_of(self, name: str) -> str | None:
        """Return the fingerprint in a result, None where it has none. Raises OutputError, FileNotFoundError."""
        try:
            with self._again(lambda: self._stream(name)) as file:
                return find_fingerprint(file)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"{self.url_of(name)}: cannot be read: {reason(error)}") from error

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, which appears whole or not at all. Raises OutputError."""
        if self.kind == "local":
            with written_whole(Path(self.path_of(name))) as file:
                file.write(content)
            return
        try:
            self._again(lambda: self._put(name, content))
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"{self.url_of(name)}: cannot be written: {reason(error)}") from error

    def _put(self, name: str, content: bytes | memoryview) -> None:
        path = self.path_of(name)
        if self.kind == "store":
            with self.system.open_output_stream(path) as file:
                file.write(content)
            return
        folder, _, last = path.rpartition("/")
        beside = f"{folder}/.srgan-{uuid.uuid4().hex[:16]}.part"
        self.system.create_dir(folder, recursive=True)
        try:
            with self.system.open_output_stream(beside) as file:
                file.write(content)
            self.system.move(beside, f"{folder}/{last}")
        except BaseException:
            if self.system.get_file_info(beside).type != fs.FileType.NotFound:
                self.system.delete_file(beside)
            raise

    def remove(self, name: str) -> None:
        """Remove a file where it is there. Raises OutputError."""
        try:
            if self.kind == "local":
                Path(self.path_of(name)).unlink()
            else:
                self.system.delete_file(self.path_of(name))
        except FileNotFoundError:
            return
        except (OSError, pa.ArrowException) as error:
            raise OutputError(f"{self.url_of(name)}: cannot be removed: {reason(error)}") from error

    def remove_leftovers(self, names: Iterable[str], folders: Iterable[str]) -> None:
        """Remove what killed runs were writing on this machine: beside results of these names, below these folders."""
        if self.kind == "local":
            beside = {os.path.dirname(self.path_of(name)) for name in names}  # noqa: PTH120 - of a million
            below = {place for folder in folders for place, _, _ in os.walk(self.path_of(folder))}
            for place in beside | below:
                remove_leftovers(Path(place))

    def holds(self, other: "Place") -> bool:
        """Tell whether another place is this one or below it."""
        if self.system != other.system:
            return False
        own, its = self.base.rstrip("/"), other.base.rstrip("/")
        if self.kind == "local":
            own, its = os.path.realpath(own), os.path.realpath(its)
        return own == "" or its == own or its.startswith(f"{own}/")

    def _again(self, request: Callable[[], _T]) -> _T:
        """Make a request again where it failed for a while only, as it seems."""
        for number in range(TRIES):
            try:
                return request()
            except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
                raise
            except OSError as error:
                final = self.kind == "local" or number == TRIES - 1
                if final or any(code in str(error) for code in _FOR_EVER):
                    raise
                time.sleep(2**number * random.uniform(0.25, 0.5))
        raise AssertionError


@lru_cache(1024)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def open_place(text: str) -> Place:
    """Return the place that a path or a URL names: what pyarrow has a file system for, or else fsspec.

    A query sets options of the file system, `?endpoint_override=localhost:9000&scheme=http` say. Raises BulkError.
    """
    if not text:
        raise BulkError("an empty name, where that of a place is needed")
    if text.startswith("file://"):
        text = unquote(url_parts(text).path)
    if "\0" in text:
        raise BulkError(f"{without_nul(text)}: no such file or folder")
    if "://" not in text:
        return Place(text, _local(), os.path.abspath(text), "local")  # noqa: PTH100 - links stay
    parts = url_parts(text)
    root = f"{parts.scheme}://{parts.netloc}"
    public = parts.netloc if parts.scheme.startswith("abfs") else parts.netloc.rpartition("@")[2]  # container@account
    shown = f"{parts.scheme}://{public}{parts.path}"
    system, base = _file_system(root, parts.query, shown)
    base = f"{base.rstrip('/')}/{parts.path.strip('/')}".rstrip("/") or base
    kind: Kind = "local" if system.type_name == "local" else "store" if system.type_name in _STORES else "other"
    return Place(shown.rstrip("/"), system, base, kind)


def url_parts(text: str) -> SplitResult:
    """Return the parts of a place's URL, which has no fragment: names may have a # in them."""
    return urlsplit(text, allow_fragments=False)


def _unpacked(type_: type[Place], url: str, system: bytes, base: str, kind: Kind) -> Place:
    return type_(url, _system(system), base, kind)


@lru_cache(64)
def _system(packed: bytes) -> fs.FileSystem:
    return pickle.loads(packed)


@lru_cache(64)
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@lru_cache(64)
def _file_system(root: str, query: str, shown: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URL and the path of its root in it."""
    if root.startswith("s3:"):
        query += ("&" if query else "") + "allow_delayed_open=true"  # which makes writing a file one request
    url = f"{root}/" + (f"?{query}" if query else "")
    try:
        system, base = fs.FileSystem.from_uri(url)
        return system, str(base)
    except pa.ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise BulkError(f"{shown}: {reason(error)}") from error
    except (OSError, pa.ArrowException) as error:
        raise BulkError(f"{shown}: {reason(error)}") from error
    try:
        import fsspec
    except ImportError as error:
        raise BulkError(
            f"{shown}: needs fsspec, and its package for {root.split(':')[0]}: pip install fsspec"
        ) from error
    try:
        found, base = fsspec.core.url_to_fs(root)
    except (ImportError, ValueError, OSError) as error:
        raise BulkError(f"{shown}: {reason(error)}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(found)), str(base)


def reason(error: BaseException) -> str:
    """Return what is wrong in a few words, of an error of a file system."""
    if isinstance(error, OSError) and error.strerror and error.errno:
        return error.strerror.split(". Detail:")[0]
    text = " ".join(str(error).split()) or type(error).__name__
    found = _AWS.search(text)
    return f"{found[2]} ({found[1]})" if found else text.split(". Detail:")[0]


def without_nul(name: str) -> str:
    """Return a name as it can be shown, and asked for: no file has a NUL in its own."""
    return name.replace("\0", "\\0")


def _local_version(path: str) -> str:
    """Return the version of a file of this machine, "" of what is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - of a million
    except OSError:
        return ""
    return _version(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else ""


def _version(size: int | None, changed: int | None) -> str:
    return f"{size or 0}-{changed or 0}"
