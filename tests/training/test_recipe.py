import re
import runpy
import tomllib
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srgan.data.degradation import Degradation
from srgan.data.store import Entry, Store
from srgan.errors import RecipeError
from srgan.models.vgg import Phi
from srgan.training.recipe import Data, Discriminator, Loss, Optimiser, Recipe, read_recipe, recipe_from

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))
PLAIN = 'name = "a"\n[loss]\npixel = 1.0\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_recipes_that_are_shipped_are_right(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert f"srgan train {path.relative_to(ROOT)} --data" in path.read_text().partition("\n\n")[0]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_head_of_a_recipe_gets_all_that_it_needs(path: Path) -> None:
    recipe = read_recipe(path)
    lines = [line.removeprefix("#   ") for line in path.read_text().partition("\n\n")[0].splitlines()]
    fetched = {word for line in lines if line.startswith("srgan fetch ") for word in line.split()[2:]}
    needed = {
        "vgg19": recipe.loss.content,
        "lpips": recipe.run.best == "lpips",
        "lpips-vgg": recipe.loss.lpips + recipe.loss.dists,
    }
    assert fetched >= {name for name, weight in needed.items() if weight}
    for start in (Path(name).parts[:2] for name in (recipe.initial, *recipe.shift)):
        assert start[:1] != ("runs",) or any(
            line.startswith("srgan train ") and line.endswith(f"--out {'/'.join(start)}") for line in lines
        )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_recipe_holds_out_nothing_that_its_start_has_learned_from(path: Path) -> None:
    recipe = read_recipe(path)
    store = Store(np.empty((0, 3), np.uint8), tuple(Entry(f"{i}.png", 512, 512, 0) for i in range(997)))
    for file, run in re.findall(r"^#   srgan train (\S+) .*--out (\S+)$", path.read_text(), re.MULTILINE):
        if any(Path(run) in Path(name).parents for name in (recipe.initial, *recipe.shift)):
            earlier = read_recipe(ROOT / file)
            assert set(store.split(recipe.data.held_out)[1]) <= set(store.split(earlier.data.held_out)[1])


def test_the_document_has_every_key_with_its_default() -> None:
    lines = re.findall(r"^\| `([\w.]+)` \| ?(.*?) ?\|", (ROOT / "docs" / "recipes.md").read_text(), re.MULTILINE)
    told = {key: tomllib.loads(f"it = {default}")["it"] for key, default in lines if default}
    defaults = asdict(Recipe("a", loss=Loss(pixel=1.0)))
    defaults["loss"]["pixel"] = Loss().pixel
    groups = {name: group for name, group in defaults.items() if isinstance(group, dict)}
    keys = {name: value for name, value in defaults.items() if name not in {"name", *groups}}
    keys |= {f"{name}.{key}": value for name, group in groups.items() for key, value in group.items()}
    assert told == keys
    assert "name" in dict(lines)


@pytest.mark.parametrize("folder", ["paper", "large-batch", "cpu"])
def test_the_recipes_of_a_folder_are_reproduced_after_what_they_start_from(folder: str) -> None:
    ready = {""}
    for file in runpy.run_path(str(ROOT / "recipes" / "reproduce.py"))["in_order"](ROOT / "recipes" / folder):
        recipe = read_recipe(file)
        assert "/".join(Path(recipe.initial).parts[1:2]) in ready
        ready.add(file.stem)
    assert ready >= {"srresnet", "srgan-vgg54", "srgan-mse", "srgan-vgg22", "srresnet-vgg22"}


def test_it_comes_back_from_its_dictionary() -> None:
    recipe = Recipe("a", loss=recipe_from({"name": "b", "loss": {"content": 1, "content_layers": {"2,2": 3}}}).loss)
    assert recipe.loss.content == 1.0
    assert recipe.loss.layers() == {Phi(2, 2): 3.0}
    assert recipe_from(asdict(recipe)) == recipe


def test_it_is_frozen() -> None:
    recipe = recipe_from({"name": "a", "loss": {"pixel": 1.0}})
    with pytest.raises(FrozenInstanceError):
        recipe.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('nmae = "a"', "unknown key nmae; did you mean name?"),
        (PLAIN + "[optimizer]\n", "unknown key optimizer; did you mean optimiser?"),
        (PLAIN + "[optimiser]\nbatchsize = 3\n", "unknown key optimiser.batchsize; did you mean batch_size?"),
        (PLAIN + "zzzz = 1\n", "unknown key loss.zzzz; known are pixel, pixel_distance,"),
        ("[loss]\npixel = 1.0\n", "key name is missing"),
        ('shift = ["a", "b"]\n' + PLAIN, "shift: ['a', 'b'] are not two networks beside an initial one"),
        ('initial = "a"\nshift = ["b"]\n' + PLAIN, "shift: ['b'] are not two networks beside an initial one"),
        (PLAIN + "[optimiser]\nbatch_size = 1.5\n", "optimiser.batch_size: 1.5 is not a whole number"),
        (PLAIN + "[optimiser]\nbatch_size = true\n", "optimiser.batch_size: True is not a whole number"),
        (PLAIN + "[optimiser]\nbatch_size = 0\n", "optimiser.batch_size: 0 is not a positive number"),
        (PLAIN + "[optimiser]\nhead_start = 16\n", "optimiser.head_start: loss.adversarial has no weight"),
        (PLAIN + "[optimiser]\nlearning_rate = '1e-4'\n", "optimiser.learning_rate: '1e-4' is not a number"),
        (PLAIN + "[optimiser]\nlearning_rate = nan\n", "optimiser.learning_rate: nan is negative or not finite"),
        (PLAIN + "[optimiser]\nlearning_rate = -1.0\n", "optimiser.learning_rate: -1.0 is negative or not finite"),
        (PLAIN + "[run]\nprecision = 'fp16'\n", "run.precision: 'fp16' is none of 'auto', 'bf16', 'fp32'"),
        (PLAIN + "[run]\nseed = -1\n", "run.seed: -1 is negative or not finite"),
        (PLAIN + "content_layers = { '9,9' = 1.0 }\n", "loss.content_layers: VGG19 has no layer phi_9,9"),
        (PLAIN + "content_layers = {}\n", "loss.content_layers: no layer has a weight"),
        (PLAIN + "content_layers = { '2,2' = 0.0 }\n", "loss.content_layers: no layer has a weight"),
        (PLAIN + "content_layers = { '02,2' = 1.0 }\n", "loss.content_layers: '02,2' is no layer: 5,4, say"),
        ("batch_size = 3\n" + PLAIN, "unknown key batch_size; did you mean optimiser.batch_size?"),
        (
            PLAIN + "[data]\npatch_size = 4\n[optimiser]\nbatch_size = 1\n",
            "data.patch_size: a batch of one patch needs 8, not 4",
        ),
        (
            PLAIN + "adversarial = 1e-3\n[data]\npatch_size = 16\n[optimiser]\nbatch_size = 1\n",
            "data.patch_size: a discriminator with batch norm and one patch a batch needs 20, not 16",
        ),
        (
            PLAIN + "content = 1.0\nadversarial = 1e-3\n[discriminator]\nkind = 'features'\n[data]\npatch_size = 16\n"
            "[optimiser]\nbatch_size = 1\n",
            "data.patch_size: a discriminator with batch norm and one patch a batch needs 32, not 16",
        ),
        (PLAIN + "content_layers = 3\n", "loss.content_layers: a table, not 3"),
        (
            PLAIN.replace("1.0", "0.0"),
            "loss: none of pixel, content, fourier, wavelet, lpips, dists has a weight: nothing holds sr to hr",
        ),
        (PLAIN.replace("1.0", "-1.0"), "loss.pixel: -1.0 is negative or not finite"),
        ('network = "srresnet_x3"\n' + PLAIN, "network: unknown 'srresnet_x3'; did you mean srresnet_x4?"),
        ('loss = 3\nname = "a"', "loss: a group of keys, not 3"),
        (PLAIN + "adversarial_kind = 'wasserstein'\n", "loss.adversarial_kind: 'wasserstein' is none of 'paper',"),
        (
            PLAIN + "[discriminator]\nkind = 'u-net'\n",
            "discriminator.kind: 'u-net' is none of 'srgan', 'patch'",
        ),
        (
            PLAIN + "adversarial = 1e-3\n[discriminator]\nkind = 'features'\n",
            'discriminator.kind: "features" judges the maps of loss.content, which has no weight',
        ),
        (PLAIN + "[discriminator]\nwidth = 0\n", "discriminator.width: 0 is not a positive number"),
        (
            PLAIN + "adversarial = 1.0\n[discriminator]\nkind = 'patch'\n[data]\npatch_size = 20\n",
            "data.patch_size: a patch discriminator needs 24, not 20",
        ),
        (
            PLAIN + "adversarial = 1.0\n[discriminator]\nkind = 'unet'\n[data]\npatch_size = 4\n",
            "data.patch_size: a U-Net discriminator needs 8, not 4",
        ),
        (PLAIN + "[data]\npatch_size = 30\n", "data.patch_size: 30 is not a multiple of the scale, 4"),
        (
            PLAIN + "content = 1.0\n[data]\npatch_size = 12\n",
            "data.patch_size: a content layer before max-pooling 5 needs 16, not 12",
        ),
        (PLAIN + "lpips = 1.0\n[data]\npatch_size = 12\n", "data.patch_size: loss.lpips needs 16, not 12"),
        (PLAIN + "dists = 1.0\n[data]\npatch_size = 12\n", "data.patch_size: loss.dists needs 16, not 12"),
        (PLAIN + f"[optimiser]\nlearning_rate = -{10**400}\n", "optimiser.learning_rate: a number of 401 digits is"),
        (PLAIN + f"[optimiser]\nbatch_size = {10**20}\n", "optimiser.batch_size: a number of 21 digits is not"),
        (
            f'name = "a"\n[loss]\npixel = {10**400}\n',
            "loss.pixel: a number of 401 digits is not under",
        ),
        (
            PLAIN + 'adversarial = 1.0\n[discriminator]\nkind = "unet"\n[data]\npatch_size = 12\n'
            "[optimiser]\nbatch_size = 1\n",
            "data.patch_size: a discriminator with batch norm and one patch a batch needs 16, not 12",
        ),
        (PLAIN + "content_layers = { '5.4' = 1.0 }\n", "loss.content_layers: '5.4' is no layer: 5,4, say"),
        (PLAIN + "[data]\nheld_out_crop = 31\n", "data.held_out_crop: LPIPS needs 32, not 31"),
        (PLAIN + "[data]\nsizes = [0.5, 0]\n", "data.sizes: [0.5, 0.0] are not sizes above 0 and up to 1"),
        (PLAIN + "[data]\nsizes = [2.0]\n", "data.sizes: [2.0] are not sizes above 0 and up to 1"),
        (PLAIN + "[data]\nsizes = []\n", "data.sizes: [] are not sizes above 0 and up to 1"),
        (PLAIN + "[data]\nsizes = 0.5\n", "data.sizes: a list, not 0.5"),
        (PLAIN + '[data]\nsizes = [1, "0.5"]\n', "data.sizes[1]: '0.5' is not a number"),
        (PLAIN + "[data]\njpeg = [60]\n", "data.jpeg: [60] are not a lowest and a highest quality of 1 to 100"),
        (PLAIN + "[data]\njpeg = [90, 60]\n", "data.jpeg: [90, 60] are not a lowest and a highest quality of 1 to 100"),
        (PLAIN + "[data]\njpeg = [0, 60]\n", "data.jpeg: [0, 60] are not a lowest and a highest quality of 1 to 100"),
        (PLAIN + "[data]\ngrain = 256.0\n", "data.grain: 256.0 is not under 256"),
        (PLAIN + "[data]\nnoise = -1.0\n", "data.noise: -1.0 is negative or not finite"),
        (PLAIN + "[data]\nnoise = 256.0\n", "data.noise: 256.0 is not under 256"),
        (PLAIN + "[data]\nblur = 16.0\n", "data.blur: 16.0 is not under 16"),
        (PLAIN + "[data]\nblur = 1.0\nleast_blur = 1.5\n", "data.least_blur: 1.5 is more than data.blur, 1.0"),
        (PLAIN + "[data]\nshare = 0.0\n", "data.share: 0.0 is not a share above 0 and up to 1"),
        (PLAIN + "[data]\nleast_blur = 0.5\n", "data.least_blur: 0.5 is more than data.blur, 0.0"),
        (PLAIN + "[optimiser]\nbeta2 = 1.0\n", "optimiser.beta2: 1.0 is not under 1"),
        (PLAIN + "[optimiser]\nclip = 1.0\n", "optimiser.clip: 1.0 is neither 0 nor above 1"),
        (PLAIN + "[optimiser]\nclip = 1e308\n", "optimiser.clip: 1e+308 is not under 1000000.0"),
        (PLAIN + f"[discriminator]\nwidth = {2**62}\n", f"discriminator.width: {2**62} is not under 4096"),
        (PLAIN + f"[optimiser]\nbatch_size = {10**18}\n", f"optimiser.batch_size: {10**18} is not under 1048576"),
        (PLAIN + f"[optimiser]\nseed = {'1' * 5000}\n", "not TOML: Exceeds the limit (4300 digits)"),
        (
            PLAIN + "[run]\nseed = 9223372036854775808\n",
            "run.seed: 9223372036854775808 is not under 9223372036854775808",
        ),
        (
            PLAIN + "[optimiser]\ndecay = 'drop'\ndrop_at = 9\n",
            'optimiser.decay: "drop" needs drop_at and final_learning_rate',
        ),
        (PLAIN + "[optimiser]\ndecay = 'steps'\n", 'optimiser.decay: "steps" needs steps, the patches'),
        (PLAIN + "[optimiser]\nstep_factor = 1.0\n", "optimiser.step_factor: 1.0 is not between 0 and 1"),
        (PLAIN + "grid = 1.0\n[data]\npatch_size = 24\n", "data.patch_size: loss.grid needs 32, not 24"),
        ("name = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_what_is_not_said_is_the_papers() -> None:
    """Section 3.2: batches of 16 random 96x96 patches, Adam with beta1 0.9, 1e-4; and what it leaves open."""
    recipe = recipe_from({"name": "a", "loss": {"pixel": 1.0}})
    assert recipe.network == "srresnet_x4"
    assert (recipe.data.patch_size, recipe.data.sizes, recipe.data.candidates) == (96, [1.0], 1)
    assert (recipe.data.grain, recipe.data.degradation()) == (0.0, None)
    assert (recipe.optimiser.kind, recipe.optimiser.batch_size, recipe.optimiser.learning_rate) == ("adam", 16, 1e-4)
    assert (recipe.optimiser.beta1, recipe.optimiser.beta2) == (0.9, 0.999)
    assert (recipe.optimiser.patches, recipe.optimiser.decay, recipe.optimiser.clip) == (16_000_000, "constant", 0.0)
    assert recipe.loss == Loss(pixel=1.0, pixel_distance="l2", content_distance="l2", content_activated=True)
    assert recipe.loss.layers() == {Phi(5, 4): 1.0}
    assert recipe.loss.adversarial_kind == "paper"
    assert recipe.discriminator == Discriminator("srgan", 64, spectral=False, learning_rate_factor=1.0)
    assert (recipe.run.seed, recipe.run.average_over, recipe.run.best) == (0, 10_000, "psnr_y")


def test_a_discriminator_that_is_not_built_needs_no_patches() -> None:
    for kind in ("unet", "patch"):
        tree = {"name": "a", "loss": {"pixel": 1.0}, "discriminator": {"kind": kind}, "data": {"patch_size": 4}}
        assert recipe_from(tree).data.patch_size == 4


def test_blur_noise_or_jpeg_alone_degrades_lr() -> None:
    assert Data().degradation() is None
    assert Data(noise=5.0).degradation() == Degradation((), 5.0)
    assert Data(blur=1.5).degradation() == Degradation(blur=1.5)
    assert Data(blur=1.5, least_blur=0.5).degradation() == Degradation(blur=1.5, least_blur=0.5)
    assert Data(jpeg=[40, 95]).degradation() == Degradation((40, 95), 0.0)
    assert Data(jpeg=[40, 95], noise=5.0).degradation() == Degradation((40, 95), 5.0)


@pytest.mark.parametrize("qualities", [[1, 1], [60, 60], [1, 100], [100, 100]])
def test_qualities_of_jpeg_may_be_one_alone_and_all_that_there_are(qualities: list[int]) -> None:
    recipe = recipe_from({"name": "a", "loss": {"pixel": 1.0}, "data": {"jpeg": qualities}})
    assert recipe.data.degradation() == Degradation(tuple(qualities), 0.0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: No such file"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("optimiser.batch_size=32", 32),
        ("optimiser.learning_rate=2", 2.0),
        ("optimiser.learning_rate = 3e-4", 3e-4),
        ("optimiser.decay=cosine", "cosine"),
        ('optimiser.decay="constant"', "constant"),
        ("loss.content_activated=false", False),
        ('loss.content_layers={"2,2"=0.5}', {"2,2": 0.5}),
        ("loss.'content_layers'={'2,2'=0.5}", {"2,2": 0.5}),
        ("data.sizes=[1, 0.5]", [1.0, 0.5]),
        ("name=1e5", None),
    ],
)
def test_a_setting_overrides_a_key_with_its_type(tmp_path: Path, setting: str, value: Any) -> None:
    path = written(tmp_path, PLAIN)
    if value is None:
        with pytest.raises(RecipeError, match=r"name: 100000\.0 is not a text"):
            read_recipe(path, [setting])
        return
    recipe = read_recipe(path, [setting])
    group, key = setting.partition("=")[0].strip().replace("'", "").split(".")
    found = getattr(getattr(recipe, group), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimiser.batch_size", "a setting is written key=value"),
        ("#a=1", "unknown key #a; known are name, network"),
        ("a=1\nb=1", "unknown key a"),
        ("optimiser.batch_sise=3", "unknown key optimiser.batch_sise; did you mean batch_size?"),
        ("optimiser.batch=3", "unknown key optimiser.batch; did you mean batch_size?"),
        ("optimiser.=3", "unknown key optimiser.; known are kind, patches,"),
        ("optimiser.batch_size=many", "optimiser.batch_size: 'many' is not a whole number"),
        (f"optimiser.patches={'1' * 5000}", "11' is not a whole number"),
        ("name.first=3", "name is not a group of keys"),
    ],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(written(tmp_path, PLAIN), [setting])
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{setting!r}: "), "and not as if the file said so"


def test_the_learning_rate_by_hand() -> None:
    constant = Optimiser(batch_size=10, learning_rate=1.0)
    assert [constant.learning_rate_at(n) for n in (0, 10**9)] == [1.0, 1.0]
    drop = Optimiser(batch_size=10, learning_rate=1e-4, decay="drop", final_learning_rate=1e-5, drop_at=1000)
    assert [drop.learning_rate_at(n) for n in (0, 990, 1000, 5000)] == [1e-4, 1e-4, 1e-5, 1e-5]
    steps = Optimiser(batch_size=10, learning_rate=1.0, warmup=20, decay="steps", steps=[100, 200], step_factor=0.1)
    rates = [steps.learning_rate_at(n) for n in (10, 20, 90, 100, 190, 200, 10**9)]
    assert rates == pytest.approx([2 / 3, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01])
    cosine = Optimiser(
        patches=140, batch_size=10, learning_rate=1.0, warmup=40, decay="cosine", final_learning_rate=0.2
    )
    assert [cosine.learning_rate_at(n) for n in (0, 10, 30)] == pytest.approx([0.2, 0.4, 0.8])
    assert [cosine.learning_rate_at(n) for n in (40, 90, 140, 999)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    later = replace(cosine, drop_at=100)
    assert [later.learning_rate_at(n) for n in (0, 30, 40, 100)] == pytest.approx([0.2, 0.8, 1.0, 1.0])
    assert [later.learning_rate_at(n) for n in (120, 140, 999)] == pytest.approx([0.6, 0.2, 0.2])
    assert later.learning_rate_at(110) == pytest.approx(0.2 + 0.8 * (1 + 0.5**0.5) / 2)  # a quarter of the way
    at_once = replace(cosine, warmup=0)
    assert [at_once.learning_rate_at(n) for n in (0, 70, 140)] == pytest.approx([1.0, 0.6, 0.2])
    never = replace(cosine, patches=40, warmup=0, drop_at=40)  # what begins where the run ends divides by nothing
    assert [never.learning_rate_at(n) for n in (0, 39, 40)] == pytest.approx([1.0, 1.0, 1.0])
    sooner = replace(cosine, drop_at=20)
    assert [sooner.learning_rate_at(n) for n in (10, 90)] == [cosine.learning_rate_at(n) for n in (10, 90)]
    led = replace(cosine, patches=160, head_start=20)  # at the full rate, and then as if it had not been
    assert [led.learning_rate_at(n) for n in (0, 10)] == [1.0, 1.0]
    assert [led.learning_rate_at(n + 20) for n in (0, 30, 90)] == [cosine.learning_rate_at(n) for n in (0, 30, 90)]


def test_a_setting_of_one_layer_leaves_the_others(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN + 'content_layers = { "2,2" = 1.0, "5,4" = 1.0 }\n')
    recipe = read_recipe(path, ['loss.content_layers."2,2"=0.5', "loss.content_layers.'5,4'=0"])
    assert recipe.loss.content_layers == {"2,2": 0.5, "5,4": 0.0}
    assert recipe.loss.layers() == {Phi(2, 2): 0.5}  # nothing is computed down to phi_5,4


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"loss": Loss(pixel=1.0, pixel_distance="l7")}, "loss.pixel_distance: 'l7' is none of 'l2', 'l1'"),  # type: ignore[arg-type]
        ({"optimiser": Optimiser(batch_size=2.5)}, "optimiser.batch_size: 2.5 is not a whole number"),  # type: ignore[arg-type]
        ({"optimiser": 3}, "optimiser: a group of keys, not 3"),
        ({"network": 3}, "network: 3 is not a text"),
    ],
)
def test_a_recipe_that_is_made_in_python_is_typed_as_well(groups: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe("a", **{"loss": Loss(pixel=1.0), **groups})
    assert str(caught.value) == message


def test_whole_numbers_are_numbers_in_a_recipe_that_is_made_in_python() -> None:
    made = Recipe("a", loss=Loss(pixel=1, content_layers={"2,2": 1}))
    assert made == recipe_from({"name": "a", "loss": {"pixel": 1.0, "content_layers": {"2,2": 1.0}}})
    assert type(made.loss.pixel) is float
    assert made.loss.unweighted() == replace(made.loss, pixel=1.0)


@pytest.mark.parametrize(
    ("optimiser", "line"),
    [
        (Optimiser(patches=100, decay="drop", drop_at=100, final_learning_rate=1e-5), "100 patches, .*drop_at 100"),
        (Optimiser(patches=100, decay="drop", drop_at=99, final_learning_rate=1e-5), None),
        (Optimiser(patches=100, decay="cosine", drop_at=200), "100 patches, .*drop_at 200"),
        (Optimiser(patches=100, drop_at=200), None),
        (Optimiser(patches=100, decay="steps", steps=[50, 100]), "100 patches, .*steps 100"),
        (Optimiser(patches=100, decay="steps", steps=[50, 99]), None),
        (Optimiser(patches=100, warmup=101), "100 patches, .*warmup 101"),
        (Optimiser(patches=100, head_start=100), "100 patches, .*head_start 100"),
        (Optimiser(patches=100, head_start=50, warmup=50), "100 patches, .*warmup 100"),
    ],
)
def test_a_schedule_that_the_run_does_not_reach_is_told(optimiser: Optimiser, line: str | None) -> None:
    beyond = optimiser.beyond()
    assert beyond is None if line is None else beyond is not None and re.search(line, beyond)


@pytest.mark.parametrize(
    ("optimiser", "line"),
    [
        (Optimiser(drop_at=50), 'optimiser.drop_at changes nothing by optimiser.decay = "constant"'),
        (Optimiser(steps=[50]), 'optimiser.steps changes nothing by optimiser.decay = "constant"'),
        (
            Optimiser(decay="steps", steps=[50], drop_at=50),
            'optimiser.drop_at changes nothing by optimiser.decay = "steps"',
        ),
        (Optimiser(decay="cosine", drop_at=50), None),
        (Optimiser(decay="steps", steps=[50]), None),
    ],
)
def test_what_no_decay_takes_of_a_schedule_is_told(optimiser: Optimiser, line: str | None) -> None:
    assert optimiser.idle() == line
