from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from srgan.errors import ArgumentError, WeightsError
from srgan.inference.adopt import adopt, seam
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.upscaler import Upscaler
from srgan.weights import read_card
from srgan.weights.onnx import embedded


def neighbours(
    path: Path,
    *,
    channels: int = 3,
    shuffled: bool = True,
    factor: float = 1.0,
    sides: Sequence[str | int] = ("h", "w"),
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write a network that gives the pixel to the right of each, four times where it is `shuffled`, times a factor."""
    count = channels * (4 if shuffled else 1)
    weight = np.zeros((count, channels, 3, 3), helper.tensor_dtype_to_np_dtype(kind))
    for i in range(count):
        weight[i, i * channels // count, 1, 2] = factor
    nodes = [helper.make_node("Conv", ["picture", "weight"], ["moved" if shuffled else "larger"], pads=[1] * 4)]
    if shuffled:
        nodes.append(helper.make_node("DepthToSpace", ["moved"], ["larger"], blocksize=2, mode="CRD"))
    ends = [helper.make_tensor_value_info("picture", kind, ["n", channels, *sides])]
    larger = [helper.make_tensor_value_info("larger", kind, ["n", channels, None, None])]
    graph = helper.make_graph(nodes, "g", ends, larger, [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_network_of_another_program_runs_as_it_would_with_its_own_card(
    tiny_onnx: Path, noise: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = onnx.load(tiny_onnx)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "4x-theirs.onnx")
    card, found = adopt(tmp_path / "4x-theirs.onnx", tmp_path / "adopted.onnx", halo=12, licence="MIT", summary="ours")
    assert card == {
        "name": "4x-theirs",
        "network": "another program's",
        "scale": 4,
        "halo": 12,
        "licence": "MIT",
        "summary": "ours",
    }
    assert read_card(tmp_path / "adopted.onnx") == card
    assert found < 0.01
    (entry,) = onnx.load(tmp_path / "adopted.onnx").metadata_props
    assert entry.key == "srgan"
    for runtime in ("openvino", "onnxruntime"):
        ours, theirs = (
            Upscaler(path, runtime=runtime, precision="fp32", tile=30)
            for path in (tiny_onnx, tmp_path / "adopted.onnx")
        )
        assert np.array_equal(ours.upscale(np.tile(noise, (3, 3, 1))), theirs.upscale(np.tile(noise, (3, 3, 1))))
    assert adopt(tmp_path / "4x-theirs.onnx", tmp_path / "narrow.onnx", halo=2)[1] > 1


def test_what_lies_outside_a_halo_is_what_a_window_is_wrong_by(tmp_path: Path) -> None:
    """The last column of a window without a halo has zero to its right, and the whole picture the next column."""
    source = neighbours(tmp_path / "a.onnx")
    assert adopt(source, tmp_path / "exact.onnx", halo=1, name="mine")[1] == 0
    card, found = adopt(source, tmp_path / "none.onnx", halo=0)
    assert (card["scale"], card["name"]) == (2, "a")
    picture = np.random.default_rng(0).random((3, 96, 96), dtype=np.float32)
    assert found == pytest.approx(255 * picture[:, 32:64, 64].max())
    assert seam(OpenVinoNetwork(tmp_path / "exact.onnx", "fp32")) == 0


def test_a_network_of_another_scale_is_run_as_often_as_it_takes(tmp_path: Path) -> None:
    """Twice the size twice: the pixel at a distance of one, then of another half."""
    adopt(neighbours(tmp_path / "a.onnx"), tmp_path / "twice.onnx", halo=1)
    picture = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6, 1).repeat(3, 2)
    row = Upscaler(tmp_path / "twice.onnx", precision="fp32", size=4).upscale(picture)[0, :, 0]
    assert row.tolist() == [10, 10, *[20] * 4, *[30] * 4, *[40] * 4, *[50] * 4, *[0] * 6]


@pytest.mark.parametrize(
    ("network", "line"),
    [
        ({"sides": (16, 16)}, r"takes \[\?,3,16,16\] alone, not pictures of any size"),
        ({"channels": 1}, "takes no RGB picture of 36x24"),
        ({"shuffled": False}, r"makes \(1, 3, 24, 36\) of an RGB picture of 36x24"),
        ({"kind": TensorProto.FLOAT16}, "takes or gives something else than one picture in float32"),
        ({"factor": 255.0}, "makes 124 of a gray of 0.5: its pictures are not RGB in 0..1"),
        ({"factor": -1.0}, "makes -0.486 of a gray of 0.5: its pictures are not RGB in 0..1"),
        ({"factor": float("nan")}, "the model: holds weights that are not finite"),
    ],
)
def test_what_would_not_run_here_is_told_and_not_written(network: dict[str, float], line: str, tmp_path: Path) -> None:
    source = neighbours(tmp_path / "theirs.onnx", **network)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=rf"theirs\.onnx: {line}"):
        adopt(source, tmp_path / "adopted.onnx")
    assert not (tmp_path / "adopted.onnx").exists()


def test_a_network_that_gives_a_number_makes_no_picture(tmp_path: Path) -> None:
    node = helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0)
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph([node], "g", [picture], [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "mean.onnx")
    with pytest.raises(WeightsError, match=r"mean\.onnx: makes \(\) of an RGB picture of 36x24"):
        adopt(tmp_path / "mean.onnx", tmp_path / "a.onnx")


def test_a_network_that_fails_on_a_picture_is_told_in_a_line(tmp_path: Path) -> None:
    """One of gray, whose sizes are all that its shapes are made of."""
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    node = helper.make_node("Resize", ["picture", "", "scales"], ["larger"])
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, "h", "w"])
    larger = helper.make_tensor_value_info("larger", TensorProto.FLOAT, ["n", None, None, None])
    graph = helper.make_graph([node], "g", [picture], [larger], [scales])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "gray.onnx"
    )
    with pytest.raises(WeightsError, match=r"gray\.onnx: (takes no RGB picture|fails on a picture: .)") as raised:
        adopt(tmp_path / "gray.onnx", tmp_path / "a.onnx")
    assert "\n" not in str(raised.value)


def test_weights_that_lie_beside_the_file_come_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's exporter leaves them in theirs.onnx.data, and two trainings of a network are one theirs.onnx."""
    monkeypatch.chdir(tmp_path)  # no folder of the file's
    (tmp_path / "net").mkdir()
    source, data = tmp_path / "net" / "theirs.onnx", tmp_path / "net" / "theirs.onnx.data"
    adopted = []
    for factor in (1.0, 0.9):
        whole = neighbours(tmp_path / f"{factor}.onnx", factor=factor)
        data.unlink(missing_ok=True)
        onnx.save(onnx.load(whole), source, save_as_external_data=True, location=data.name, size_threshold=0)
        adopt(source, tmp_path / f"adopted-{factor}.onnx", halo=1, name="a")
        adopt(whole, tmp_path / f"whole-{factor}.onnx", halo=1, name="a")
        pair = [onnx.load(tmp_path / f"{name}-{factor}.onnx") for name in ("adopted", "whole")]
        assert pair[0].graph == pair[1].graph
        adopted.append((tmp_path / f"adopted-{factor}.onnx").read_bytes())
    assert adopted[0] != adopted[1]

    model = onnx.load(source, load_external_data=False)
    for length in (10**12, 10**30):  # of which no memory is taken
        next(entry for entry in model.graph.initializer[0].external_data if entry.key == "length").value = str(length)
        (tmp_path / "net" / "long.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(WeightsError, match=r"has weights in .*theirs\.onnx\.data, which is cut short"):
            adopt(tmp_path / "net" / "long.onnx", tmp_path / "a.onnx")

    content = data.read_bytes()
    data.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match=r"theirs\.onnx: has weights in .*theirs\.onnx\.data, which is cut short"):
        adopt(source, tmp_path / "a.onnx")
    data.unlink()
    with pytest.raises(WeightsError, match=r"has weights in .*\.data, which cannot be read: No such file or directory"):
        adopt(source, tmp_path / "a.onnx")
    source.write_bytes(source.read_bytes().replace(b"theirs.onnx.data", b"../1.onnx.dat.xy"))
    with pytest.raises(WeightsError, match=r"has weights in \.\./1\.onnx\.dat\.xy, outside of its folder"):
        adopt(source, tmp_path / "a.onnx")


def test_weights_may_fill_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they begin and end need not be said then."""
    monkeypatch.chdir(tmp_path)
    whole = onnx.load(neighbours(Path("whole.onnx")))
    apart = onnx.load("whole.onnx")
    for number, tensor in enumerate(apart.graph.initializer):
        Path(f"{number}.bin").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": f"{number}.bin", "checksum": "0" * 40}.items():
            tensor.external_data.add(key=key, value=value)
    for folder in (Path(), tmp_path):
        assert onnx.load_from_string(embedded(apart.SerializeToString(), folder)).graph == whole.graph


def test_files_that_are_no_such_network(tiny_onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(tiny_onnx.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"damaged\.onnx: damaged, or not an ONNX model"):
        adopt(tmp_path / "damaged.onnx", tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"none\.onnx: cannot be read: No such file"):
        adopt(tmp_path / "none.onnx", tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"tiny\.onnx: has a card already, of tiny"):
        adopt(tiny_onnx, tmp_path / "a.onnx")
    with pytest.raises(ArgumentError, match=r"a\.pth: written is \.onnx"):
        adopt(tiny_onnx, tmp_path / "a.pth")
    with pytest.raises(ArgumentError, match="a halo of -1 pixels reaches nowhere"):
        adopt(tiny_onnx, tmp_path / "a.onnx", halo=-1)
