"""A recipe: every choice of a training run, typed and frozen, read from TOML."""

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from srgan.data.degradation import Degradation
from srgan.data.pairs import SCALE
from srgan.errors import RecipeError
from srgan.losses import Distance
from srgan.models.generator import GENERATORS
from srgan.models.vgg import Phi

_ANCHORS = ("pixel", "content", "fourier", "wavelet", "lpips", "dists")  # one of these there has to be


@dataclass(frozen=True)
class Data:
    """Which patches are cut: `patch_size` hr pixels a side; `held_out` pictures validate, unless a test folder does.

    They come from each picture in all of these `sizes`, 1 being its own and 0.5 half as wide and high: a photograph
    is sharper, pixel for pixel, where it is smaller. Originals (`srgan train --originals`) come in their own alone.
    Of so many `candidates` at random places the patch with most detail is taken, 1 being any place. It gets `grain`
    of up to so many levels of 255, which a photograph loses where it is shrunk or coded. Then the lr side of all that
    is blurred by a Gaussian of a standard deviation of `least_blur` to `blur` of its pixels, gets Gaussian noise of up
    to `noise` levels of 255, and is kept as JPEG of a quality between the two of `jpeg`, such as [40, 95]; 0 and []
    leave it as it is. A `share` of what is degraded gets noise, and as large a share JPEG.
    """

    patch_size: int = 96
    sizes: list[float] = field(default_factory=lambda: [1.0])
    candidates: int = 1
    grain: float = 0.0
    blur: float = 0.0
    least_blur: float = 0.0
    noise: float = 0.0
    jpeg: list[int] = field(default_factory=list)
    share: float = 1.0
    gray: Literal["convert", "skip"] = "convert"
    held_out: int = 8
    held_out_crop: int = 192

    def without_grain(self) -> "Data":
        """Return these settings without grain: equal for two whose patches are the same places."""
        return dataclasses.replace(self, grain=0.0)

    def degradation(self) -> Degradation | None:
        """Return what becomes of the lr side, None where it stays as it is."""
        return Degradation(tuple(self.jpeg), self.noise, self.blur, self.least_blur, self.share) or None


@dataclass(frozen=True)
class Optimiser:
    """The optimiser and its learning rate, all in patches seen: no figure depends on the batch size.

    With "muon" the convolutions inside a network learn by Muon, all else by Adam at the same rate.
    For the first `head_start` patches the discriminator learns alone, at `learning_rate`; what is said of the rate
    below begins where they end.
    The rate rises linearly over `warmup` patches, then stays ("constant"). From the patch `drop_at` on it takes the
    value `final_learning_rate` ("drop") or, where warming up has ended, falls to it along half a cosine ("cosine"); or
    at each patch of `steps` it is multiplied by `step_factor` ("steps").
    Gradients of a network longer than `clip` times their usual length are shortened to that; 0 leaves them.
    """

    kind: Literal["adam", "muon"] = "adam"
    patches: int = 16_000_000
    batch_size: int = 16
    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    head_start: int = 0
    warmup: int = 0
    decay: Literal["constant", "cosine", "drop", "steps"] = "constant"
    final_learning_rate: float = 0.0
    drop_at: int = 0
    steps: list[int] = field(default_factory=list)
    step_factor: float = 0.5
    clip: float = 0.0

    def learning_rate_at(self, patches: int) -> float:
        """Return the learning rate of the step that begins after `patches` patches."""
        since = patches - self.head_start
        if since < 0:
            return self.learning_rate
        if since < self.warmup:
            return self.learning_rate * (since + self.batch_size) / (self.warmup + self.batch_size)
        if self.decay == "cosine":
            begin = max(self.head_start + self.warmup, self.drop_at)
            done = (patches - begin) / max(1, self.patches - begin)
            half = (1 + math.cos(math.pi * min(max(0.0, done), 1.0))) / 2
            return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * half
        if self.decay == "drop" and patches >= self.drop_at:
            return self.final_learning_rate
        if self.decay == "steps":
            return self.learning_rate * self.step_factor ** sum(patches >= step for step in self.steps)
        return self.learning_rate

    def idle(self) -> str | None:
        """Return what is set of a schedule that `decay` does not take, None where there is nothing."""
        set_for = {"drop_at": (self.drop_at, ("cosine", "drop")), "steps": (self.steps, ("steps",))}
        unheard = [name for name, (value, decays) in set_for.items() if value and self.decay not in decays]
        return f'optimiser.{unheard[0]} changes nothing by optimiser.decay = "{self.decay}"' if unheard else None

    def beyond(self) -> str | None:
        """Return what the schedule has that the run's end comes before, None where it gets through."""
        changes = {"head_start": self.head_start, "warmup": self.head_start + self.warmup}
        changes["drop_at"] = self.drop_at if self.decay in ("cosine", "drop") else 0
        changes["steps"] = max(self.steps, default=0) if self.decay == "steps" else 0
        late = [f"{name} {patches}" for name, patches in changes.items() if patches >= self.patches]
        return f"the run ends after {self.patches} patches, before optimiser.{late[0]}" if late else None


@dataclass(frozen=True)
class Discriminator:
    """Which network judges: the paper's, a PatchGAN, a U-Net, or heads on the maps that the content loss takes
    ("features"); `width` channels in its first convolution.

    `spectral` divides its convolutions by their largest singular value, in place of batch norm. It learns at
    `learning_rate_factor` times the generator's learning rate.
    """

    kind: Literal["srgan", "patch", "unet", "features"] = "srgan"
    width: int = 64
    spectral: bool = False
    learning_rate_factor: float = 1.0

    def without_rate(self) -> "Discriminator":
        """Return these settings at the generator's rate: equal for two that have the same network."""
        return dataclasses.replace(self, learning_rate_factor=1.0)


@dataclass(frozen=True)
class Loss:
    """Weights of the perceptual loss's terms; a term of weight 0 is neither built nor computed.

    Distances are squared ("l2") or absolute ("l1"). `content_layers` gives each phi_i,j, written "5,4", its weight.
    `content_factor` is 0 to calibrate the factor on the first patches, so that bicubic costs as much in the content
    loss as in the pixel loss of the same distance. `lpips` is LPIPS with VGG16, `dists` DISTS: what is trained
    on one is not to be judged by it. The formulas are in `srgan.losses`.
    """

    pixel: float = 0.0
    pixel_distance: Distance = "l2"
    content: float = 0.0
    content_distance: Distance = "l2"
    content_layers: dict[str, float] = field(default_factory=lambda: {"5,4": 1.0})
    content_activated: bool = True
    content_factor: float = 0.0
    adversarial: float = 0.0
    adversarial_kind: Literal["paper", "relativistic", "hinge"] = "paper"
    total_variation: float = 0.0
    artefacts: float = 0.0
    consistency: float = 0.0
    fourier: float = 0.0
    wavelet: float = 0.0
    grid: float = 0.0
    lpips: float = 0.0
    dists: float = 0.0

    def layers(self) -> dict[Phi, float]:
        """Return those of `content_layers` that have a weight, their keys read."""
        layers = {Phi.parse(name): weight for name, weight in self.content_layers.items()}
        return {phi: weight for phi, weight in layers.items() if weight}

    def unweighted(self) -> "Loss":
        """Return it with each weight 1 that is not 0, and no factor: what a run computes, not what that weighs."""
        ones: dict[str, Any] = {name: float(value != 0) for name, value in vars(self).items() if type(value) is float}
        layers = {name: 1.0 for name, weight in self.content_layers.items() if weight}
        ones |= {"content_factor": 0.0, "content_layers": layers}
        return dataclasses.replace(self, **ones)


@dataclass(frozen=True)
class Run:
    """How the run goes: seed, arithmetic, averaging, and how often (in patches) it saves and validates.

    `average_over` is the half-life, in patches, of the generator's exponential moving average, which is what
    is validated and exported. The `keep` newest checkpoints are kept, and the one that is `best` on the pictures
    validated on. A discriminator that has won or lost for `alarm_after` patches is reported. `precision` "auto" is bf16
    where the device has it in hardware, else fp32. With several processes `share_batch_norm` normalises over all of
    them. `compile` has PyTorch's compiler write kernels for the networks: it takes minutes at the start, and needs a
    C++ compiler on a CPU. `graph` has a GPU that is alone start a step's kernels all at once.
    """

    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    average_over: int = 10_000
    checkpoint_every: int = 100_000
    validate_every: int = 100_000
    log_every: int = 1_600
    keep: int = 2
    best: Literal["psnr_y", "ssim_y", "lpips"] = "psnr_y"
    alarm_after: int = 16_000
    share_batch_norm: bool = False
    compile: bool = False
    graph: bool = True


@dataclass(frozen=True)
class Recipe:
    """A training run of one generator, and of a discriminator where `loss.adversarial` is not 0.

    `initial` names the weights to start from: a shipped model, a checkpoint or a .safetensors file; empty is
    a fresh network. `shift` names two more, whose difference is added to it: what training the second to the first
    has taught (task arithmetic, Ilharco et al. 2023, "Editing models with task arithmetic").
    """

    name: str
    network: str = "srresnet_x4"
    initial: str = ""
    shift: list[str] = field(default_factory=list)
    data: Data = field(default_factory=Data)
    optimiser: Optimiser = field(default_factory=Optimiser)
    loss: Loss = field(default_factory=Loss)
    discriminator: Discriminator = field(default_factory=Discriminator)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        """Check types, and what they alone cannot say. Raises RecipeError."""
        _check_types(self)
        loss = self.loss
        if self.network not in GENERATORS:
            raise RecipeError(f"network: unknown {self.network!r}{_nearest(self.network, GENERATORS)}")
        if self.shift and not (self.initial and len(self.shift) == 2):
            raise RecipeError(f"shift: {self.shift} are not two networks beside an initial one")
        if not any(getattr(loss, term) for term in _ANCHORS):
            raise RecipeError(f"loss: none of {', '.join(_ANCHORS)} has a weight: nothing holds sr to hr")
        if self.discriminator.kind == "features" and loss.adversarial and not loss.content:
            raise RecipeError('discriminator.kind: "features" judges the maps of loss.content, which has no weight')
        try:
            if not loss.layers():
                raise RecipeError("loss.content_layers: no layer has a weight")
        except ValueError as error:
            raise RecipeError(f"loss.content_layers: {error}") from error
        for name, value in [
            ("optimiser.patches", self.optimiser.patches),
            ("optimiser.batch_size", self.optimiser.batch_size),
            ("data.patch_size", self.data.patch_size),
            ("data.candidates", self.data.candidates),
            ("data.held_out", self.data.held_out),
            ("discriminator.width", self.discriminator.width),
            ("run.average_over", self.run.average_over),
            ("run.checkpoint_every", self.run.checkpoint_every),
            ("run.validate_every", self.run.validate_every),
            ("run.log_every", self.run.log_every),
            ("run.keep", self.run.keep),
        ]:
            if value < 1:
                raise RecipeError(f"{name}: {value} is not a positive number")
        for name, number, limit in [
            ("optimiser.beta1", self.optimiser.beta1, 1),
            ("optimiser.beta2", self.optimiser.beta2, 1),
            ("optimiser.clip", self.optimiser.clip, 1e6),
            ("optimiser.batch_size", self.optimiser.batch_size, 1 << 20),
            ("discriminator.width", self.discriminator.width, 1 << 12),
            ("data.patch_size", self.data.patch_size, 1 << 14),
            ("data.candidates", self.data.candidates, 1_000),
            ("data.grain", self.data.grain, 256),
            ("data.blur", self.data.blur, 16),
            ("data.noise", self.data.noise, 256),
        ]:
            if number >= limit:
                raise RecipeError(f"{name}: {number} is not under {limit}")
        if self.optimiser.head_start and not loss.adversarial:
            raise RecipeError("optimiser.head_start: loss.adversarial has no weight, so nothing has one")
        if self.optimiser.decay == "drop" and not (self.optimiser.drop_at and self.optimiser.final_learning_rate):
            raise RecipeError('optimiser.decay: "drop" needs drop_at and final_learning_rate')
        if self.optimiser.decay == "steps" and not self.optimiser.steps:
            raise RecipeError('optimiser.decay: "steps" needs steps, the patches at which the rate falls')
        if not 0 < self.optimiser.step_factor < 1:
            raise RecipeError(f"optimiser.step_factor: {self.optimiser.step_factor} is not between 0 and 1")
        if 0 < self.optimiser.clip <= 1:
            raise RecipeError(f"optimiser.clip: {self.optimiser.clip} is neither 0 nor above 1")
        if not self.data.sizes or not all(0 < size <= 1 for size in self.data.sizes):
            raise RecipeError(f"data.sizes: {self.data.sizes} are not sizes above 0 and up to 1")
        if self.data.jpeg and not (len(self.data.jpeg) == 2 and 1 <= self.data.jpeg[0] <= self.data.jpeg[1] <= 100):
            raise RecipeError(f"data.jpeg: {self.data.jpeg} are not a lowest and a highest quality of 1 to 100")
        if self.data.least_blur > self.data.blur:
            raise RecipeError(f"data.least_blur: {self.data.least_blur} is more than data.blur, {self.data.blur}")
        if not 0 < self.data.share <= 1:
            raise RecipeError(f"data.share: {self.data.share} is not a share above 0 and up to 1")
        if self.data.held_out_crop < 32:
            raise RecipeError(f"data.held_out_crop: LPIPS needs 32, not {self.data.held_out_crop}")
        if self.data.patch_size % SCALE:
            raise RecipeError(f"data.patch_size: {self.data.patch_size} is not a multiple of the scale, {SCALE}")
        deepest = max(phi.i for phi in loss.layers())
        alone = self.optimiser.batch_size == 1  # batch norm needs several values of a channel
        judged = alone and bool(loss.adversarial) and not self.discriminator.spectral
        several = {"srgan": 20, "unet": 16, "features": 2**deepest}.get(self.discriminator.kind, 0)
        for least, needed, what in [
            (8, alone, "a batch of one patch"),
            (several, judged, "a discriminator with batch norm and one patch a batch"),
            (2 ** (deepest - 1), bool(loss.content), f"a content layer before max-pooling {deepest}"),
            (16, bool(loss.lpips), "loss.lpips"),
            (16, bool(loss.dists), "loss.dists"),
            (8, bool(loss.adversarial) and self.discriminator.kind == "unet", "a U-Net discriminator"),
            (24, bool(loss.adversarial) and self.discriminator.kind == "patch", "a patch discriminator"),
            (24, bool(loss.consistency), "loss.consistency"),
            (32, bool(loss.grid), "loss.grid"),
        ]:
            if needed and self.data.patch_size < least:
                raise RecipeError(f"data.patch_size: {what} needs {least}, not {self.data.patch_size}")


def read_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a TOML recipe; `settings` are overrides like "optimiser.batch_size=32", the value as TOML writes it.

    Raises RecipeError for an unreadable file, an unknown key (with the nearest known one), or a value of
    another type.
    """
    path = Path(path)
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # of what is no TOML, or no UTF-8, or has a number of more digits than Python reads
        raise RecipeError(f"{path}: not TOML: {error}") from error
    for setting in settings:
        _override(tree, setting)
    try:
        return recipe_from(tree, where=str(path))
    except RecipeError as error:
        told = str(error).removeprefix(f"{path}: ")
        for setting in reversed(settings):  # the last of a key counts
            key = ".".join(_parts(setting.partition("=")[0].strip()))
            if re.match(rf"(unknown key )?{re.escape(key)}(?![\w])", told):  # which is of no file
                raise RecipeError(f"{setting!r}: {told}") from error
        raise


def recipe_from(tree: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """Return the recipe of nested mappings, as `dataclasses.asdict` gives them. Raises RecipeError."""
    try:
        recipe = _build(Recipe, tree, "")
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    assert isinstance(recipe, Recipe)
    return recipe


def _override(tree: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals:
        raise RecipeError(f"{setting!r}: a setting is written key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # see `read_recipe`
        value = text
    *groups, last = _parts(key.strip())
    for group in groups:
        tree = tree.setdefault(group, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"{setting!r}: {group} is not a group of keys")
    tree[last] = value


def _parts(key: str) -> list[str]:
    """Return the parts of a key as TOML writes it: loss.content_layers."5,4", say."""
    try:
        tree: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return key.split(".")
    parts = []
    while isinstance(tree, dict):
        if len(tree) != 1:  # a comment, or two lines
            return key.split(".")
        ((part, tree),) = tree.items()
        parts.append(part)
    return parts


def _check_types(group: Any, prefix: str = "") -> None:
    """Let the values of a group, and of those in it, be of their types, whole numbers where others may be too."""
    for name, kind in typing.get_type_hints(type(group)).items():
        value = getattr(group, name)
        if dataclasses.is_dataclass(kind):
            if type(value) is not kind:
                raise RecipeError(f"{prefix}{name}: a group of keys, not {value!r}")
            _check_types(value, f"{prefix}{name}.")
        else:
            object.__setattr__(group, name, _value(kind, value, prefix + name))


def _build(kind: type, tree: Mapping[str, Any], prefix: str) -> object:
    """Return a group of what its keys say, of whatever types; the recipe looks at these when it is whole."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in tree:
        if key not in fields:
            below = [f"{group}.{key}" for group, known in hints.items() if key in getattr(known, "__annotations__", ())]
            raise RecipeError(f"unknown key {prefix}{key}{_nearest(below[0] if below else key, [*below, *fields])}")
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in tree:
            raise RecipeError(f"key {prefix}{name} is missing")
    return kind(
        **{
            key: _build(hints[key], value, f"{prefix}{key}.")
            if dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping)
            else value
            for key, value in tree.items()
        }
    )


def _value(kind: Any, value: object, key: str) -> object:
    """Return `value` as the type `kind`, or raise a RecipeError that names the key."""
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise RecipeError(f"{key}: {value!r} is none of {', '.join(map(repr, get_args(kind)))}")
        return value
    if origin is dict:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{key}: a table, not {value!r}")
        return {str(k): _value(get_args(kind)[1], v, f"{key}.{k}") for k, v in value.items()}
    if origin is list:
        if not isinstance(value, list):
            raise RecipeError(f"{key}: a list, not {value!r}")
        return [_value(get_args(kind)[0], v, f"{key}[{i}]") for i, v in enumerate(value)]
    if type(value) is int and abs(value) >= 1 << 63:
        told = value if abs(value) < 1 << 64 else f"a number of {len(str(abs(value)))} digits"
        raise RecipeError(f"{key}: {told} is {'negative' if value < 0 else f'not under {1 << 63}'}")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise RecipeError(f"{key}: {value!r} is not {_NAMES[kind]}")
    if isinstance(value, int | float) and not 0 <= value < math.inf:
        raise RecipeError(f"{key}: {value!r} is negative or not finite")
    return value


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _nearest(name: str, known: typing.Collection[str]) -> str:
    longer = [key for key in known if name and key.startswith(name)]
    close = longer or difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
