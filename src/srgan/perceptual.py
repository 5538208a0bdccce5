"""The perceptual networks, VGG19 and LPIPS, which others trained: found on this machine, or downloaded on request.

Nothing is downloaded but by `fetch`.
"""

import hashlib
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from safetensors.torch import save
from tqdm import tqdm

from srgan.atomic import cache_folder, written_whole
from srgan.errors import ArgumentError, WeightsError
from srgan.metrics import DISTS, LPIPS, load_dists, load_lpips
from srgan.metrics.backbone import Name
from srgan.metrics.lpips import FILES
from srgan.models.tensors import load_tensors
from srgan.models.vgg import Phi, VGG19Features, load_vgg19


@dataclass(frozen=True)
class Published:
    """A file on the web; `sha256` is how its checksum begins."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.url.rpartition("/")[2]


VGG19 = Published("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d")
"""torchvision's; the name holds the beginning of the checksum."""
ALEXNET = Published("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "7be5be79")
VGG16 = Published("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af")
_HEADS = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/"
    "082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1"
)
ALEXNET_HEADS = Published(f"{_HEADS}/alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0")
VGG16_HEADS = Published(f"{_HEADS}/vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868")
"""The linear heads of Zhang et al. 2018, which weigh a network's channels."""

NETWORKS = ("vgg19", "lpips", "lpips-vgg")
"""What `fetch` gets."""

VGG19_FILES = ("vgg19_features.safetensors", VGG19.name)


def default_folder() -> Path:
    """Return the folder of the perceptual weights: `srgan/perceptual` under XDG_CACHE_HOME, or under ~/.cache."""
    return cache_folder("perceptual")


def find_vgg19(folder: Path, layers: Iterable[Phi], *, activated: bool = True) -> VGG19Features:
    """Return VGG19 up to the deepest of `layers`, with the weights that lie in the folder.

    Raises WeightsError that says how to get them where there are none.
    """
    found = next((folder / name for name in VGG19_FILES if (folder / name).is_file()), None)
    if found is None:
        raise WeightsError(
            f"{folder}: no VGG19 weights; srgan fetch vgg19 gets them, or --perceptual names the folder that holds them"
        )
    return load_vgg19(found, layers, activated=activated)


def find_lpips(folder: Path, name: Name = "alex") -> LPIPS | None:
    """Return LPIPS with the weights that lie in the folder, or None where there are none."""
    file = folder / FILES[name]
    return load_lpips(file, name) if file.is_file() else None


def find_dists(folder: Path) -> DISTS | None:
    """Return DISTS, whose network is that of LPIPS with VGG16, or None where its weights are not in the folder."""
    file = folder / FILES["vgg"]
    return load_dists(file) if file.is_file() else None


def fetch(network: str, folder: Path) -> Path:
    """Download the weights of one of NETWORKS into the folder, with a progress bar, and return their file.

    Raises ArgumentError for another network, WeightsError where the download fails or its checksum is another one;
    nothing is left then.
    """
    if network not in NETWORKS:
        raise ArgumentError(f"no perceptual network {network!r}: {', '.join(NETWORKS)}")
    if network == "vgg19":
        return download(VGG19, folder)
    if network == "lpips":
        return _fetch_lpips(ALEXNET, (0, 3, 6, 8, 10), ALEXNET_HEADS, folder / FILES["alex"])
    convs = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    return _fetch_lpips(VGG16, convs, VGG16_HEADS, folder / FILES["vgg"])


def _fetch_lpips(network: Published, convs: Iterable[int], heads: Published, path: Path) -> Path:
    """Put LPIPS's file together from torchvision's network, whose convolutions have these numbers, and the heads."""
    with tempfile.TemporaryDirectory() as beside:
        features, lins = (load_tensors(download(part, Path(beside))) for part in (network, heads))
    tensors = {f"lin.{i}": lins[f"lin{i}.model.1.weight"].flatten() for i in range(5)}
    for i, layer in enumerate(convs):
        tensors |= {f"net.{i}.{name}": features[f"features.{layer}.{name}"] for name in ("weight", "bias")}
    with written_whole(path) as file:
        file.write(save(tensors))
    return path


def download(published: Published, folder: Path) -> Path:
    """Download a file into the folder, unless it is there, and check it. Raises WeightsError."""
    path = folder / published.name
    if path.is_file():
        with path.open("rb") as there:
            if hashlib.file_digest(there, "sha256").hexdigest().startswith(published.sha256):
                return path
    checksum = hashlib.sha256()
    with written_whole(path) as file:
        for block in _blocks(published):
            file.write(block)
            checksum.update(block)
        if not checksum.hexdigest().startswith(published.sha256):
            raise WeightsError(f"{published.url}: the checksum is {checksum.hexdigest()}, not {published.sha256}...")
    return path


def _blocks(published: Published) -> Iterator[bytes]:
    """Yield what is at the address, moving a progress bar."""
    try:
        with (
            urllib.request.urlopen(published.url, timeout=60) as response,
            tqdm(desc=published.name, unit="B", unit_scale=True, total=response.length, disable=None) as progress,
        ):
            left = response.length  # None where the server does not say
            while block := response.read(1 << 20):
                progress.update(len(block))
                left = left and left - len(block)
                yield block
            if left:
                raise WeightsError(f"{published.url}: cannot be downloaded: it broke off {left:,} bytes before its end")
    except (OSError, HTTPException) as error:
        raise WeightsError(f"{published.url}: cannot be downloaded: {getattr(error, 'reason', error)}") from error
