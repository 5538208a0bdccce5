import errno
import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fakes import Broken, Nearest
from srgan.errors import ArgumentError, SrganError, TooLargeError, WeightsError
from srgan.image.picture import Limits, Picture
from srgan.image.reading import read_picture
from srgan.image.size import Size
from srgan.image.writing import WriteOptions, write_picture
from srgan.image.xmp import read_fingerprint
from srgan.inference import batch, pipeline
from srgan.inference.batch import Result, upscale_batch
from srgan.inference.jobs import plan_batch
from srgan.inference.pipeline import Pipeline, Room, held_bytes
from srgan.inference.upscaler import Upscaler

X4 = Size(scale=4)


def draw(*paths: Path, size: tuple[int, int] = (4, 3)) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10, 20, 30)).save(path)


def run(*inputs: Path, output: Path | None = None, **options: Any) -> list[Result]:
    jobs, errors = plan_batch([str(path) for path in inputs], output, X4)
    assert errors == {}
    results: list[Result] = []
    upscale_batch(jobs, Upscaler, 4, on_result=results.append, **options)
    assert [result.job for result in results] == jobs
    return results


def statuses(results: list[Result]) -> list[str]:
    return [result.status for result in results]


def errors(results: list[Result]) -> list[str]:
    return [str(result.error) for result in results if result.error is not None]


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Nearest:
    network = Nearest()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    return network


def test_a_batch_is_done_in_spite_of_errors(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    Image.fromarray(noise[:5]).save(tmp_path / "c.png")
    progress: list[tuple[float, int]] = []
    results = run(tmp_path, progress=lambda done, total: progress.append((done, total)))
    assert statuses(results) == ["done", "failed", "done"]
    assert errors(results) == [f"{tmp_path / 'b.png'}: not a picture, or not of a kind that can be read"]
    assert progress == [(0, 3), (1, 3), (1, 3), (2, 3), (3, 3), (3, 3)]
    assert [(result.pixels_in, result.pixels_out) for result in results] == [(221, 3536), (0, 0), (85, 1360)]
    assert [set(result.seconds) for result in results] == [
        {"read", "network", "write"},
        {"read"},
        set(results[0].seconds),
    ]
    with Image.open(tmp_path / "c_x4.png") as image:
        assert np.array_equal(np.asarray(image), noise[:5].repeat(4, 0).repeat(4, 1))


def test_reading_the_network_and_writing_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(*(tmp_path / f"{name}.png" for name in "abc"))
    read_all, network_done = threading.Event(), threading.Event()
    wrote: list[str] = []

    class Slow(Nearest):
        def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
            assert read_all.wait(10), "the others are read while the network runs on the first"
            sr = super().__call__(lr)
            if len(self.shapes) == 3:
                network_done.set()
            return sr

    def read(path: Path, *rest: Any) -> Picture:
        if path.name == "c.png":
            read_all.set()
        return read_picture(path, *rest)

    def write(picture: Picture, path: Path, *rest: Any) -> None:
        if path.name == "a_x4.png":
            assert network_done.wait(10), "the network goes on while the first is written"
        write_picture(picture, path, *rest)
        wrote.append(path.name)

    monkeypatch.setattr(pipeline, "WRITERS", 2)
    monkeypatch.setattr(batch, "read_picture", read)
    monkeypatch.setattr(batch, "write_picture", write)
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Slow())
    assert statuses(run(tmp_path)) == ["done"] * 3
    assert sorted(wrote) == ["a_x4.png", "b_x4.png", "c_x4.png"]


@pytest.mark.parametrize("room", [1, 17 * 36 * 2, 10**6])
def test_bytes_in_flight_are_bounded(tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(*(tmp_path / f"{number}.png" for number in range(6)))  # each 36 bytes, and 576 of the result
    taken: list[int] = []

    class Watched(pipeline.Room):
        def take(self, number: int, size: int) -> None:
            super().take(number, size)
            taken.append(self._held)

    monkeypatch.setattr(pipeline, "Room", Watched)
    monkeypatch.setattr(pipeline, "BYTES_IN_FLIGHT", room)
    assert statuses(run(tmp_path)) == ["done"] * 6
    assert max(taken) <= max(room, 17 * 36)


def test_errors_hold_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Any]] = []

    def failing(picture: Picture, *_: Any) -> None:
        pixels = picture.pixels
        held.append(weakref.ref(pixels))
        os.stat(tmp_path / "gone")  # noqa: PTH116 - an error from below, with the picture in the frame above

    def write(picture: Picture, *rest: Any) -> None:
        try:
            failing(picture, *rest)
        except OSError as error:
            raise SrganError("no") from error

    monkeypatch.setattr(batch, "write_picture", write)
    draw(tmp_path / "a.png")
    gc.disable()
    try:
        results = run(tmp_path)
        assert errors(results) == ["no"]
        assert held[0]() is None
    finally:
        gc.enable()


def test_a_network_is_loaded_only_where_something_has_to_be_made(tmp_path: Path) -> None:
    def never() -> Upscaler:
        raise AssertionError

    draw(tmp_path / "a.png")
    assert statuses(run(tmp_path / "a.png")) == ["done"]
    jobs, _ = plan_batch([str(tmp_path / "a.png")], None, X4)
    assert upscale_batch(jobs, never, 4) is None
    assert upscale_batch([], never, 4) is None


def test_an_error_of_loading_ends_the_batch(tmp_path: Path) -> None:
    def load() -> Upscaler:
        raise WeightsError("damaged")

    draw(tmp_path / "a.png", tmp_path / "b.png")
    results: list[Result] = []
    jobs, _ = plan_batch([str(tmp_path)], None, X4)
    with pytest.raises(WeightsError, match="damaged"):
        upscale_batch(jobs, load, 4, on_result=results.append)
    assert results == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_an_error_of_what_names_the_jobs_is_not_taken_for_their_end() -> None:
    def jobs() -> Iterator[int]:
        yield 1
        raise MemoryError("of a large archive")

    line = Pipeline[int, int, int](lambda job: job, lambda _: 0, lambda _: None, lambda work: work)
    results = line.run(jobs())
    with pytest.raises(MemoryError, match="of a large archive"):
        list(results)


@pytest.mark.parametrize("room", [1, 10**6])
def test_ctrl_c_ends_the_batch_with_whole_results_alone(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Nearest):
        def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
            if len(self.shapes) == 2:
                raise KeyboardInterrupt
            return super().__call__(lr)

    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Interrupted())
    monkeypatch.setattr(pipeline, "BYTES_IN_FLIGHT", room)
    draw(*(tmp_path / f"in/{number}.png" for number in range(9)))
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "in", output=tmp_path / "out")
    for _ in range(1000):
        if not set(threading.enumerate()) - before:
            break
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before, "what has nothing to do any more ends"
    for path in (tmp_path / "out").iterdir():
        assert path.name in ("0_x4.png", "1_x4.png")
        with Image.open(path) as image:
            image.load()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.glob("*_x4.*")}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif", "tiff"])
def test_a_result_is_kept_until_its_picture_or_the_settings_change(tmp_path: Path, format: str) -> None:  # noqa: A002
    draw(tmp_path / "a.png", tmp_path / "b.png")
    jobs, _ = plan_batch([str(tmp_path)], None, X4, format)

    def again(**how: Any) -> list[str]:
        results: list[Result] = []
        upscale_batch(jobs, Upscaler, 4, on_result=results.append, **how)
        assert errors(results) == []
        return statuses(results)

    assert again() == ["done", "done"]
    before = contents(tmp_path)
    assert again() == ["skipped", "skipped"]
    defaults = {"png": WriteOptions(compression=1), "jpeg": WriteOptions(quality=95, format="jpeg")}
    assert again(options=defaults.get(format)) == ["skipped", "skipped"]
    assert again(limits=Limits(10**6, 10**6)) == ["skipped", "skipped"]
    assert contents(tmp_path) == before
    Image.new("RGB", (4, 3), (40, 50, 60)).save(tmp_path / "b.png")
    assert again() == ["skipped", "remade"]
    changed = [name for name, content in contents(tmp_path).items() if content != before[name]]
    assert [name.partition("_")[0] for name in changed] == ["b"]
    (tmp_path / "a.png").touch()
    assert again(settings="another network") == ["remade", "remade"]
    assert again(settings="another network") == ["skipped", "skipped"]
    assert again(settings="another network", options=WriteOptions(strip=True)) == ["remade", "remade"]
    assert again(settings="another network", options=WriteOptions(strip=True, format=format)) == ["skipped", "skipped"]


def test_a_result_of_a_result_is_known_by_its_own_fingerprint(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    assert statuses(run(tmp_path / "a.png")) == ["done"]
    once, twice = tmp_path / "a_x4.png", tmp_path / "a_x4_x4.png"
    assert statuses(run(once)) == ["done"]
    assert statuses(run(once)) == ["skipped"]
    fingerprints = {read_fingerprint(once), read_fingerprint(twice)}
    assert len(fingerprints) == 2
    assert None not in fingerprints
    assert twice.read_bytes().count(b"fingerprint=") == 1
    assert statuses(run(once, options=WriteOptions(provenance=False))) == ["remade"]
    assert read_fingerprint(twice) is None


def test_a_file_that_is_not_ours_is_kept_unless_told_otherwise(tmp_path: Path, network: Nearest) -> None:
    draw(tmp_path / "empty.jpg", tmp_path / "photo.jpg", tmp_path / "photo_x4.png")
    (tmp_path / "empty_x4.png").touch()
    before = contents(tmp_path)
    results = run(tmp_path)
    assert statuses(results) == ["failed", "failed"]
    assert errors(results) == [
        f"{tmp_path / name}: is there already and was not made by srgan; --overwrite replaces it"
        for name in ("empty_x4.png", "photo_x4.png")
    ]
    assert contents(tmp_path) == before
    assert network.shapes == []
    assert statuses(run(tmp_path, overwrite=True)) == ["remade", "remade"]
    assert statuses(run(tmp_path)) == ["skipped", "skipped"]
    assert statuses(run(tmp_path, overwrite=True)) == ["remade", "remade"]


def test_without_provenance_what_is_there_is_kept(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    silent = WriteOptions(provenance=False)
    assert statuses(run(tmp_path, options=silent)) == ["done"]
    assert read_fingerprint(tmp_path / "a_x4.png") is None
    assert statuses(run(tmp_path, options=silent)) == ["skipped"]
    assert statuses(run(tmp_path, overwrite=True)) == ["remade"]
    assert statuses(run(tmp_path, options=silent)) == ["remade"]
    assert statuses(run(tmp_path)) == ["failed"]


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    draw(tmp_path / "in/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.srgan-0123456789abcdef.part").write_bytes(b"half")
    assert statuses(run(tmp_path / "in", output=tmp_path / "out")) == ["done"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_x4.png"]


def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    os.mkfifo(tmp_path / "a_x4.png")
    told = f"{tmp_path / 'a_x4.png'}: is there already and was not made by srgan; --overwrite replaces it"
    assert errors(run(tmp_path / "a.png")) == [told]


def test_a_folder_in_the_place_of_a_result_is_an_error(tmp_path: Path) -> None:
    draw(tmp_path / "photo.jpg")
    (tmp_path / "photo_x4.png").mkdir()
    assert errors(run(tmp_path / "photo.jpg")) == [f"{tmp_path / 'photo_x4.png'}: Is a directory"]
    (error,) = errors(run(tmp_path / "photo.jpg", overwrite=True))
    assert error.endswith("photo_x4.png: cannot be written: Is a directory")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_folders_without_permission_are_errors_and_the_others_go_on(held_by_permissions: Path) -> None:
    tmp_path = held_by_permissions
    draw(tmp_path / "closed/a.png", tmp_path / "open/b.png")
    (tmp_path / "closed").chmod(0o500)
    results = run(tmp_path)
    assert statuses(results) == ["failed", "done"]
    assert f"{tmp_path / 'closed/a_x4.png'}: cannot be written: no permission in" in errors(results)[0]
    assert statuses(run(tmp_path / "closed", output=tmp_path / "out")) == ["done"], (
        "sources need no permission to write"
    )
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "open/b.png").chmod(0)
    assert errors(run(tmp_path / "open/b.png")) == [f"{tmp_path / 'open/b.png'}: cannot be read: Permission denied"]


def test_a_network_that_fails_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Broken(fp32_too=True))
    draw(tmp_path / "photo.jpg")
    (error,) = errors(run(tmp_path / "photo.jpg"))
    assert error.startswith(f"{tmp_path / 'photo.jpg'}: tile 1 of 1 (rows 0 to 2, columns 0 to 3): ")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("part", ["srgan.inference.upscaler.upscale_pixels", "srgan.inference.batch.read_picture"])
def test_no_memory_for_one_picture_is_an_error_of_that_picture(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(part, short)
    draw(tmp_path / "photo.jpg")
    (error,) = errors(run(tmp_path / "photo.jpg"))
    assert error == f"{tmp_path / 'photo.jpg'}: not enough memory for this picture and its result"


def test_what_nobody_thought_of_is_an_error_of_that_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(picture: Picture, path: Path, *rest: Any) -> None:
        if path.name == "a_x4.png":
            raise ZeroDivisionError("division by zero")
        write_picture(picture, path, *rest)

    monkeypatch.setattr(batch, "write_picture", write)
    draw(tmp_path / "a.png", tmp_path / "b.png")
    results = run(tmp_path)
    assert statuses(results) == ["failed", "done"]
    assert errors(results) == [f"{tmp_path / 'a.png'}: ZeroDivisionError: division by zero"]
    assert results[0].error is not None
    assert isinstance(results[0].error.__cause__, ZeroDivisionError)


def test_limits_and_what_a_format_cannot_hold_are_errors_of_a_picture(tmp_path: Path) -> None:
    draw(tmp_path / "in/large.png", size=(40, 30))
    draw(tmp_path / "in/small.png")
    for limits, message in (
        (Limits(input_pixels=1000), "--max-input-pixels raises it"),
        (Limits(output_pixels=1000), "--max-output-pixels raises it"),
    ):
        results = run(tmp_path / "in", output=tmp_path / "out", limits=limits, overwrite=True)
        assert [result.error is None for result in results] == [False, True]
        assert message in errors(results)[0]
    draw(tmp_path / "long.png", size=(4096, 1))
    (error,) = errors(run(tmp_path / "long.png", output=tmp_path / "long.webp"))
    assert "16384x4 pixels are more than WEBP can hold" in error


def test_options_that_do_not_fit_are_refused_before_any_work(tmp_path: Path, network: Nearest) -> None:
    draw(tmp_path / "photo.jpg")
    with pytest.raises(ArgumentError, match="PNG has no quality"):
        run(tmp_path / "photo.jpg", options=WriteOptions(quality=90))
    assert network.shapes == []


def test_pictures_that_vanish_are_errors_and_the_others_go_on(tmp_path: Path) -> None:
    draw(*(tmp_path / f"{name}.png" for name in "abc"))
    jobs, _ = plan_batch([str(tmp_path)], None, X4)
    (tmp_path / "b.png").unlink()
    results: list[Result] = []
    upscale_batch(jobs, Upscaler, 4, on_result=results.append)
    assert statuses(results) == ["done", "failed", "done"]
    assert errors(results) == [f"{tmp_path / 'b.png'}: no such file"]


def test_no_space_left_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    draw(tmp_path / "photo.jpg")
    (error,) = errors(run(tmp_path / "photo.jpg", output=tmp_path / "out"))
    assert error == f"{tmp_path / 'out/photo_x4.png'}: cannot be written: No space left on device"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "WRITERS", 1)  # or the small one finds what is written of the large one
    random = np.random.default_rng(0)
    for name, side in (("large.png", 240), ("small.png", 4)):
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(tmp_path / name)
    results = run(tmp_path / "large.png", tmp_path / "small.png", output=small_disk)
    assert statuses(results) == ["failed", "done"]
    assert errors(results) == [f"{small_disk / 'large_x4.png'}: cannot be written: No space left on device"]
    assert [path.name for path in small_disk.iterdir()] == ["small_x4.png"]


def test_what_is_being_written_at_the_end_is_waited_for_and_what_is_not_begun_is_dropped() -> None:
    begun, wrote = Event(), list[int]()

    def network(job: int) -> None:
        if job == 2:
            assert begun.wait(10)
            raise KeyboardInterrupt

    def write(job: int) -> int:
        begun.set()
        time.sleep(0.1)
        wrote.append(job)
        return job

    line = Pipeline[int, int, int](lambda job: job, lambda _: 0, network, write, writers=1)
    with pytest.raises(KeyboardInterrupt):
        list(line.run(range(9)))
    assert wrote == [0]


def test_no_more_jobs_are_asked_for_than_are_read_ahead() -> None:
    asked: list[int] = []

    def network(_: int) -> None:
        time.sleep(0.02)
        assert len(asked) - len(done) <= 2 + 3  # in their places; one with the feeder, one here, and one just done

    done: list[int] = []
    jobs = (asked.append(number) or number for number in range(20))  # type: ignore[func-returns-value]
    line = Pipeline[int, int, None](lambda job: job, lambda _: 0, network, done.append, ahead=2)
    list(line.run(jobs))
    assert done == list(range(20))


def test_a_picture_holds_its_transparency_as_well_and_may_make_just_the_limit() -> None:
    pixels, alpha = np.zeros((3, 4, 3), np.uint8), np.zeros((3, 4), np.uint8)
    size, limits = Size(scale=4), Limits(output_pixels=16 * 12)
    assert held_bytes(Picture(pixels, alpha), size, 4, limits, "a") == 17 * (36 + 12)
    around = lambda lr, sr: 2 * sr[0] // lr[0]  # noqa: E731 - 8 more on each side
    wide = Limits(output_pixels=16 * 19 * 20)
    assert held_bytes(Picture(pixels, alpha), size, 4, wide, "a", around) == 17 * (3 + 1) * 19 * 20
    with pytest.raises(TooLargeError, match="a: the network makes 6,080 pixels on the way to that size"):
        held_bytes(Picture(pixels), size, 4, limits, "a", around)
    with pytest.raises(TooLargeError, match="a: the network makes 192 pixels on the way to that size"):
        held_bytes(Picture(pixels), size, 4, Limits(output_pixels=16 * 12 - 1), "a")


def test_room_is_given_in_the_order_of_the_pictures_whichever_is_read_first() -> None:
    room, taken = Room(10), list[int]()

    def take(number: int) -> None:
        room.take(number, 10)
        taken.append(number)

    second = Thread(target=take, args=(1,))
    second.start()
    time.sleep(0.05)
    assert taken == []
    take(0)
    room.give_back(10)
    second.join(10)
    assert taken == [0, 1]
