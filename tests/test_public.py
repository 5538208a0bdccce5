import subprocess
import sys

import pytest

import srgan


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


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import srgan, sys; print(sorted({'numpy', 'PIL', 'openvino', 'torch', 'click'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
