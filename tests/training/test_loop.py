import copy
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils._pytree import keystr, tree_flatten_with_path

import runs
from srgan.data.degradation import Degradation
from srgan.data.patches import PatchSampler
from srgan.data.store import Store, prepare_store
from srgan.errors import (
    ArgumentError,
    CheckpointError,
    DataError,
    OutputError,
    RecipeError,
    TrainingError,
    WeightsError,
)
from srgan.image.resize import imresize
from srgan.losses import ContentLoss, Distance, adversarial_loss, discriminator_loss
from srgan.metrics import DISTS, LPIPS, as_tensor, lr_psnr, luma, psnr
from srgan.models.discriminator import feature_discriminator
from srgan.models.generator import balanced
from srgan.models.vgg import Phi, VGG19Features
from srgan.training import checkpoint, loop
from srgan.training.loop import train
from srgan.training.ranks import Ranks
from srgan.training.recipe import Discriminator, Recipe
from srgan.training.start import load_initial
from srgan.training.steps import (
    autocast,
    build_networks,
    discriminator_step,
    generated,
    generator_step,
    head_start,
    step,
    update_average,
)
from srgan.training.stopping import stop_signals
from srgan.training.validation import held_out_pairs, upscaled, validate
from srgan.training.watch import Watch, read_log

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are too small for more, above all on a machine that has other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return runs.store(tmp_path)


def content() -> ContentLoss:
    torch.manual_seed(1)
    return ContentLoss(VGG19Features([Phi(1, 2)]), {Phi(1, 2): 1.0})


def adversarial(**groups: dict[str, Any]) -> Recipe:
    loss = {"pixel": 0.0, "content": 1.0, "content_layers": {"1,2": 1.0}, "adversarial": 1e-3, "total_variation": 2e-8}
    return runs.recipe(loss=loss, **groups)


def state_of(path: Path) -> dict[str, Any]:
    """Return a checkpoint's state without what says how long it took."""
    _, state = checkpoint.load(path)
    return {key: value for key, value in state.items() if key != "seconds"}


def at_step(step: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen while the batch of a step is cut."""
    cut = PatchSampler.batch

    def batch(self: PatchSampler, number: int, *args: Any, **options: Any) -> Any:
        if number == step:
            act()
        return cut(self, number, *args, **options)

    monkeypatch.setattr(PatchSampler, "batch", batch)


def deliver(number: signal.Signals) -> None:
    """Call the handler as the interpreter does for a signal.

    A real one is fatal here where another test's native library has left this thread an alternate signal stack that
    is gone (the kernel then answers with SIGSEGV).
    """
    handler = signal.getsignal(number)
    assert callable(handler)
    handler(number, None)


def in_miniature(folder: Path, *, optimiser: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """Return the command that trains a small network on photographs, all written into a folder, but for --out."""
    tree = {
        "name": "miniature",
        "network": "tiny_x4",
        "data": {"patch_size": 32, "held_out": 1, "held_out_crop": 32},
        "optimiser": {"batch_size": 4, **optimiser},
        "loss": {"pixel": 1.0},
        "run": run,
    }
    (folder / "recipe.toml").write_text(runs.toml(tree))
    places = ["--data", str(runs.photographs(folder / "photographs")), "--cache", str(folder / "cache")]
    return [sys.executable, runs.__file__, "train", str(folder / "recipe.toml"), *places]


class CrashError(Exception):
    pass


def crash() -> None:
    raise CrashError


def test_a_run_learns_and_leaves_what_it_should(store: Store, tmp_path: Path) -> None:
    optimiser = {"patches": 400, "batch_size": 8, "learning_rate": 5e-3}
    every = {"checkpoint_every": 200, "validate_every": 80, "log_every": 80, "keep": 1}
    last = train(runs.recipe(optimiser=optimiser, run=every), store, tmp_path / "run")
    assert last == tmp_path / "run" / "checkpoints" / "000000000400.pt"
    assert checkpoint.found(last.parent) == [last]
    log = read_log(tmp_path / "run")
    training = [line for line in log if line["kind"] == "train"]
    assert {line["patches"] for line in training} >= {80, 160, 240, 320, 400}
    assert training[-1]["pixel"] < training[0]["pixel"] / 2
    assert training[0].keys() >= {"pixel", "generator", "learning_rate", "seconds", "waiting"}
    assert all(0 <= line["waiting"] < 1 for line in training)
    validation = [line for line in log if line["kind"] == "validation"]
    assert [line["patches"] for line in validation] == [80, 160, 200, 240, 320, 400]  # 200 is a checkpoint
    assert validation[-1]["psnr_y"] > validation[0]["psnr_y"] + 1
    best = max((line for line in validation if line["patches"] % 200 == 0), key=lambda line: line["psnr_y"])
    assert checkpoint.load(last.parent / "best.pt")[1]["patches"] == best["patches"]
    pair = held_out_pairs(store, store.split(1)[1], crop=32, scale=4)[0]
    bicubic = imresize(pair.lr, scale=4.0)
    expected = psnr(*(luma(picture)[4:-4, 4:-4] for picture in (bicubic, pair.hr)))
    scores = {"psnr_y": pytest.approx(expected, rel=1e-5), "ssim_y": ANY, "lr_psnr": ANY}
    assert log[0] == {"kind": "bicubic", "patches": 0, **scores}
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    with Image.open(tmp_path / "run" / "strips" / "00.png") as strip:
        assert strip.size == (4 * 32, 32)
        _, outside = store.split(1)
        hr = store.picture(outside[0])[8:40, 16:48]
        parts = np.split(np.asarray(strip), 4, axis=1)
    generator = runs.tiny_x4().eval()
    generator.load_state_dict(checkpoint.load(last)[1]["average"])
    nearest = np.kron(pair.lr, np.ones((4, 4, 1), np.uint8))
    for found, wanted in zip(parts, (nearest, bicubic, upscaled(generator, pair.lr), hr), strict=True):
        assert np.array_equal(found, wanted)


def test_pictures_in_several_sizes_are_trained_on_and_counted_once(tmp_path: Path) -> None:
    folder = runs.photographs(tmp_path / "photographs")
    several = prepare_store([str(folder)], tmp_path / "cache", min_side=32, sizes=[0.75])
    ends = []
    for sizes in ([1.0], [0.75], [1.0, 0.75]):
        state = checkpoint.load(train(runs.recipe(data={"sizes": sizes}), several, tmp_path / f"{sizes}"))[1]
        assert state["origin"]["pictures"] == 3
        ends.append(state["generator"])
    assert all(runs.differences(ends[i], ends[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize(("step", "kind"), [(0, "adam"), (1, "adam"), (2, "muon"), (3, "adam"), (5, "muon")])
def test_a_run_that_died_at_a_step_goes_on_as_if_it_had_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, kind: str
) -> None:
    recipe = adversarial(optimiser={"kind": kind})
    whole = train(recipe, store, tmp_path / "whole", content=content())
    with monkeypatch.context() as patch:
        at_step(step, crash, patch)
        with pytest.raises(CrashError):
            train(recipe, store, tmp_path / "broken", content=content())
    saved = checkpoint.found(tmp_path / "broken" / "checkpoints")
    assert len(saved) == step // 2
    resumed = train(recipe, store, tmp_path / "broken", content=content(), resume=bool(saved))
    assert runs.differences(state_of(whole), state_of(resumed)) == []
    logs = [read_log(tmp_path / name) for name in ("whole", "broken")]
    for line in logs[0] + logs[1]:
        line.pop("seconds", None), line.pop("waiting", None)
    assert logs[0] == logs[1]


@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGTERM, 2), (signal.SIGINT, 1)])
def test_a_run_that_is_stopped_saves_its_last_step_and_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, times: int
) -> None:
    def stop() -> None:
        for _ in range(times):
            deliver(number)

    recipe = runs.recipe(run={"checkpoint_every": 1000})
    whole = train(recipe, store, tmp_path / "whole")
    earlier = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(2, stop, patch)
        stopped = train(recipe, store, tmp_path / "stopped")
    assert stopped.name == "000000000012.pt"
    assert signal.getsignal(number) == earlier
    resumed = train(recipe, store, tmp_path / "stopped", resume=True)
    assert runs.differences(state_of(whole), state_of(resumed)) == []


@pytest.mark.parametrize("loss", [{"pixel": 1.0}, {"pixel": 1.0, "adversarial": 1e-2, "grid": 1.0}])
def test_several_threads_come_to_the_same_each_time(store: Store, tmp_path: Path, loss: dict[str, float]) -> None:
    """No sum is left to the order in which threads come to it; the small generator is large enough to be shared out."""
    torch.set_num_threads(2)
    recipe = replace(runs.recipe(loss=loss, run={"checkpoint_every": 12}), network="srresnet_mini_plain_x4")
    recipe = replace(recipe, discriminator=Discriminator(kind="patch", width=16))
    whole, again = (train(recipe, store, tmp_path / name) for name in ("whole", "again"))
    assert runs.differences(state_of(whole), state_of(again)) == []
    whole.unlink()
    resumed = train(recipe, store, tmp_path / "whole", resume=True)
    assert runs.differences(state_of(resumed), state_of(again)) == []


def test_what_stops_a_run_finds_its_checkpoint_before_the_validation(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes minutes, where those who stop it give it seconds."""
    recipe = runs.recipe(run={"checkpoint_every": 1000, "validate_every": 1000})
    with monkeypatch.context() as patch:
        at_step(2, lambda: deliver(signal.SIGTERM), patch)
        patch.setattr(loop, "validate", lambda upscale, *_: crash() if isinstance(upscale, partial) else ({}, []))
        with pytest.raises(CrashError):
            train(recipe, store, tmp_path / "run")
    (last,) = checkpoint.found(tmp_path / "run" / "checkpoints")
    resumed = train(recipe, store, tmp_path / "run", resume=True)
    assert last.name == "000000000012.pt"
    assert runs.differences(state_of(train(recipe, store, tmp_path / "whole")), state_of(resumed)) == []


def test_a_run_in_another_thread_is_left_alone_by_signals(store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(train, runs.recipe(), store, tmp_path / "run").result()
    assert runs.differences(state_of(last), state_of(train(runs.recipe(), store, tmp_path / "main"))) == []


def test_one_run_at_a_time_is_in_a_folder(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second() -> None:
        with pytest.raises(CheckpointError, match=r"run: another process trains in this folder"):
            train(runs.recipe(run={"seed": 9}), store, tmp_path / "run")

    alone = train(runs.recipe(), store, tmp_path / "alone")
    with monkeypatch.context() as patch:
        at_step(1, second, patch)
        last = train(runs.recipe(), store, tmp_path / "run")
    assert runs.differences(state_of(alone), state_of(last)) == []
    assert [line["kind"] for line in read_log(tmp_path / "run")] == [
        line["kind"] for line in read_log(tmp_path / "alone")
    ]


def test_a_run_whose_terminal_is_closed_saves_its_last_step(tmp_path: Path) -> None:
    """By SIGHUP, and what it writes to the terminal then is an error."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        pytest.skip("the tests are run without a terminal's end")
    never = 1_000_000
    pace = {"checkpoint_every": never, "validate_every": never, "log_every": 4}
    command = in_miniature(tmp_path, optimiser={"patches": never}, run=pace)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    with process:
        os.close(theirs)
        while len(read_log(tmp_path / "run")) < 4 and process.poll() is None:
            time.sleep(0.01)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        process.wait(60)
    (last,) = checkpoint.found(tmp_path / "run" / "checkpoints")
    assert int(last.stem) == read_log(tmp_path / "run")[-1]["patches"]
    assert process.returncode == 1  # as by the other signals
    assert (last.parent / checkpoint.BEST).is_file()  # it was not ended by what it could not write


def test_lines_of_others_in_a_log_are_passed_over(store: Store, tmp_path: Path) -> None:
    last = train(runs.recipe(), store, tmp_path / "run")
    lines = read_log(tmp_path / "run")
    with (tmp_path / "run" / "log.jsonl").open("ab") as log:
        log.write(b'3\n{"note": 1}\n\xff\xfe\n[]\n')
    assert train(runs.recipe(), store, tmp_path / "run", resume=True) == last
    assert read_log(tmp_path / "run") == lines


def test_no_room_for_the_log_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Watch(tmp_path, patches=0, total=8) as watch, monkeypatch.context() as patch:
        patch.setattr(watch, "_log", Full())
        with pytest.raises(OutputError, match=r"the log cannot be written: No space left on device"):
            watch.values("train", 4, {"pixel": 1.0, "waiting": 0.0})


def test_a_thread_that_cannot_write_is_passed_over_while_a_run_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard's, whose error the next that is written raises; other errors are whose they were."""
    told: list[BaseException | None] = []

    def raises(error: Exception) -> None:
        raise error

    def fail(error: Exception) -> None:
        thread = Thread(target=raises, args=(error,))
        thread.start()
        thread.join()

    with monkeypatch.context() as patch:
        patch.setattr("threading.excepthook", lambda arguments: told.append(arguments.exc_value))
        with Watch(tmp_path, patches=0, total=8):
            fail(OSError(errno.ENOSPC, "No space left on device"))
            fail(ValueError("else"))
        fail(OSError(errno.EIO, "Input/output error"))
    assert [str(error) for error in told] == ["else", "[Errno 5] Input/output error"]


def test_a_generator_that_is_trained_is_measured_as_it_will_be_used(store: Store) -> None:
    """With the statistics that batch norm has gathered, and it gathers none there."""
    torch.manual_seed(0)
    generator = runs.tiny_x4()
    for block in generator.blocks:
        torch.nn.init.ones_(block.bn2.weight)  # type: ignore[union-attr, arg-type]
    pairs = held_out_pairs(store, store.entries[:1], crop=32, scale=4)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    expected = validate(partial(upscaled, copy.deepcopy(generator).eval()), pairs, {})[0]
    assert validate(partial(upscaled, generator.train()), pairs, {})[0] == expected
    assert generator.training
    assert runs.differences(before, generator.state_dict()) == []
    with pytest.raises(DataError, match="no pictures to validate on"):
        validate(partial(upscaled, generator), [], {})
    with pytest.raises(ArgumentError, match="a crop of 3 pixels is under one of lr, 4"):
        held_out_pairs(store, store.entries[:1], crop=3, scale=4)


def test_a_full_disk_ends_a_run_with_a_line_and_leaves_what_was_saved(store: Store, small_disk: Path) -> None:
    with pytest.raises(OutputError, match=r"checkpoints/.*\.pt: cannot be written: "):
        train(runs.recipe(), store, small_disk / "run")
    assert [path.suffix for path in (small_disk / "run" / "checkpoints").iterdir()] in ([], [".pt"])


def test_a_second_ctrl_c_ends_it_at_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        deliver(signal.SIGINT)
        deliver(signal.SIGINT)

    at_step(1, twice, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(runs.recipe(), store, tmp_path / "run")


def test_a_run_that_was_killed_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    """With SIGKILL, at whatever step it happens to be; and that from the command line."""
    train = in_miniature(
        tmp_path, optimiser={"patches": 2000, "learning_rate": 1e-3}, run={"checkpoint_every": 8, "keep": 3}
    )

    def command(run: str, *more: str) -> list[str]:
        return [*train, "--out", str(tmp_path / run), *more]

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": environment}
    process = subprocess.Popen(command("killed"), **quiet)  # type: ignore[call-overload]
    with process:
        while len(checkpoint.found(tmp_path / "killed" / "checkpoints")) < 2 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    reached = int(checkpoint.found(tmp_path / "killed" / "checkpoints")[-1].stem)
    end = f"optimiser.patches={reached + 40}"
    resumed = subprocess.run(command("killed", "--resume", "--set", end), check=True, text=True, **quiet)  # type: ignore[call-overload]
    whole = subprocess.run(command("whole", "--set", end), check=True, text=True, **quiet)  # type: ignore[call-overload]
    states = [state_of(Path(result.stdout.strip())) for result in (whole, resumed)]
    assert states[0]["patches"] == reached + 40
    assert runs.differences(states[0], states[1]) == []


def test_a_run_that_goes_on_in_other_batches_sees_no_patch_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    batch = PatchSampler.batch

    def noted(sampler: PatchSampler, step: int, size: int, **ranks: int) -> Any:
        seen.append(step)
        return batch(sampler, step, size, **ranks)

    monkeypatch.setattr(PatchSampler, "batch", noted)
    out = tmp_path / "run"
    for patches, size in ((16, 4), (32, 8), (40, 2)):
        last = train(runs.recipe(optimiser={"patches": patches, "batch_size": size}), store, out, resume=bool(seen))
    assert seen == list(range(4 + 2 + 4))
    state = torch.load(last, weights_only=True)
    del state["steps"]  # as of before they were counted
    torch.save(state, last)
    train(runs.recipe(optimiser={"patches": 42, "batch_size": 1}), store, out, resume=True)
    assert seen[10:] == [20, 21], "no less than were seen"


def test_an_adversarial_run_trains_both_networks(store: Store, tmp_path: Path) -> None:
    last = train(adversarial(), store, tmp_path / "run", content=content())
    line = next(line for line in reversed(read_log(tmp_path / "run")) if line["kind"] == "train")
    assert line.keys() >= {"content", "adversarial", "total_variation", "generator", "discriminator", "real", "fake"}
    assert "pixel" not in line
    weights = {"content": 1.0, "adversarial": 1e-3, "total_variation": 2e-8}
    assert line["generator"] == pytest.approx(sum(w * line[name] for name, w in weights.items()), rel=1e-4)
    state = state_of(last)
    torch.manual_seed(adversarial().run.seed)
    fresh = {"generator": runs.tiny_x4().state_dict(), "discriminator": runs.small_discriminator(32).state_dict()}
    for network, tensors in fresh.items():
        for key, value in tensors.items():
            assert not torch.equal(state[network][key], value), f"{network}.{key} was not trained"


def test_the_discriminator_has_a_head_start(store: Store, tmp_path: Path) -> None:
    chosen = adversarial(optimiser={"patches": 12, "batch_size": 4, "head_start": 8}, run={"log_every": 4})

    def states(patches: int, **options: Any) -> dict[str, Any]:
        ends = replace(chosen, optimiser=replace(chosen.optimiser, patches=patches))
        return state_of(train(ends, store, tmp_path / "run", content=content(), **options))

    begun = build_networks(chosen, content(), Ranks()).state()
    led, after = states(8), states(12, resume=True)
    for network in ("generator", "average"):  # batch norm's statistics alone become those of what it saw
        assert all(
            "running" in name or "num_batches" in name for name in runs.differences(begun[network], led[network])
        )
    assert runs.differences(begun["discriminator"], led["discriminator"])
    assert runs.differences(led["generator"], after["generator"])
    alone, both = ([*line] for line in read_log(tmp_path / "run") if line["kind"] == "train" and line["patches"] > 4)
    assert "discriminator" in alone
    assert "generator" not in alone
    assert {"discriminator", "generator"} <= set(both)


@pytest.mark.parametrize("kind", ["srgan", "features"])
def test_a_head_start_teaches_what_a_step_would(kind: str) -> None:
    chosen = adversarial(discriminator={"kind": kind, "width": 4})
    random = torch.Generator().manual_seed(0)
    lr, hr = (torch.rand(4, 3, side, side, generator=random) for side in (8, 32))
    led, both = (build_networks(chosen, content(), Ranks()) for _ in range(2))
    terms = [of(networks, chosen, lr, hr) for of, networks in ((head_start, led), (step, both))]
    assert terms[0].items() <= terms[1].items()
    weights = [dict(networks.trained()["discriminator"].network.named_parameters()) for networks in (led, both)]
    assert runs.differences(weights[0], weights[1]) == []


@pytest.mark.parametrize(
    ("discriminator", "patch_size"),
    [({}, 32), ({"kind": "unet", "width": 4}, 24), ({"kind": "features", "width": 4}, 24)],
)
def test_a_run_begins_with_the_networks_of_another_one(
    store: Store, tmp_path: Path, discriminator: dict[str, Any], patch_size: int
) -> None:
    first = train(adversarial(discriminator=discriminator), store, tmp_path / "first", content=content())
    recipe = adversarial(
        data={"patch_size": patch_size},
        discriminator=discriminator | {"learning_rate_factor": 2.0},
        optimiser={"patches": 4, "learning_rate": 0.0},
    )
    activated = discriminator.get("kind") == "features"  # else it sees no maps, and they may be others
    recipe = replace(recipe, loss=replace(recipe.loss, content_activated=activated))
    last = train(replace(recipe, initial=str(first)), store, tmp_path / "second", content=content())
    _, theirs = checkpoint.load(first)
    _, ours = checkpoint.load(last)
    for network, other in (("generator", "average"), ("discriminator", "discriminator")):
        kept = [k for k in ours[network] if k.endswith("weight")]  # running statistics move even so
        assert kept
        assert all(torch.equal(ours[network][k], theirs[other][k]) for k in kept)


@pytest.mark.parametrize("other", [{"content_layers": {"1,2": 1.0, "2,2": 1.0}}, {"content_activated": False}])
def test_heads_for_other_maps_are_not_taken_over(store: Store, tmp_path: Path, other: dict[str, Any]) -> None:
    recipe = adversarial(discriminator={"kind": "features", "width": 4})
    first = train(recipe, store, tmp_path / "first", content=content())
    recipe = replace(recipe, loss=replace(recipe.loss, **other), initial=str(first))
    networks = build_networks(recipe, None, Ranks())
    assert networks.discriminator is not None
    before = {key: value.clone() for key, value in networks.discriminator.network.state_dict().items()}
    load_initial(recipe, networks)
    after = networks.discriminator.network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    theirs, generator = state_of(first)["average"], networks.generator.network.state_dict()
    assert all(torch.equal(generator[key], value) for key, value in theirs.items())


EVERYTHING: dict[str, Any] = {
    "pixel": 0.5,
    "pixel_distance": "l1",
    "content": 1.0,
    "content_layers": {"1,2": 1.0},
    "content_distance": "l1",
    "content_activated": False,
    "adversarial": 1e-3,
    "adversarial_kind": "relativistic",
    "artefacts": 30.0,
    "consistency": 10.0,
    "fourier": 0.01,
    "wavelet": 0.5,
    "grid": 1.0,
    "lpips": 0.03,
    "dists": 0.05,
}


@pytest.mark.parametrize("kind", ["srgan", "patch", "unet", "features"])
def test_with_every_lever_a_run_goes_on_as_if_it_had_not_died(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """And each term counts with its weight, and the discriminator learns at its own rate."""
    judge: dict[str, Any] = {"kind": kind, "width": 4, "spectral": True, "learning_rate_factor": 2.0}
    recipe = runs.recipe(loss=EVERYTHING, optimiser={"clip": 1.1, "patches": 16})
    recipe = replace(recipe, discriminator=Discriminator(**judge), network="tiny_plain_x4")

    def options() -> dict[str, Any]:  # anew for each run, as the factor of the content loss is kept in it
        torch.manual_seed(2)
        return {"distances": {"lpips": LPIPS("vgg"), "dists": DISTS()}, "content": content()}

    whole = train(recipe, store, tmp_path / "whole", **options())
    with monkeypatch.context() as patch:
        at_step(3, crash, patch)
        with pytest.raises(CrashError):
            train(recipe, store, tmp_path / "broken", **options())
    resumed = train(recipe, store, tmp_path / "broken", resume=True, **options())
    assert runs.differences(state_of(whole), state_of(resumed)) == []
    line = next(line for line in reversed(read_log(tmp_path / "whole")) if line["kind"] == "train")
    terms = {name: weight for name, weight in EVERYTHING.items() if name in line}
    assert terms.keys() == {name for name, weight in EVERYTHING.items() if isinstance(weight, float)}
    assert line["generator_gradient"] > 0 < line["discriminator_gradient"]
    assert line["generator"] == pytest.approx(sum(w * line[name] for name, w in terms.items()), rel=1e-4)
    state = state_of(whole)
    rates = [state[f"{name}_optimiser"]["param_groups"][0]["lr"] for name in ("generator", "discriminator")]
    assert rates == [1e-3, 2e-3]


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_run_learns_what_another_learns(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks' graphs are captured whole and cut into forward and backward; kernels are left to PyTorch's."""
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module: compile_(module, backend="aot_eager", fullgraph=True)
    )
    loss = {"pixel": 1.0, "content": 1.0, "content_layers": {"1,1": 1.0}, "adversarial": 1e-2, "artefacts": 30.0}
    recipe = runs.recipe(loss=loss | {"adversarial_kind": "relativistic"}, optimiser={"patches": 12})
    recipe = replace(recipe, discriminator=Discriminator(kind="patch", width=4, spectral=True))
    logs = []
    for chosen in (False, True):
        torch.manual_seed(1)
        vgg = ContentLoss(VGG19Features([Phi(1, 1)]), {Phi(1, 1): 1.0})
        run = replace(recipe, run=replace(recipe.run, compile=chosen, precision="fp32"))
        train(run, store, tmp_path / str(chosen), content=vgg)
        logs.append([line for line in read_log(tmp_path / str(chosen)) if line["kind"] == "train"])
    for eager, traced in zip(*logs, strict=True):
        terms = [name for name in eager if name not in ("kind", "seconds", "waiting")]
        assert [traced[name] for name in terms] == pytest.approx([eager[name] for name in terms], rel=1e-4)


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_a_rate_that_lies_on_the_device_moves_the_weights_as_a_number_does(kind: str) -> None:
    """Which is all that a recording asks of the optimisers, and can be seen without a GPU."""
    recipe = replace(adversarial(optimiser={"kind": kind}, run={"precision": "fp32"}), network="tiny_plain_x4")
    torch.manual_seed(3)
    lr, hr = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 32, 32)
    ends = []
    for recorded in (False, True):
        networks = build_networks(recipe, content(), Ranks())
        if recorded:
            networks.make_recordable()
        for learning_rate in (1e-3, 3e-3, 2e-4):
            networks.set_learning_rate(learning_rate)
            step(networks, recipe, lr, hr)
        ends.append([p for trained in networks.trained().values() for p in trained.network.parameters()])
    for number, tensor in zip(*ends, strict=True):
        torch.testing.assert_close(tensor, number, rtol=0, atol=2e-5)  # of steps of 2e-4 and more


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("kind", ["srgan", "features"])
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_what_a_step_changes_stays_where_it_lies(kind: str, optimiser: str, *, spectral: bool) -> None:
    """A recording reads and writes the memory that it saw: a tensor in the place of another would never be seen."""
    rates = {"kind": optimiser, "clip": 1.1}
    recipe = replace(adversarial(optimiser=rates, run={"precision": "fp32"}), network="tiny_plain_x4")
    judge = Discriminator(kind=kind, width=4, spectral=spectral)  # type: ignore[arg-type]
    recipe = replace(recipe, discriminator=judge)
    networks = build_networks(recipe, content(), Ranks())
    lr, hr = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 32, 32)
    step(networks, recipe, lr, hr)
    networks.make_recordable()
    update_average(networks, 0.9)

    def tensors() -> dict[str, torch.Tensor]:
        leaves, _ = tree_flatten_with_path(networks.state())
        return {keystr(path): leaf for path, leaf in leaves if isinstance(leaf, torch.Tensor)}

    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in tensors().items()}
    step(networks, recipe, lr, hr)
    update_average(networks, 0.9)
    after = tensors()
    assert [name for name, (place, _) in before.items() if after[name].data_ptr() != place] == []
    changed = {name.split("'")[1] for name, (_, old) in before.items() if not torch.equal(after[name], old)}
    assert changed >= {"average", "generator", "discriminator", "generator_clip", "discriminator_clip"}
    directions = [name for name in before if name.endswith("direction']")]
    assert bool(directions) is spectral
    assert all(not torch.equal(after[name], before[name][1]) for name in directions)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records on a GPU")
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("kind", ["srgan", "features"])
@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_recorded_run_learns_what_another_learns(
    store: Store, tmp_path: Path, kind: str, optimiser: str, *, spectral: bool
) -> None:
    """Its rate rises and falls after the recording, and each step reads the batch and the rate of its own."""
    rates = {"kind": optimiser, "patches": 64, "warmup": 32, "decay": "cosine", "clip": 1.1}
    recipe = replace(runs.recipe(loss=EVERYTHING, optimiser=rates), network="tiny_plain_x4")
    judge = Discriminator(kind=kind, width=4, spectral=spectral)  # type: ignore[arg-type]
    recipe = replace(recipe, discriminator=judge)
    logs = []
    for chosen in (False, True):
        torch.manual_seed(2)
        run = replace(recipe, run=replace(recipe.run, graph=chosen, precision="fp32"))
        distances: dict[str, LPIPS | DISTS] = {"lpips": LPIPS("vgg"), "dists": DISTS()}
        train(run, store, tmp_path / str(chosen), content=content(), distances=distances)
        logs.append([line for line in read_log(tmp_path / str(chosen)) if line["kind"] == "train"])
    for eager, recorded in zip(*logs, strict=True):
        # nothing holds the mean of a relativistic discriminator's logits but how sums are rounded
        terms = [name for name in eager if name not in ("kind", "seconds", "waiting", "real", "fake")]
        assert [recorded[name] for name in terms] == pytest.approx([eager[name] for name in terms], rel=2e-3)


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_content_loss_in_bf16_is_that_of_float32(distance: Distance) -> None:
    """Value and gradient on random pictures, through two max-poolings, within what bf16's eight bits leave."""
    sr, hr = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    found = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        layers = {Phi(1, 2): 1.0, Phi(3, 4): 10.0}
        vgg = ContentLoss(VGG19Features(layers), layers, distance=distance)
        recipe = adversarial(run={"precision": precision})
        networks = build_networks(recipe, vgg, Ranks())
        assert networks.content is not None
        seen = sr.clone().requires_grad_()
        with autocast(recipe, seen.device):
            loss = networks.content(seen, hr)
        found.append((loss.item(), *torch.autograd.grad(loss, seen)))
    (value, gradient), (rounded, its) = found
    assert rounded == pytest.approx(value, rel=0.02)
    assert torch.cosine_similarity(gradient.flatten(), its.flatten(), dim=0) > 0.99


def test_a_discriminator_of_features_teaches_the_generator_through_vgg19() -> None:
    """Its term's gradient is that of the whole way from the picture, and a step changes the heads, never VGG19."""
    recipe = replace(adversarial(run={"precision": "fp32"}), discriminator=Discriminator("features", 4, spectral=True))
    networks = build_networks(recipe, content(), Ranks())
    assert networks.content is not None
    assert networks.discriminator is not None
    judge, vgg = networks.discriminator.network, networks.content.vgg
    before = copy.deepcopy([judge.state_dict(), vgg.state_dict()])
    lr, hr = (torch.rand(2, 3, size, size) for size in (8, 32))
    batch = generated(networks.generator, networks.content, recipe, lr, hr)
    terms = discriminator_step(networks, recipe, batch)
    assert all(p.grad is None for p in networks.generator.network.parameters())
    fresh = feature_discriminator([Phi(1, 2)], 4, spectral=True)
    fresh.load_state_dict(before[0])
    with torch.no_grad():
        expected = discriminator_loss(*(fresh(vgg(picture)) for picture in (hr, batch.sr)))
    assert float(terms["discriminator"]) == pytest.approx(float(expected), rel=1e-5)
    assert runs.differences(before[1], dict(vgg.state_dict())) == []
    assert {key.split(".")[0] for key in runs.differences(before[0], dict(judge.state_dict()))} == {"/heads"}

    judge.eval()  # so that it judges twice alike
    only = replace(recipe, loss=replace(recipe.loss, total_variation=0.0, adversarial=1.0))
    weights = list(networks.generator.network.parameters())
    sr = networks.generator.network(lr)
    whole = torch.autograd.grad(networks.content(sr, hr) + adversarial_loss(judge(vgg(sr))), weights)
    generator_step(networks, only, batch)
    for weight, gradient in zip(weights, whole, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("said", "avx512", "avx512_bf16", "there"),
    [(True, True, True, True), (True, False, False, True), (True, True, False, False), (False, False, False, False)],
)
def test_a_run_is_in_bf16_where_the_processor_has_it(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: bool,
    avx512: bool,
    avx512_bf16: bool,
    there: bool,
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: said, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    states = {}
    for asked in ("auto", "bf16", "fp32"):
        recipe = runs.recipe(run={"precision": asked}, optimiser={"patches": 4})
        states[asked] = state_of(train(recipe, store, tmp_path / asked))
    expected, other = ("bf16", "fp32") if there else ("fp32", "bf16")
    assert [state["origin"]["precision"] for state in states.values()] == [expected, "bf16", "fp32"]
    assert runs.differences(states["auto"]["generator"], states[expected]["generator"]) == []
    assert runs.differences(states["auto"]["generator"], states[other]["generator"]) != []


def test_a_plain_generator_begins_with_the_values_of_one_with_batch_norm(store: Store, tmp_path: Path) -> None:
    first = train(runs.recipe(), store, tmp_path / "first")
    recipe = replace(runs.recipe(optimiser={"patches": 4, "learning_rate": 0.0}), initial=str(first))
    last = train(replace(recipe, network="tiny_plain_x4"), store, tmp_path / "second")
    generator = runs.tiny_x4()
    generator.load_state_dict(checkpoint.load(first)[1]["average"])
    plain = runs.tiny_plain_x4()
    plain.load_state_dict(checkpoint.load(last)[1]["generator"])
    lr = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(plain(lr), generator.eval()(lr), rtol=0, atol=1e-5)
    with pytest.raises(WeightsError, match="a tiny_plain_x4, where the recipe trains a tiny_x4"):
        train(replace(recipe, initial=str(last)), store, tmp_path / "third")
    with pytest.raises(WeightsError, match="a tiny_x4, where the recipe trains a srresnet_mini_plain_x4"):
        train(replace(recipe, network="srresnet_mini_plain_x4"), store, tmp_path / "third")


def test_what_a_network_learned_is_added_to_the_one_that_a_run_begins_with(store: Store, tmp_path: Path) -> None:
    """b + (b - a) by hand, all three balanced; and b's discriminator."""
    plain = replace(adversarial(), network="tiny_plain_x4")
    a = train(plain, store, tmp_path / "a", content=content())
    b = train(replace(plain, initial=str(a)), store, tmp_path / "b", content=content())
    still = replace(plain, optimiser=replace(plain.optimiser, patches=4, learning_rate=0.0))
    last = train(replace(still, initial=str(b), shift=[str(b), str(a)]), store, tmp_path / "c", content=content())
    weights = []
    for file in (a, b):
        generator = runs.tiny_plain_x4()
        generator.load_state_dict(checkpoint.load(file)[1]["average"])
        weights.append(balanced(generator).state_dict())
    ours = checkpoint.load(last)[1]
    for key, value in ours["generator"].items():
        torch.testing.assert_close(value, 2 * weights[1][key] - weights[0][key], rtol=0, atol=1e-6)
    assert not torch.equal(ours["generator"]["tail.weight"], weights[1]["tail.weight"])
    theirs = checkpoint.load(b)[1]["discriminator"]
    assert torch.equal(ours["discriminator"]["classifier.1.weight"], theirs["classifier.1.weight"])


def test_a_run_is_not_resumed_with_another_discriminator(store: Store, tmp_path: Path) -> None:
    train(adversarial(), store, tmp_path / "run", content=content())
    other = replace(adversarial(), discriminator=Discriminator(kind="unet"))
    with pytest.raises(CheckpointError, match="has another discriminator"):
        train(other, store, tmp_path / "run", content=content(), resume=True)


def test_a_discriminator_of_another_kind_or_size_is_not_taken_over(store: Store, tmp_path: Path) -> None:
    first = train(adversarial(), store, tmp_path / "first", content=content())
    recipe = replace(adversarial(), initial=str(first), discriminator=Discriminator(kind="unet", width=4))
    last = train(recipe, store, tmp_path / "second", content=content())
    assert any(key.startswith("up.") for key in checkpoint.load(last)[1]["discriminator"])
    recipe = replace(adversarial(data={"patch_size": 24}), initial=str(first))
    last = train(recipe, store, tmp_path / "third", content=content())
    assert checkpoint.load(last)[1]["discriminator"]["classifier.1.weight"].shape == (8, 8 * 6 * 6)


def test_a_score_that_is_not_measured_chooses_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"run\.best: lpips is not among the scores of this run"):
        train(runs.recipe(run={"best": "lpips"}), store, tmp_path / "run", scored={"dists": DISTS()})
    assert not (tmp_path / "run").exists()


def test_the_networks_that_validate_give_their_scores_and_the_best_checkpoint(store: Store, tmp_path: Path) -> None:
    torch.manual_seed(3)
    dists, lpips = DISTS(), LPIPS()
    train(runs.recipe(run={"best": "lpips"}), store, tmp_path / "run", scored={"lpips": lpips, "dists": dists})
    lines = [line for line in read_log(tmp_path / "run") if line["kind"] == "validation"]
    assert all(line.keys() >= {"psnr_y", "ssim_y", "lr_psnr", "lpips", "dists"} for line in lines)
    recipe, state = checkpoint.load(tmp_path / "run" / "checkpoints" / "best.pt")
    generator = runs.tiny_x4().eval()
    generator.load_state_dict(state["average"])
    pair = held_out_pairs(store, store.split(1)[1], crop=32, scale=4)[0]
    sr = upscaled(generator, pair.lr)
    best = next(line for line in lines if line["patches"] == state["patches"])
    assert best["lr_psnr"] == pytest.approx(lr_psnr(sr, pair.lr), rel=1e-5)
    pictures = as_tensor(sr), as_tensor(pair.hr)
    assert best["dists"] == pytest.approx(float(dists(*pictures)), rel=1e-4)
    assert best["lpips"] == pytest.approx(float(lpips(*pictures)), rel=1e-4)
    saved = [line for line in lines if line["patches"] % recipe.run.checkpoint_every == 0]
    assert best["lpips"] == min(line["lpips"] for line in saved)


def test_a_best_checkpoint_by_another_score_begins_anew(store: Store, tmp_path: Path) -> None:
    lpips = {"lpips": LPIPS()}
    last = train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run", scored=lpips)
    assert state_of(last)["best"] > 0  # a PSNR, which no LPIPS is above
    last = train(runs.recipe(run={"best": "lpips"}), store, tmp_path / "run", scored=lpips, resume=True)
    found = [line["lpips"] for line in read_log(tmp_path / "run") if line["kind"] == "validation"][1:]
    assert state_of(last)["best"] == pytest.approx(-min(found), rel=1e-5)
    assert state_of(tmp_path / "run" / "checkpoints" / "best.pt")["patches"] > 8


def test_a_resumed_run_has_the_betas_of_its_own_recipe(store: Store, tmp_path: Path) -> None:
    train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    last = train(runs.recipe(optimiser={"beta1": 0.5, "beta2": 0.8}), store, tmp_path / "run", resume=True)
    assert state_of(last)["generator_optimiser"]["param_groups"][0]["betas"] == (0.5, 0.8)


def test_what_a_killed_run_left_of_its_files_is_removed(store: Store, tmp_path: Path) -> None:
    for folder in ("run", "run/checkpoints", "run/strips"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ".srgan-0.part").write_bytes(b"half")
    train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    assert {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()} >= {".pt", ".png", ".jsonl"}
    assert [*tmp_path.rglob(".srgan-*")] == []


def test_a_resumed_run_keeps_its_points_in_tensorboard(store: Store, tmp_path: Path) -> None:
    train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    train(runs.recipe(), store, tmp_path / "run", resume=True)
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    for kind, value in (("validation", "psnr_y"), ("train", "pixel")):
        logged = [line["patches"] for line in read_log(tmp_path / "run") if line["kind"] == kind]
        assert [event.step for event in board.Scalars(f"{kind}/{value}")] == logged


def test_the_average_follows_the_generator_with_its_half_life(store: Store, tmp_path: Path) -> None:
    """With a half-life of half a batch the average keeps a quarter; the first steps are averaged over less."""
    last = train(runs.recipe(run={"average_over": 2}, optimiser={"patches": 24}), store, tmp_path / "run")
    before = runs.recipe(run={"average_over": 2}, optimiser={"patches": 20})
    previous = state_of(train(before, store, tmp_path / "before"))
    state = state_of(last)
    key = "tail.weight"
    expected = 0.25 * previous["average"][key] + 0.75 * state["generator"][key]
    torch.testing.assert_close(state["average"][key], expected)


def test_the_average_warms_up(store: Store, tmp_path: Path) -> None:
    """After n steps it keeps n / (n + 9) of itself, where that is less than its half-life says."""
    every = {"average_over": 1_000_000, "checkpoint_every": 4}
    last = train(runs.recipe(run=every, optimiser={"patches": 12}), store, tmp_path / "run")
    torch.manual_seed(0)
    average = runs.tiny_x4().state_dict()["tail.weight"]
    for steps, path in enumerate(checkpoint.found(last.parent), 1):
        state = state_of(path)
        average = torch.lerp(state["generator"]["tail.weight"], average, steps / (steps + 9))
        torch.testing.assert_close(state["average"]["tail.weight"], average, rtol=1e-4, atol=1e-7)
    assert steps == 3


def test_hours_go_on_where_a_run_does_and_waiting_is_of_the_last_steps_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that is moved by hand: step n waits n seconds for its batch, and takes one for itself."""
    clock, cut = [100.0], PatchSampler.batch

    def batch(self: PatchSampler, number: int, *args: Any, **options: Any) -> Any:
        clock[0] += number
        return cut(self, number, *args, **options)

    def one_second(*args: Any) -> Any:
        clock[0] += 1
        return step(*args)

    monkeypatch.setattr(PatchSampler, "batch", batch)
    monkeypatch.setattr("srgan.training.loop.step", one_second)
    monkeypatch.setattr("srgan.training.loop.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    clock[0] += 5000
    last = train(runs.recipe(optimiser={"patches": 16}), store, tmp_path / "run", resume=True)
    lines = [line for line in read_log(tmp_path / "run") if line["kind"] == "train"]
    assert [line["seconds"] for line in lines] == [1, 3, 6, 10]
    assert [line["waiting"] for line in lines] == pytest.approx([0, 1 / 2, 2 / 3, 3 / 4], rel=1e-5)
    assert checkpoint.load(last)[1]["seconds"] == 10


def test_a_loss_that_is_not_finite_stops_the_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.nn.functional.mse_loss
    calls = []

    def broken(*args: Any) -> torch.Tensor:
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) == 5 else 1.0)

    monkeypatch.setattr("srgan.losses.F.mse_loss", broken)
    with pytest.raises(TrainingError) as caught:
        train(runs.recipe(), store, tmp_path / "run")
    good = tmp_path / "run" / "checkpoints" / "000000000016.pt"
    assert str(caught.value) == f"the pixel term is nan after 20 patches; the last good checkpoint is {good}"
    assert checkpoint.found(good.parent)[-1] == good
    calls.clear()
    monkeypatch.setattr("srgan.losses.F.mse_loss", lambda *args: real(*args) * float("inf"))
    with pytest.raises(TrainingError, match="the pixel term is inf after 4 patches; no checkpoint was saved yet"):
        train(runs.recipe(), store, tmp_path / "other")


def test_the_step_is_named_at_which_a_term_broke_though_it_is_read_later(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = torch.nn.functional.mse_loss, []

    def broken(*args: Any) -> torch.Tensor:
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) > 2 else 1.0)

    monkeypatch.setattr("srgan.losses.F.mse_loss", broken)
    with pytest.raises(TrainingError, match="the pixel term is nan after 12 patches; no checkpoint"):
        train(runs.recipe(run={"log_every": 1000, "checkpoint_every": 1000}), store, tmp_path / "run")


def test_weights_that_are_not_finite_are_never_saved(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last step may break the weights though its loss was still a number."""
    at_step(1, lambda: monkeypatch.setattr("srgan.training.recipe.Optimiser.learning_rate_at", broken), monkeypatch)
    broken = lambda *_: float("inf")  # noqa: E731
    with pytest.raises(TrainingError, match="the weights are no longer finite after 8 patches; no checkpoint"):
        train(runs.recipe(), store, tmp_path / "run")


def test_a_discriminator_that_has_lost_raises_an_alarm(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it came to that: the step is replaced by its loss."""
    monkeypatch.setattr("srgan.training.steps.discriminator_step", lambda *_: {"discriminator": torch.tensor(1.4)})
    train(adversarial(run={"alarm_after": 12}), store, tmp_path / "run", content=content())
    line = "the discriminator has lost: a coin would do better (mean loss 1.4 over 3 steps)"
    alarms = [line for line in read_log(tmp_path / "run") if line["kind"] == "alarm"]
    assert alarms == [{"kind": "alarm", "patches": patches, "alarm": line} for patches in (12, 24)]
    assert f"12 patches: ALARM: {line}" in capsys.readouterr().err


def test_the_alarm_of_a_resumed_run_has_heard_what_was_before(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srgan.training.steps.discriminator_step", lambda *_: {"discriminator": torch.tensor(1.4)})
    for patches in (4, 8, 12, 16):
        recipe = adversarial(run={"alarm_after": 12}, optimiser={"patches": patches})
        train(recipe, store, tmp_path / "run", content=content(), resume=patches > 4)
    assert [line["patches"] for line in read_log(tmp_path / "run") if line["kind"] == "alarm"] == [12]


def test_a_run_without_its_best_checkpoint_finds_another(store: Store, tmp_path: Path) -> None:
    last = train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    best = last.with_name(checkpoint.BEST)
    torch.save(torch.load(last, weights_only=True) | {"best": 99.0}, last)
    before = best.read_bytes()
    last = train(runs.recipe(optimiser={"patches": 12}), store, tmp_path / "run", resume=True)
    assert best.read_bytes() == before
    best.unlink()
    train(runs.recipe(optimiser={"patches": 16}), store, tmp_path / "run", resume=True)
    assert state_of(best)["patches"] == 16


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"average": {}}, "not the state of such a run"),
        ({"generator_optimiser": 3}, "not the state of such a run"),
        ({"patches": "8"}, "not of a run: it has no patches"),
        ({"seconds": None}, "not of a run: it has no seconds"),
    ],
)
def test_a_checkpoint_with_another_state_is_refused(
    store: Store, tmp_path: Path, wrong: dict[str, Any], line: str
) -> None:
    last = train(runs.recipe(optimiser={"patches": 8}), store, tmp_path / "run")
    torch.save(torch.load(last, weights_only=True) | wrong, last)
    with pytest.raises(CheckpointError, match=rf"000000000008\.pt: {line}"):
        train(runs.recipe(), store, tmp_path / "run", resume=True)


def test_a_folder_that_holds_a_run_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    last = train(runs.recipe(), store, tmp_path / "run")
    content = last.read_bytes()
    with pytest.raises(CheckpointError, match=r"run/checkpoints: holds a run already; --resume goes on with it"):
        train(runs.recipe(), store, tmp_path / "run")
    assert last.read_bytes() == content
    for path in checkpoint.found(last.parent):
        path.rename(last.with_name(checkpoint.BEST))
    with pytest.raises(CheckpointError, match=r"run/checkpoints: holds the best\.pt of a run; move it away to begin"):
        train(runs.recipe(), store, tmp_path / "run")
    assert last.with_name(checkpoint.BEST).read_bytes() == content


def test_there_must_be_something_to_resume(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        train(runs.recipe(), store, tmp_path / "run", resume=True)


def test_a_run_that_goes_on_with_other_photographs_says_so_and_finds_its_best_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = (
        prepare_store([str(runs.photographs(tmp_path / name, count=count))], tmp_path / "cache", min_side=32)
        for name, count in (("first", 4), ("other", 5))
    )
    train(runs.recipe(), first, tmp_path / "run")
    said = "of a run on other photographs, other lr of them, or validated on others: its best score counts no more"
    state = state_of(train(runs.recipe(optimiser={"patches": 32}), first, tmp_path / "run", resume=True))
    assert said not in capsys.readouterr().err
    path = tmp_path / "run" / "checkpoints" / "000000000032.pt"
    torch.save(torch.load(path, weights_only=True) | {"best": 99.0}, path)
    assert state["best"] < 99
    last = train(runs.recipe(optimiser={"patches": 40}), other, tmp_path / "run", resume=True)
    assert f"{path}: {said}\n" in capsys.readouterr().err
    assert state_of(last)["best"] < 99


def test_a_run_is_not_resumed_with_another_recipe(store: Store, tmp_path: Path) -> None:
    train(runs.recipe(), store, tmp_path / "run")
    other = r"000000000024\.pt: of a run whose recipe, short, has other terms of the loss: "
    with pytest.raises(CheckpointError, match=other):
        train(runs.recipe(loss={"fourier": 1.0}), store, tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match=r"recipe, short, has another optimiser\.kind: adam, not muon$"):
        train(runs.recipe(optimiser={"kind": "muon"}), store, tmp_path / "run", resume=True)


def test_a_resumed_run_weighs_its_terms_by_its_own_recipe(store: Store, tmp_path: Path) -> None:
    train(adversarial(), store, tmp_path / "run", content=content())
    loss = {"content": 2.0, "content_layers": {"1,2": 1.0}, "content_factor": 0.5, "adversarial": 3.0}
    recipe = runs.recipe(optimiser={"patches": 32}, loss=loss | {"pixel": 0.0, "total_variation": 2e-8})
    last = train(recipe, store, tmp_path / "run", content=content(), resume=True)
    assert state_of(last)["content_factor"] == 0.5
    terms = [line for line in read_log(tmp_path / "run") if line["kind"] == "train"][-1]
    weighed = 2 * terms["content"] + 3 * terms["adversarial"] + 2e-8 * terms["total_variation"]
    assert terms["generator"] == pytest.approx(weighed, rel=1e-5)


def test_a_resumed_run_has_the_grain_of_its_own_recipe(store: Store, tmp_path: Path) -> None:
    """At a learning rate of 0 only the patches can tell two ends of one run apart."""
    train(runs.recipe(), store, tmp_path / "plain")
    shutil.copytree(tmp_path / "plain", tmp_path / "grainy")
    losses = []
    for name, grain in (("plain", 0.0), ("grainy", 60.0)):
        recipe = runs.recipe(optimiser={"patches": 40, "learning_rate": 0.0}, data={"grain": grain})
        train(recipe, store, tmp_path / name, resume=True)
        losses.append([line["pixel"] for line in read_log(tmp_path / name) if line["kind"] == "train"][-1])
    assert losses[1] > 1.1 * losses[0]


def test_a_resumed_run_s_discriminator_learns_at_the_rate_of_its_own_recipe(store: Store, tmp_path: Path) -> None:
    before = state_of(train(adversarial(), store, tmp_path / "run", content=content()))
    still = adversarial(discriminator={"learning_rate_factor": 0.0}, optimiser={"patches": 32})
    after = state_of(train(still, store, tmp_path / "run", content=content(), resume=True))
    weights = [key for key in before["discriminator"] if key.endswith("weight")]  # running statistics move even so
    assert weights
    assert all(torch.equal(after["discriminator"][key], before["discriminator"][key]) for key in weights)
    assert not torch.equal(after["generator"]["tail.weight"], before["generator"]["tail.weight"])


def test_a_finished_run_that_is_resumed_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    last = train(runs.recipe(), store, tmp_path / "run")
    assert train(runs.recipe(), store, tmp_path / "run", resume=True) == last


def test_patches_are_cut_as_the_recipe_says(store: Store) -> None:
    data = {"candidates": 3, "grain": 4.0, "blur": 1.0, "noise": 2.0, "jpeg": [40, 95]}
    recipe = runs.recipe(data=data, run={"seed": 5})
    ours = loop.patch_sampler(recipe, store, store.entries, scale=4, device=torch.device("cpu"))
    how: dict[str, Any] = {"candidates": 3, "grain": 4.0, "degradation": Degradation((40, 95), 2.0, 1.0)}
    theirs = PatchSampler(store, store.entries, patch_size=32, scale=4, seed=5, **how)
    for found, wanted in zip(ours.batch(0, 8), theirs.batch(0, 8), strict=True):
        assert torch.equal(found, wanted)


def test_a_run_that_learns_to_repair_is_validated_on_lr_that_needs_it(store: Store, tmp_path: Path) -> None:
    recipe = runs.recipe(data={"noise": 200.0}, optimiser={"patches": 4})
    train(recipe, store, tmp_path / "run")
    outside = store.split(1)[1]
    noisy, clean = (
        held_out_pairs(store, outside, crop=32, scale=4, degradation=degradation)[0]
        for degradation in (recipe.data.degradation(), None)
    )
    assert not np.array_equal(noisy.lr, clean.lr)
    bicubic = next(line for line in read_log(tmp_path / "run") if line["kind"] == "bicubic")
    expected = psnr(*(luma(picture)[4:-4, 4:-4] for picture in (imresize(noisy.lr, scale=4.0), noisy.hr)))
    assert bicubic["psnr_y"] == pytest.approx(expected, rel=1e-5)


def test_a_resumed_run_keeps_the_factor_of_its_content_loss_where_its_recipe_says_none(
    store: Store, tmp_path: Path
) -> None:
    for resume, factor in ((False, 0.5), (True, 0.0)):
        loss = {"pixel": 0.0, "content": 1.0, "content_layers": {"1,2": 1.0}, "content_factor": factor}
        recipe = runs.recipe(loss=loss, optimiser={"patches": 8 if resume else 4})
        last = train(recipe, store, tmp_path / "run", content=content(), resume=resume)
        assert state_of(last)["content_factor"] == 0.5


def test_pictures_that_are_too_small_to_train_on_make_no_other_photographs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs.photographs(tmp_path / "in")
    for resume, patches in ((False, 4), (True, 8)):
        pictures = prepare_store([str(folder)], tmp_path / "cache", min_side=32)
        recipe = runs.recipe(data={"patch_size": 48}, optimiser={"patches": patches})
        train(recipe, pictures, tmp_path / "run", resume=resume)
        Image.new("RGB", (40, 40)).save(folder / "small.png")
    said = capsys.readouterr().err
    assert "left out: 1 of the pictures, with a side under 48 pixels" in said
    assert "other photographs" not in said


@pytest.mark.parametrize(
    ("group", "key", "value", "said"),
    [
        ("run", "seed", 1, "another run.seed: 0, not 1"),
        ("data", "held_out", 2, "other data: held_out 1, not 2"),
        ("discriminator", "spectral", True, "another discriminator: spectral False, not True"),
        ("", "network", "tiny_plain_x4", "another network: tiny_x4, not tiny_plain_x4"),
    ],
)
def test_a_run_is_not_resumed_where_it_would_see_other_patches_or_be_another_network(
    store: Store, tmp_path: Path, group: str, key: str, value: Any, said: str
) -> None:
    train(runs.recipe(optimiser={"patches": 4}), store, tmp_path / "run")
    recipe = runs.recipe(**{group: {key: value}}) if group else replace(runs.recipe(), **{key: value})
    with pytest.raises(CheckpointError, match=rf"of a run whose recipe, short, has {said}$"):
        train(recipe, store, tmp_path / "run", resume=True)


def test_the_average_begins_where_the_generator_does(store: Store, tmp_path: Path) -> None:
    first = train(runs.recipe(optimiser={"patches": 4}), store, tmp_path / "first")
    recipe = replace(runs.recipe(), initial=str(first))
    networks = build_networks(recipe, None, Ranks())
    load_initial(recipe, networks)
    assert runs.differences(networks.average.state_dict(), state_of(first)["average"]) == []


def test_the_megapixels_of_a_run_are_those_of_the_pictures_that_it_trains_on(tmp_path: Path) -> None:
    large = runs.store(tmp_path, count=3, size=(320, 640))
    _, state = checkpoint.load(train(runs.recipe(optimiser={"patches": 4}), large, tmp_path / "run"))
    assert state["origin"]["pictures"] == 2
    assert state["origin"]["megapixels"] == 0.4


def test_bicubic_is_measured_at_the_start_of_a_run_alone(store: Store, tmp_path: Path) -> None:
    for resume, patches in ((False, 4), (True, 8)):
        train(runs.recipe(optimiser={"patches": patches}), store, tmp_path / "run", resume=resume)
    assert [line["kind"] for line in read_log(tmp_path / "run")].count("bicubic") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP")
def test_a_closed_terminal_that_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_score_without_bounds_leaves_the_log_json(tmp_path: Path) -> None:
    with Watch(tmp_path, patches=0, total=4) as watch:
        watch.values("validation", 4, {"psnr_y": float("inf"), "ssim_y": 1.0})
    assert "Infinity" not in (tmp_path / "log.jsonl").read_text()
    assert read_log(tmp_path) == [{"kind": "validation", "patches": 4, "psnr_y": None, "ssim_y": 1.0}]


def test_what_is_due_between_two_steps_is_done_after_the_second(store: Store, tmp_path: Path) -> None:
    every = {"checkpoint_every": 10, "validate_every": 1000, "log_every": 6}
    last = train(runs.recipe(run=every), store, tmp_path / "run")
    assert [int(path.stem) for path in checkpoint.found(last.parent)] == [12, 20, 24]
    lines = [line["patches"] for line in read_log(tmp_path / "run") if line["kind"] == "train"]
    assert lines == [8, 12, 20, 24]


def test_the_best_stays_until_one_is_better(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([9.0, 30.0, 20.0, 25.0, 30.0])  # bicubic's first

    def scored(_: Any, pairs: Any, __: Any) -> tuple[dict[str, float], list[Any]]:
        return {"psnr_y": next(scores)}, [pair.hr for pair in pairs]

    monkeypatch.setattr("srgan.training.loop.validate", scored)
    recipe = runs.recipe(optimiser={"patches": 32}, run={"validate_every": 1000})
    last = train(recipe, store, tmp_path / "run")
    assert state_of(last)["best"] == 30.0
    assert state_of(last.parent / checkpoint.BEST)["patches"] == 8
