import errno
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

import runs
from srgan.errors import CheckpointError, OutputError
from srgan.training import checkpoint
from srgan.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture
def recipe() -> Recipe:
    return runs.recipe()


def saved(folder: Path, recipe: Recipe, *patches: int, keep: int = 9) -> list[Path]:
    return [
        checkpoint.save(folder, recipe, {"patches": n, "value": torch.tensor(float(n))}, keep=keep) for n in patches
    ]


def test_recipe_and_state_come_back(tmp_path: Path, recipe: Recipe) -> None:
    (path,) = saved(tmp_path, recipe, 16)
    assert path.name == "000000000016.pt"
    theirs, state = checkpoint.load(path)
    assert theirs == recipe
    assert state["patches"] == 16
    assert state["value"] == 16


def test_the_newest_are_kept(tmp_path: Path, recipe: Recipe) -> None:
    paths = saved(tmp_path, recipe, 8, 16, 24, 32, keep=2)
    (tmp_path / "notes.pt").write_bytes(b"")
    assert checkpoint.found(tmp_path) == paths[2:]
    assert (tmp_path / "notes.pt").exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(
    tmp_path: Path, recipe: Recipe, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = saved(tmp_path, recipe, 8, 16)

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises((CheckpointError, RuntimeError)) as caught:
        checkpoint.load(second)
    assert "damaged" not in str(caught.value)
    assert str(caught.value) in (f"{second}: cannot be read: Input/output error", str(error))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "bits", "value", "foreign", "version"])
def test_a_damaged_checkpoint_names_the_one_before_it(tmp_path: Path, recipe: Recipe, damage: str) -> None:
    first, second = saved(tmp_path, recipe, 8, 16)
    whole = second.read_bytes()
    if damage == "cut":
        second.write_bytes(whole[:-100])
    elif damage == "empty":
        second.write_bytes(b"")
    elif damage == "text":
        second.write_bytes(b"no checkpoint at all")
    elif damage == "bits":
        second.write_bytes(whole[:60] + b"\xff" * 200 + whole[260:])
    elif damage == "value":
        value = struct.pack("<f", 16)
        assert whole.count(value) == 1
        second.write_bytes(whole.replace(value, struct.pack("<f", -1.5e37)))
    elif damage == "foreign":
        torch.save([1, 2, 3], second)
    else:
        torch.save(torch.load(second, weights_only=True) | {"version": 0}, second)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(second)
    message = str(caught.value)
    if damage == "version":
        assert message == f"{second}: a checkpoint of version 0, not 1"
    else:
        offer = f"delete it, and --resume goes on from the one before, {first}"
        assert message == f"{second}: a damaged checkpoint, or none of srgan's; {offer}"
    best = second.rename(tmp_path / checkpoint.BEST)  # which no run is resumed from
    if damage != "version":
        with pytest.raises(CheckpointError, match=r"or none of srgan's$"):
            checkpoint.load(best)
    first.write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(first)
    assert str(caught.value) == f"{first}: a damaged checkpoint, or none of srgan's"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(second)


def test_of_several_checkpoints_the_newest_before_a_damaged_one_is_offered(tmp_path: Path, recipe: Recipe) -> None:
    paths = saved(tmp_path, recipe, 8, 16, 24, 32)
    for damaged, before in ((paths[2], paths[1]), (paths[1], paths[0])):
        damaged.write_bytes(b"")
        with pytest.raises(CheckpointError) as caught:
            checkpoint.load(damaged)
        assert str(caught.value).endswith(f"goes on from the one before, {before}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"average": None}, "not of a run: it has no average"),
        ({"origin": 3}, "not of a run: it has no origin"),
        ({"average": {"head.weight": torch.zeros(3)}}, "not the tensors of a tiny_x4"),
        ({"average": {"head.weight": "heavy"}}, "not the tensors of a tiny_x4"),
    ],
)
def test_what_is_no_state_of_a_run_is_named(
    tmp_path: Path, recipe: Recipe, change: dict[str, Any], message: str
) -> None:
    generator = runs.tiny_x4()
    state = {"patches": 8, "seconds": 1.0, "origin": {}, "average": generator.state_dict()}
    path = checkpoint.save(tmp_path, recipe, state, keep=9)
    found, theirs, _ = checkpoint.trained(path)
    assert theirs == recipe
    assert torch.equal(found.head.weight, generator.head.weight)
    assert not found.training
    with pytest.raises(CheckpointError, match=re.escape(f"{path}: {message}")):
        checkpoint.trained(checkpoint.save(tmp_path, recipe, state | change, keep=9))


def test_the_best_is_kept_beside_the_newest(tmp_path: Path, recipe: Recipe) -> None:
    for patches, best in [(8, True), (16, False), (24, True), (32, False), (40, False)]:
        checkpoint.save(tmp_path, recipe, {"patches": patches}, keep=1, best=best)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000000040.pt", "best.pt"]
    assert checkpoint.load(tmp_path / "best.pt")[1]["patches"] == 24


def test_the_best_is_written_before_the_newest(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies in between goes on from the one before, and finds the best, which it will write again."""
    paths = saved(tmp_path, recipe, 8)
    write, written = torch.save, []

    def dies(state: object, file: object) -> None:
        written.append(file)
        if len(written) == 2:
            raise RuntimeError("no room")
        write(state, file)  # type: ignore[arg-type]

    monkeypatch.setattr("torch.save", dies)
    with pytest.raises(OutputError, match=r"000000000016\.pt: cannot be written: is there room\?"):
        checkpoint.save(tmp_path, recipe, {"patches": 16}, keep=1, best=True)
    assert sorted(tmp_path.iterdir()) == [*paths, tmp_path / "best.pt"]
    assert checkpoint.load(tmp_path / "best.pt")[1]["patches"] == 16


def test_where_it_cannot_be_written_the_old_ones_stay(
    tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = saved(tmp_path, recipe, 8)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OutputError, match="No space left on device"):
            saved(tmp_path, recipe, 16, keep=1)
    assert list(tmp_path.iterdir()) == paths
