import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import srgan

DOCUMENT = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_public_names_are_these() -> None:
    assert {name for name in srgan.__all__ if not name.endswith("Error")} == {
        "Size",
        "Upscaler",
        "__version__",
        "upscale",
    }
    for name in srgan.__all__:
        assert getattr(srgan, name) is not None
        assert name in dir(srgan)


def test_every_public_error_is_an_srgan_error() -> None:
    errors = [getattr(srgan, name) for name in srgan.__all__ if name.endswith("Error")]
    assert len(errors) == 16
    assert all(issubclass(error, srgan.SrganError) for error in errors)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'upscael'"):
        _ = srgan.upscael  # type: ignore[attr-defined, unused-ignore]


@pytest.mark.usefixtures("shipped")
def test_the_code_of_the_document_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (480, 12), (200, 100, 50)).save("photo.jpg", quality=100)
    variables: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(block, variables)
    sizes = {}
    for name in ("photo_x4.png", "photo_x2.png", "large-photo.jpg", "large-photo_x2.png"):
        with Image.open(name) as image:
            sizes[name] = image.size
    assert [*sizes.values()] == [(1920, 48), (960, 24), (1920, 48), (1920, 48)]
    assert variables["doubled"].size == (960, 24)  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "gone.jpg: no such file\n"


def test_the_document_has_every_argument_and_every_name() -> None:
    text = DOCUMENT.read_text()
    arguments = [*inspect.signature(srgan.Upscaler.__init__).parameters][1:]
    assert re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE) == arguments
    assert {name for name in srgan.__all__ if name not in text} == {"__version__"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import srgan, sys; print(sorted({'numpy', 'PIL', 'openvino', 'torch', 'click'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
