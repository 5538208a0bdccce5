"""Several processes, started by torchrun as a user starts them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import runs
from srgan.errors import RecipeError
from srgan.training import checkpoint
from srgan.training.loop import train
from srgan.training.ranks import Ranks, share_batch_norm

RECIPE: dict[str, Any] = {
    "name": "shared",
    "network": "tiny_x4",
    "data": {"patch_size": 32, "held_out": 1, "held_out_crop": 32},
    "optimiser": {"patches": 40, "batch_size": 4, "learning_rate": 1e-4, "clip": 1.1},
    "loss": {"pixel": 1.0, "adversarial": 1e-3},
    "run": {"precision": "fp32", "share_batch_norm": True, "checkpoint_every": 16, "keep": 9},
}


pytestmark = pytest.mark.usefixtures("small_networks")


def srgan_train(
    folder: Path, run: str, *more: str, processes: int, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `srgan train`, under torchrun where there are several processes."""
    (folder / "recipe.toml").write_text(runs.toml(RECIPE))
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    several += ["--monitor-interval", "2"]  # in which those that are left say what they lost, before torchrun ends them
    places = ["--data", str(runs.photographs(folder / "photographs")), "--cache", str(folder / "cache")]
    command = [sys.executable, *(several if processes > 1 else []), runs.__file__, "train"]
    command += [str(folder / "recipe.toml"), *places, "--out", str(folder / run), *more]
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, env=variables, text=True, capture_output=True, check=False)


def weights(folder: Path, run: str, patches: int = 40) -> dict[str, torch.Tensor]:
    """Return the tensors of a run's networks at its end."""
    _, state = checkpoint.load(folder / run / "checkpoints" / f"{patches:012d}.pt")
    networks = [name for name in ("generator", "discriminator", "average") if name in state]
    return {f"{name}.{key}": value for name in networks for key, value in state[name].items()}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_two_processes_give_the_weights_of_one_and_one_goes_on_where_they_were_cut_off(tmp_path: Path) -> None:
    """Ten steps of the pixel loss with Adam, in float32, to 1e-5; one of the two is killed in a second run."""
    pixel_alone = ["--set", "loss.adversarial=0"]
    two = srgan_train(tmp_path, "two", *pixel_alone, processes=2)
    assert two.returncode == 0, two.stderr
    assert two.stdout.split() == [str(tmp_path / "two" / "checkpoints" / "000000000040.pt")]
    cut = srgan_train(tmp_path, "cut", *pixel_alone, processes=2, RUNS_DIE_AT="1,6")
    assert cut.returncode != 0
    assert "srgan: error: process 0 of 2 lost another one; --resume goes on from the newest checkpoint" in cut.stderr
    one = srgan_train(tmp_path, "one", *pixel_alone, processes=1)
    assert one.returncode == 0, one.stderr
    resumed = srgan_train(tmp_path, "cut", *pixel_alone, "--resume", processes=1)
    assert resumed.returncode == 0, resumed.stderr
    expected = weights(tmp_path, "one")
    assert_close(weights(tmp_path, "two"), expected, 1e-5)
    assert_close(weights(tmp_path, "cut"), expected, 1e-5)


def test_two_processes_train_both_networks_like_one(tmp_path: Path) -> None:
    """In float64, to 1e-9: Adam makes whole steps of gradients that are nothing but rounding in float32."""
    for run, processes in [("one", 1), ("two", 2)]:
        result = srgan_train(tmp_path, run, processes=processes, RUNS_IN_FLOAT64="1")
        assert result.returncode == 0, result.stderr
    assert_close(weights(tmp_path, "two"), weights(tmp_path, "one"), 1e-9)


THREADS = """
import os
from torch import nn
from srgan.training.ranks import Ranks, joined

def threads():
    return [open(f"/proc/self/task/{thread}/comm").read().strip() for thread in os.listdir("/proc/self/task")]

with joined():
    Ranks(world=2).averaging(nn.Linear(1, 1))
    Ranks(world=2).any(True)
    print(*threads())
print(*threads())
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no list of threads")
def test_no_thread_of_the_process_group_outlives_it() -> None:
    """One that does aborts the process now and then, when the interpreter has gone before it."""
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    variables = os.environ | alone | {"TORCHELASTIC_RUN_ID": "one"}
    result = subprocess.run([sys.executable, "-c", THREADS], env=variables, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    inside, outside = result.stdout.splitlines()
    assert "gloo" in inside
    assert "gloo" not in outside
    assert "FutureWarning" not in result.stderr


def test_a_batch_must_be_shared_evenly(tmp_path: Path) -> None:
    store = runs.store(tmp_path)
    with pytest.raises(RecipeError, match=r"optimiser\.batch_size: 3 processes cannot share 4 patches evenly"):
        train(runs.recipe(), store, tmp_path / "run", ranks=Ranks(rank=0, world=3))


def test_what_each_process_has_of_a_batch_is_enough_for_batch_norm(tmp_path: Path) -> None:
    recipe = runs.recipe(data={"patch_size": 4}, optimiser={"batch_size": 4})
    with pytest.raises(RecipeError, match=r"data\.patch_size: a batch of one patch needs 8, not 4"):
        train(recipe, runs.store(tmp_path), tmp_path / "run", ranks=Ranks(rank=0, world=4))


def test_a_shared_batch_norm_in_eval_mode_is_the_plain_one() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sequential(torch.nn.BatchNorm2d(4))).eval()
    x = torch.rand(2, 3, 8, 8)
    with torch.inference_mode():
        expected = network(x)
        share_batch_norm(network)
        assert torch.equal(network(x), expected)


def test_alone_nothing_is_shared() -> None:
    network = torch.nn.Conv2d(1, 1, 1)
    alone = Ranks()
    assert alone.averaging(network) is network
    assert alone.any(True) is True
    assert alone.any(False) is False
    assert alone.mean(torch.tensor(3.0)) == 3
