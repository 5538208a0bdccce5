"""An engine without processes, pictures to run it on, and what came of them."""

import io
import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from srgan.bulk.manifest import Record
from srgan.bulk.places import Place, open_place
from srgan.bulk.run import Outcome, run_bulk
from srgan.bulk.sources import Task
from srgan.bulk.stages import Making, Network, Reader, Writer, expand, plan_making
from srgan.errors import WeightsError
from srgan.image.picture import Limits
from srgan.image.size import Size
from srgan.image.writing import WriteOptions

X4 = Size(scale=4)


class Inline:
    """Does one picture after another in the calling process; `sources` are those that it was given."""

    def __init__(self, *, stop_after: int = 10**9) -> None:
        self.sources: list[str] = []
        self._stop_after = stop_after

    def run(self, making: Making, tasks: list[Task]) -> Generator[Record, None, None]:
        read, network, write = Reader(making), Network(making), Writer(making)
        for task in tasks:
            for found in expand(task, making):
                if isinstance(found, Record):
                    yield found
                    continue
                if len(self.sources) == self._stop_after:
                    raise KeyboardInterrupt
                self.sources.append(found.source)
                yield write(network(read(found)))


def making(
    model: Path | str, destination: Path | str, options: WriteOptions | None = None, size: Size = X4, **how: Any
) -> Making:
    overwrite = how.pop("overwrite", False)
    limits = how.pop("limits", Limits())
    suffix = how.pop("suffix", None)
    how = {"precision": "fp32", "threads": 1} | how
    return plan_making(
        str(model),
        size,
        options or WriteOptions(),
        open_place(str(destination)),
        how,
        limits,
        overwrite=overwrite,
        suffix=suffix,
    )


def run(model: Path | str, source: Path | str, destination: Path | str, **options: Any) -> tuple[Outcome, list[Record]]:
    """Run in this process, and return what came of it and the records of this run alone."""
    records: list[Record] = []
    engine = options.pop("engine", None) or Inline()
    said = {name: options.pop(name) for name in ("column", "retry_failed") if name in options}
    made = making(model, destination, **options)
    return run_bulk(str(source), made, engine, on_record=records.append, **said), records


def draw(*paths: Path, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = random.integers(12, 20, 2)
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def counts(outcome: Outcome) -> dict[str, int]:
    return {status: count for status, count in outcome.counts.items() if count}


def results(folder: Path) -> dict[str, bytes]:
    """Return the results below a folder, without the manifest."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "_srgan" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@dataclass(frozen=True)
class Deadly(Place):
    """A place with pictures that end whoever reads them, or writes their results."""

    def read(self, name: str) -> bytes:
        if "deadly" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(name)

    def write(self, name: str, content: bytes | memoryview) -> None:
        if "deadly" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(name, content)


@dataclass(frozen=True)
class Hanging(Place):
    """A place with pictures that are never read."""

    def read(self, name: str) -> bytes:
        if "hanging" in name:
            time.sleep(3600)
        return super().read(name)


class SlowFile(io.FileIO):
    """A file of which each part takes a quarter of a second."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.25)
        return super().read(size) or b""


@dataclass(frozen=True)
class Slow(Place):
    """A place whose archives are read slowly."""

    def open(self, name: str, *, anywhere: bool = False) -> BinaryIO:
        assert not anywhere
        return cast("BinaryIO", SlowFile(self.path_of(name)))


def deadly(place: Place) -> Deadly:
    return Deadly(**vars(place))


def hanging(place: Place) -> Hanging:
    return Hanging(**vars(place))


def slow(place: Place) -> Slow:
    return Slow(**vars(place))


class DeadlyModel:
    """A network that ends whoever loads it."""

    def __fspath__(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


class UnloadableError(WeightsError):
    """What is wrong with a network: whoever tells of it is told to end."""

    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return WeightsError, self.args


class UnloadableModel:
    """A network that cannot be loaded."""

    def __fspath__(self) -> str:
        raise UnloadableError("no network")
