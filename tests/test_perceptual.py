import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from srgan import perceptual
from srgan.cli import main
from srgan.errors import ArgumentError, WeightsError
from srgan.evaluation import Meters
from srgan.metrics import LPIPS, load_lpips
from srgan.metrics.backbone import Name
from srgan.models.vgg import Phi, VGG19Features
from srgan.perceptual import Published, find_lpips, find_vgg19


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def published(web: tuple[Path, str], name: str, tensors: dict[str, torch.Tensor]) -> Published:
    folder, address = web
    torch.save(tensors, folder / name)
    return Published(f"{address}/{name}", hashlib.sha256((folder / name).read_bytes()).hexdigest()[:8])


def vgg_tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    places = zip((0, 2), VGG19Features([Phi(1, 2)]).convs, strict=True)
    return {f"features.{i}.{name}": value for i, conv in places for name, value in conv.state_dict().items()}


def test_vgg19_is_fetched_into_the_cache_and_found_there(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tensors = vgg_tensors()
    monkeypatch.setattr(perceptual, "VGG19", published(web, "vgg19-dcbb9e9d.pth", tensors))
    folder = tmp_path / "cache" / "srgan" / "perceptual"
    with pytest.raises(WeightsError, match="no VGG19 weights; srgan fetch vgg19 gets them"):
        find_vgg19(folder, [Phi(1, 2)])
    assert main(["fetch", "vgg19"]) == 0
    assert capsys.readouterr().out == f"{folder}/vgg19-dcbb9e9d.pth\n"
    network = find_vgg19(perceptual.default_folder(), [Phi(1, 2)])
    assert torch.equal(network.convs[1].weight, tensors["features.2.weight"])  # type: ignore[arg-type]


def test_what_is_there_is_not_fetched_again(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = published(web, "vgg19.pth", vgg_tensors())
    monkeypatch.setattr(perceptual, "VGG19", right)
    path = perceptual.fetch("vgg19", tmp_path)
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("urllib.request.urlopen", None)
        assert perceptual.fetch("vgg19", tmp_path) == path
    path.write_bytes(whole[:-1])  # a damaged one is
    assert perceptual.fetch("vgg19", tmp_path).read_bytes() == whole


ALEXNET_CONVS = (0, 3, 6, 8, 10)
VGG16_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Where the convolutions lie among torchvision's layers."""


@pytest.mark.parametrize(
    ("command", "name", "convs"), [("lpips", "alex", ALEXNET_CONVS), ("lpips-vgg", "vgg", VGG16_CONVS)]
)
def test_lpips_is_put_together_from_its_two_files(
    web: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: Name,
    convs: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    metric = LPIPS(name)
    for lin in metric.lin:
        torch.nn.init.uniform_(lin)
    network = {"classifier.1.weight": torch.zeros(3)}
    for conv, place in zip(metric.net, convs, strict=True):
        network |= {f"features.{place}.{key}": value for key, value in conv.state_dict().items()}
    heads = {f"lin{i}.model.1.weight": lin.data.view(1, -1, 1, 1) for i, lin in enumerate(metric.lin)}
    kind = "ALEXNET" if name == "alex" else "VGG16"
    monkeypatch.setattr(perceptual, kind, published(web, "network.pth", network))
    monkeypatch.setattr(perceptual, f"{kind}_HEADS", published(web, "heads.pth", heads))
    assert find_lpips(tmp_path / "here") is None
    assert main(["fetch", command, "--to", str(tmp_path / "here")]) == 0
    assert [p.name for p in (tmp_path / "here").iterdir()] == [f"lpips_{name}.safetensors"]
    found = load_lpips(tmp_path / "here" / f"lpips_{name}.safetensors", name)
    a, b = torch.rand(2, 1, 3, 64, 64)
    assert torch.allclose(found(a, b), metric(a, b), rtol=1e-5)
    assert (find_lpips(tmp_path / "here") is None) == (name == "vgg")
    if name == "vgg":
        assert Meters(tmp_path / "here").missing == {"lpips": "lpips_alex.safetensors"}


def test_another_checksum_leaves_nothing(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = published(web, "vgg19.pth", vgg_tensors())
    monkeypatch.setattr(perceptual, "VGG19", Published(right.url, "00000000"))
    assert main(["fetch", "vgg19", "--to", str(tmp_path / "here")]) == 1
    error = f"srgan: error: {right.url}: the checksum is {right.sha256}"
    assert capsys.readouterr().err.splitlines()[-1].startswith(error)
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("name", ["missing.pth", "cut.pth"])
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    web: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _, address = web
    if name == "cut.pth":
        monkeypatch.setattr(Handler, "copyfile", lambda _, source, out: out.write(source.read(1000)))
        published(web, name, vgg_tensors())
    monkeypatch.setattr(perceptual, "VGG19", Published(f"{address}/{name}", hashlib.sha256(b"").hexdigest()))
    reason = r"it broke off [\d,]+ bytes before its end" if name == "cut.pth" else "File not found"
    with pytest.raises(WeightsError, match=f"{address}/{name}: cannot be downloaded: {reason}"):
        perceptual.fetch("vgg19", tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_nobody_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/vgg19.pth"
    monkeypatch.setattr(perceptual, "VGG19", Published(url, "0"))
    with pytest.raises(WeightsError, match=r"vgg19\.pth: cannot be downloaded: .*[Cc]onnection refused"):
        perceptual.fetch("vgg19", tmp_path / "here")


def test_only_known_networks_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no perceptual network 'resnet': vgg19, lpips, lpips-vgg"):
        perceptual.fetch("resnet", tmp_path)
    assert main(["fetch", "resnet"]) == 2
    assert main(["fetch"]) == 2


def test_the_published_files_name_their_checksums() -> None:
    """torchvision writes the first eight digits into the file's name."""
    for file in (perceptual.VGG19, perceptual.ALEXNET, perceptual.VGG16):
        assert file.name.endswith(f"-{file.sha256}.pth")
        assert file.url.startswith("https://download.pytorch.org/models/")
    assert {len(heads.sha256) for heads in (perceptual.ALEXNET_HEADS, perceptual.VGG16_HEADS)} == {64}
