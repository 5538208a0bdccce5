import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

import runs
from conftest import card_of, randomised
from srgan.errors import CheckpointError, ExportError, WeightsError
from srgan.export import build_onnx, export, parity
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.upscaler import Upscaler
from srgan.models.generator import Generator, blend_folded, folded
from srgan.models.tensors import load_generator, save_generator
from srgan.training import checkpoint
from srgan.weights import checksum, read_card

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint as a run leaves it, whose averaged generator is another than its generator."""
    state = {
        "patches": 1600,
        "seconds": 5400.0,
        "origin": {"pictures": 3, "megapixels": 0.1, "device": "1 CPU core"},
        "generator": randomised(runs.tiny_x4(), seed=2).state_dict(),
        "average": randomised(runs.tiny_x4(), seed=3).state_dict(),
    }
    return checkpoint.save(tmp_path / "checkpoints", runs.recipe(), state, keep=1)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The weights of another network of the same kind, "smooth"."""
    path, theirs = tmp_path / "other.safetensors", randomised(runs.tiny_x4(), seed=4)
    save_generator(theirs, path, card_of(theirs, "smooth", "tiny_x4"), half=False)
    return path


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("rewrite", [True, False])
def test_the_onnx_file_is_the_generator(tiny: Generator, half: bool, rewrite: bool) -> None:
    generator = runs.tiny_x4().eval()
    state = tiny.state_dict()
    generator.load_state_dict({k: v.half().float() if half and v.is_floating_point() else v for k, v in state.items()})
    model = build_onnx(generator, card_of(tiny, "tiny", "tiny_x4"), half=half, rewrite=rewrite)
    difference = parity(model, generator)
    assert 0 < difference < (1e-3 if half else 1e-5)  # folded factors are rounded to float16 as well


def test_a_plain_generator_is_exported_as_the_one_that_it_was_folded_from(tiny: Generator) -> None:
    """Node for node, so that one can be blended with the other's file."""
    card = card_of(tiny, "tiny", "tiny_x4")
    plain = folded(tiny)
    first, second = (build_onnx(network, card, half=False) for network in (tiny, plain))
    assert parity(second, plain) < 1e-5
    assert [(n.op_type, n.name) for n in first.graph.node] == [(n.op_type, n.name) for n in second.graph.node]
    for a, b in zip(first.graph.initializer, second.graph.initializer, strict=True):
        assert a == b


@pytest.mark.parametrize("rewrite", [True, False])
def test_a_generator_without_stages_is_exported(rewrite: bool) -> None:
    """The pixels of the file's last shuffle are the generator's, in OpenVINO's floats and in its levels."""
    generator = randomised(Generator(channels=8, blocks=2, stages=0, end_kernel=3, shuffle=4, plain=True), seed=5)
    model = build_onnx(generator, card_of(generator, "compact", "compact_x4"), half=False, rewrite=rewrite)
    assert 0 < parity(model, generator) < 1e-5
    assert [node.op_type for node in model.graph.node].count("Conv") == 1 + 2 * 2 + 1 + 1
    lr = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    with torch.inference_mode():
        sr = generator(torch.from_numpy(lr / np.float32(255)).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    levels = OpenVinoNetwork(model.SerializeToString(), precision="fp32").levels(lr)
    assert np.abs(levels - sr.clamp(0, 1).mul(255).numpy()).max() < 0.51


def test_it_runs_elsewhere_on_any_size_and_number(tiny: Generator) -> None:
    """The same values in ONNX Runtime, on three pictures at once, of a size that parity does not try."""
    model = build_onnx(tiny, card_of(tiny, "tiny", "tiny_x4"), half=False)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    lr = torch.rand(3, 3, 6, 11, generator=torch.Generator().manual_seed(0))
    (sr,) = session.run(None, {"lr": lr.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(sr, tiny(lr).numpy(), rtol=0, atol=1e-5)


def test_what_is_in_the_file(tiny: Generator) -> None:
    card = card_of(tiny, "tiny", "tiny_x4")
    model = build_onnx(tiny, card)
    assert json.loads(next(p.value for p in model.metadata_props if p.key == "srgan")) == card
    operators = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in operators
    assert operators[-1] == "DepthToSpace"
    assert operators.count("Conv") == 1 + 2 * 2 + 1 + 2 + 1
    assert {numpy_helper.to_array(t).dtype for t in model.graph.initializer} == {np.dtype(np.float16)}
    sizes = [
        dimension.dim_param or dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim
    ]
    assert sizes == ["n", 3, "height", "width"]


def test_a_checkpoint_becomes_weights_files_with_one_card(trained: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "out" / "a.onnx", tmp_path / "out" / "a.safetensors"]
    difference = export(trained, outputs, summary="for a test", trained_on="noise, public domain")
    assert difference < 2e-3
    generator, card = load_generator(outputs[1])
    onnx_card = next(p.value for p in onnx.load(outputs[0]).metadata_props if p.key == "srgan")
    assert json.loads(onnx_card) == card
    assert (card["name"], card["network"], card["scale"], card["halo"]) == ("short", "tiny_x4", 4, 12)
    assert card["parameters"] == sum(p.numel() for p in generator.parameters())
    assert card["summary"] == "for a test"
    assert card["training"]["patches"] == 1600
    assert card["training"]["hours"] == 1.5
    assert card["training"]["data"] == "noise, public domain"
    assert card["training"]["recipe"]["optimiser"]["batch_size"] == 4
    average = randomised(runs.tiny_x4(), seed=3)
    assert torch.equal(generator.head.weight, average.head.weight.half().float())
    picture = runs.scene(9, 14, seed=0)
    written = [Upscaler(str(path), precision="fp32").upscale(picture) for path in outputs]
    assert np.abs(written[0].astype(int) - written[1].astype(int)).max() <= 1


def test_scores_go_into_the_card(trained: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    results = [
        {"model": "bicubic", "set": "Set5", "mean": {"psnr_y": 28.4}},
        {"model": str(tmp_path / "a.onnx"), "set": "Set5", "mean": {"psnr_y": 30.123456}},
    ]
    scores.write_text(json.dumps({"results": results}))
    export(trained, [tmp_path / "a.onnx", tmp_path / "a.safetensors"], scores=scores)
    assert load_generator(tmp_path / "a.safetensors")[1]["scores"] == {"Set5": {"psnr_y": 30.1235}}
    with pytest.raises(ExportError, match=r"scores\.json: no scores of"):
        export(trained, [tmp_path / "b.onnx"], scores=scores)
    for name in ("a", "theirs"):  # of one that is called so, and of the file by another path
        theirs = {"model": "theirs", "set": "Set5", "mean": {"psnr_y": 9.0}}
        moved = {"model": "/there/a.onnx", "set": "Set5", "mean": {"psnr_y": 31.0}}
        moved["weights"] = checksum(tmp_path / "a.onnx")
        scores.write_text(json.dumps({"results": [theirs, *results, moved, theirs]}))
        export(tmp_path / "a.safetensors", [tmp_path / "a.onnx"], scores=scores, name=name)
        assert read_card(tmp_path / "a.onnx")["scores"] == {"Set5": {"psnr_y": 31.0}}
    with pytest.raises(ExportError, match=r"scores\.json: two results of theirs for one set"):
        export(trained, [tmp_path / "b.onnx"], scores=scores, name="theirs")
    scores.write_text(json.dumps({"results": [theirs | {"border": 0}]}))
    with pytest.raises(ExportError, match="a border of 0 pixels, where those of cards have 4"):
        export(trained, [tmp_path / "b.onnx"], scores=scores, name="theirs")
    scores.write_text("[]")
    with pytest.raises(ExportError, match="not a file of scores"):
        export(trained, [tmp_path / "a.onnx"], scores=scores)


def test_a_share_of_the_weights_comes_from_another_network(trained: Path, other: Path, tmp_path: Path) -> None:
    theirs = randomised(runs.tiny_x4(), seed=4)
    export(trained, [tmp_path / "a.safetensors"], blend=(other, 0.25))
    generator, card = load_generator(tmp_path / "a.safetensors")
    expected = 0.75 * randomised(runs.tiny_x4(), seed=3).head.weight + 0.25 * theirs.head.weight
    assert torch.allclose(generator.head.weight, expected, atol=1e-3)
    assert card["training"]["blend"] == "0.25 of each weight from smooth"
    scores = {"Set5": {"psnr_y": 30.0}}
    save_generator(generator, tmp_path / "scored.safetensors", card | {"scores": scores, "summary": "smooth"})
    export(tmp_path / "scored.safetensors", [tmp_path / "copy.safetensors"])
    assert read_card(tmp_path / "copy.safetensors")["scores"] == scores
    export(tmp_path / "scored.safetensors", [tmp_path / "b.safetensors"], blend=(other, 0.5))
    card = read_card(tmp_path / "b.safetensors")
    assert (card["scores"], card["summary"]) == ({}, ""), "of weights that it no longer has"
    assert card["training"]["blend"] == "0.25 of each weight from smooth, then 0.5 of each weight from smooth"
    with pytest.raises(ExportError, match=r"other\.safetensors: a blend takes a share in \[0, 1\] of it, not 1\.5$"):
        export(trained, [tmp_path / "a.safetensors"], blend=(other, 1.5))


def test_a_plain_network_takes_its_share_from_a_folded_one(tiny: Generator, tmp_path: Path) -> None:
    plain, other, result = (tmp_path / f"{name}.safetensors" for name in ("plain", "other", "result"))
    theirs = randomised(runs.tiny_x4(), seed=4)
    save_generator(theirs, other, card_of(theirs, "smooth", "tiny_x4"), half=False)
    save_generator(folded(tiny), plain, card_of(folded(tiny), "sharp", "tiny_plain_x4"), half=False)
    export(plain, [result], blend=(other, 0.25))
    lr = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    generator, card = load_generator(result)
    assert card["network"] == "tiny_plain_x4"
    with torch.no_grad():
        assert torch.allclose(generator(lr), blend_folded(tiny, theirs, 0.25)(lr), atol=2e-3)
    message = r"plain\.safetensors: a tiny_x4 is blended with another, not with a tiny_plain_x4$"
    with pytest.raises(ExportError, match=message):
        export(other, [result], blend=(plain, 0.25))


def test_a_file_that_differs_is_not_written(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(generator: Generator, card: object) -> onnx.ModelProto:
        assert generator.tail.bias is not None
        with torch.no_grad():
            generator.tail.bias.add_(0.01)
            model = build_onnx(generator, card)  # type: ignore[arg-type]
            generator.tail.bias.sub_(0.01)
        return model

    monkeypatch.setattr("srgan.export.build_onnx", wrong)
    with pytest.raises(ExportError, match=r"a\.onnx: not written: the exported network differs by 0\.00[45]\d* from"):
        export(trained, [tmp_path / "a.onnx", tmp_path / "a.safetensors"])
    assert list(tmp_path.glob("a.*")) == []


def test_a_network_whose_values_are_not_finite_is_not_written(trained: Path, tmp_path: Path) -> None:
    _, state = checkpoint.load(trained)
    state["average"]["tail.bias"] += float("inf")
    broken = checkpoint.save(tmp_path, runs.recipe(), state, keep=1)
    with pytest.raises(ExportError, match=r"a\.ONNX: not written: the network gives values that are not finite"):
        export(broken, [tmp_path / "a.ONNX"])


def test_weights_are_exported_again_and_keep_their_card(tiny: Generator, tmp_path: Path) -> None:
    source, card = tmp_path / "tiny.safetensors", card_of(tiny, "tiny", "tiny_x4")
    del card["summary"], card["training"]
    save_generator(tiny, source, card)
    export(source, [tmp_path / "b.safetensors"], name="b", trained_on="noise")
    again = load_generator(tmp_path / "b.safetensors")[1]
    assert again == card | {"name": "b", "summary": "", "training": {"data": "noise"}}


def test_what_cannot_be_exported_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"a\.pth: written are \.onnx and \.safetensors"):
        export(trained, [tmp_path / "a.pth"])
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export(tmp_path / "none.pt", [tmp_path / "a.onnx"])
    with pytest.raises(ExportError, match=r"a\.onnx: an ONNX file is not exported again: take its \.safetensors, or"):
        export(tmp_path / "a.onnx", [tmp_path / "b.onnx"])
    with pytest.raises(WeightsError, match=r"none\.safetensors: cannot be read"):
        export(tmp_path / "none.safetensors", [tmp_path / "a.onnx"])
    _, state = checkpoint.load(trained)
    del state["average"]["tail.bias"]
    with pytest.raises(CheckpointError, match="not the tensors of a tiny_x4"):
        export(checkpoint.save(tmp_path, runs.recipe(), state, keep=1), [tmp_path / "a.onnx"])


def test_a_summary_is_kept_where_no_other_is_given(tiny: Generator, tmp_path: Path) -> None:
    source, card = tmp_path / "tiny.safetensors", card_of(tiny, "tiny", "tiny_x4")
    save_generator(tiny, source, card)
    export(source, [tmp_path / "b.safetensors"])
    assert load_generator(tmp_path / "b.safetensors")[1] == card
    export(source, [tmp_path / "c.safetensors"], summary="another")
    assert load_generator(tmp_path / "c.safetensors")[1] == card | {"summary": "another"}


def test_the_two_files_are_of_the_same_weights_of_16_bits(trained: Path, tmp_path: Path) -> None:
    difference = export(trained, [tmp_path / "a.onnx", tmp_path / "a.safetensors"])
    generator, card = load_generator(tmp_path / "a.safetensors")
    model = build_onnx(generator, card)
    assert (tmp_path / "a.onnx").read_bytes() == model.SerializeToString()
    assert parity(model, generator) == difference


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_scores_of_what_was_there_before_are_not_the_new_networks(
    trained: Path, other: Path, tmp_path: Path, suffix: str
) -> None:
    """By the bytes or by the path; and of the same weights with another card they are."""
    scores, file = tmp_path / "scores.json", tmp_path / f"a{suffix}"
    export(other, [file])
    result = {"model": str(file), "set": "Set5", "mean": {"psnr_y": 9.0}, "weights": checksum(file)}
    scores.write_text(json.dumps({"results": [result]}))
    before = file.read_bytes()
    with pytest.raises(ExportError, match=r"scores\.json: no scores of"):
        export(trained, [file], scores=scores)
    assert file.read_bytes() == before
    for summary in ("one", "two"):
        export(other, [file], scores=scores, summary=summary)
        assert read_card(file)["scores"] == {"Set5": {"psnr_y": 9.0}}
    for model in (str(file), "smooth"):  # which a blend with another is no more
        scores.write_text(json.dumps({"results": [result | {"model": model}]}))
        with pytest.raises(ExportError, match=r"scores\.json: no scores of"):
            export(other, [tmp_path / "b.onnx"], scores=scores, blend=(trained, 0.5))
    export(other, [tmp_path / "b.onnx"], scores=scores, blend=(trained, 0.5), name="smooth")


def test_a_weight_that_float16_has_no_number_for_is_refused(other: Path, tmp_path: Path) -> None:
    """Which a statistic may be that is divided by: its channel would be gone without a word."""
    generator, card = load_generator(other)
    with torch.no_grad():
        generator.head.weight[0] = 7e4
    save_generator(generator, tmp_path / "large.safetensors", card, half=False)
    with pytest.raises(ExportError, match=r"a\.onnx: not written: head\.weight has 7e\+04, too much for float16"):
        export(tmp_path / "large.safetensors", [tmp_path / "a.onnx"])
    assert not (tmp_path / "a.onnx").exists()


def test_scores_by_the_path_of_a_file_come_before_those_by_its_name(trained: Path, tmp_path: Path) -> None:
    scores, file = tmp_path / "scores.json", tmp_path / "a.onnx"
    results = [{"model": name, "set": "Set5", "mean": {"psnr_y": y}} for name, y in (("mine", 9.0), (str(file), 30.0))]
    scores.write_text(json.dumps({"results": results}))
    export(trained, [file], scores=scores, name="mine")
    assert read_card(file)["scores"] == {"Set5": {"psnr_y": 30.0}}


def test_a_score_that_is_no_number_is_left_out_of_the_card(trained: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    result = {"model": "mine", "set": "Set5", "mean": {"psnr_y": None, "ssim_y": 0.9}}
    scores.write_text(json.dumps({"results": [result]}))
    export(trained, [tmp_path / "a.onnx"], scores=scores, name="mine")
    assert read_card(tmp_path / "a.onnx")["scores"] == {"Set5": {"ssim_y": 0.9}}
