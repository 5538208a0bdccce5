import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import references
from fakes import eight_by_hand
from made import as_jpeg
from srgan.cli import main, upscale
from srgan.cli.options import FORMATS, sides, size_in_bytes
from srgan.data.degradation import with_blur, with_noise
from srgan.image import writing
from srgan.image.colour import to_network, to_uint8
from srgan.image.xmp import is_marked
from srgan.inference.openvino import OpenVinoNetwork
from srgan.inference.upscaler import Upscaler


@pytest.fixture
def folder(tmp_path: Path, noise: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with one picture: photo.png, of 13x17 pixels."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise).save("photo.png")
    return tmp_path


def test_upscaling_as_a_user_does_imports_no_torch(folder: Path, tiny_onnx: Path, noise: NDArray[np.uint8]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "srgan", "upscale", "photo.png", "--precision", "fp32"]
    result = subprocess.run(
        [*command, "--model", str(tiny_onnx), "--runtime", "openvino"], capture_output=True, text=True, check=True
    )
    summary = r"1 done, 0 skipped, 0 failed in \d+\.\d s with tiny, openvino in fp32 on .+: photo_x4\.png\n"
    assert re.fullmatch(summary, result.stdout)
    names = {line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines()}
    assert "openvino" in names
    assert not [name for name in names if name.split(".")[0] in ("torch", "onnxruntime", "safetensors", "onnx")]
    others = [line for line in result.stderr.splitlines() if not line.startswith("import time:")]
    assert others == [], "no warning, and no progress bar where there is no terminal"
    expected = to_uint8(OpenVinoNetwork(tiny_onnx, precision="fp32")(to_network(noise))[0].transpose(1, 2, 0))
    with Image.open(folder / "photo_x4.png") as image:
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1


@pytest.mark.usefixtures("shipped", "folder")
def test_the_default_model_is_srgan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "photo.png", "-o", "out"]) == 0
    assert Path("out/photo_x4.png").is_file()
    assert main(["upscale", "photo.png", "-o", "big.jpg", "--model", "srresnet"]) == 0
    with Image.open("big.jpg") as image:
        assert image.size == (68, 52)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("1 done, 0 skipped, 0 failed") == 2


@pytest.mark.usefixtures("shipped", "folder")
def test_a_second_run_keeps_what_is_there_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "."]) == 0
    before = Path("photo_x4.png").stat().st_mtime_ns
    assert main(["upscale", ".", "--scale", "4"]) == 0, "the default, said"
    assert Path("photo_x4.png").stat().st_mtime_ns == before
    assert capsys.readouterr().out.splitlines()[1].startswith("0 done, 1 skipped (there already), 0 failed in 0.")
    assert main(["upscale", ".", "--overwrite"]) == 0
    assert Path("photo_x4.png").stat().st_mtime_ns > before
    assert capsys.readouterr().out.startswith("1 done (1 of them anew), 0 skipped, 0 failed in ")


@pytest.mark.usefixtures("shipped", "folder")
def test_a_failure_is_one_line_and_the_rest_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.jpg").write_bytes(b"")
    assert main(["upscale", "broken.jpg", "gone.jpg", "photo.png"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "srgan: error: gone.jpg: no such file or folder",
        "srgan: error: broken.jpg: the file is empty",
    ]
    assert captured.out.startswith("1 done, 0 skipped, 2 failed in ")
    assert sorted(path.name for path in Path().iterdir()) == ["broken.jpg", "photo.png", "photo_x4.png"]


@pytest.mark.usefixtures("shipped", "folder")
def test_debug_shows_what_is_behind_each_failure(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.jpg").write_bytes(b"hello")
    assert main(["upscale", "broken.jpg", "--debug"]) == 1
    error = capsys.readouterr().err
    assert "PIL.UnidentifiedImageError" in error
    assert error.endswith("srgan: error: broken.jpg: not a picture, or not of a kind that can be read\n")


@pytest.mark.usefixtures("shipped", "folder")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["--model", "esrgan"],
            1,
            "esrgan: no model of this name (srgan-plus, srgan-photo, srgan-deblur, srgan-fast, srgan-fast-photo, "
            "srgan-fast-deblur, srgan, srresnet), and no"
            " .onnx or .safetensors file",
        ),
        (["--model", "gone.onnx"], 1, "gone.onnx: no such file"),
        (["--runtime", "torch"], 1, "of an unknown network, 'tiny_x4'"),
        (["--runtime", "onnxruntime", "--precision", "bf16"], 2, "the runtime onnxruntime computes in fp32 only"),
        (["--tile", "24"], 2, "a tile of 24 pixels is too small: this network needs more than 24, or 0"),
        (["-o", "photo.png"], 2, "photo.png is an input: a result cannot take its place"),
        (["-o", "big.bmp"], 2, "big.bmp: results are written as .png, .apng, .jpg, .jpeg, .webp, .avif, .tif, .tiff"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upscale", "photo.png", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("srgan: error: ")
    assert captured.err.endswith(f"{message}\n")
    assert captured.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


@pytest.mark.usefixtures("folder")
def test_every_option_reaches_the_network(tiny_onnx: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("noise.png")
    for name, arguments in {
        "whole": ["--runtime", "openvino", "--precision", "fp32", "--tile", "0"],
        "tiled": ["--runtime", "openvino", "--precision", "fp32", "--tile", "25", "--threads", "1"],
        "other": ["--runtime", "onnxruntime"],
    }.items():
        assert main(["upscale", "noise.png", "-o", f"{name}.png", "--model", str(tiny_onnx), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " with tiny, openvino in fp32 on " in lines[1]
    assert " with tiny, onnxruntime in fp32 on " in lines[2]
    whole, *others = (np.asarray(Image.open(f"{name}.png")).astype(int) for name in ("whole", "tiled", "other"))
    assert whole.shape == (200, 240, 3)
    for other in others:
        assert np.abs(whole - other).max() <= 1


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.usefixtures("folder")
def test_a_terminal_shows_progress_with_the_time_left(tiny_onnx: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    command = [sys.executable, "-m", "srgan", "upscale", "photo.png", "--model", str(tiny_onnx), "--tile", "25"]
    process = subprocess.Popen(command, stderr=side, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=60)
    shown = os.read(terminal, 10_000).decode()
    os.close(side)
    os.close(terminal)
    assert process.returncode == 0
    assert output.startswith("1 done")
    assert re.search(r"0%\|.*\| 0\.0 of 1 \[00:00<\?, \?picture/s\]", shown)


@pytest.mark.usefixtures("shipped", "folder")
def test_the_log_has_a_line_for_each_picture(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.jpg").write_bytes(b"")
    arguments = ["upscale", "broken.jpg", "gone.jpg", "photo.png", "--log", "log.jsonl"]
    assert main(arguments) == 1
    assert main(arguments) == 1
    lines = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [(line["source"], line["target"], line["status"]) for line in lines[:3]] == [
        ("gone.jpg", None, "failed"),
        ("broken.jpg", "broken_x4.png", "failed"),
        ("photo.png", "photo_x4.png", "done"),
    ]
    assert [line["error"] for line in lines[:3]] == [
        "gone.jpg: no such file or folder",
        "broken.jpg: the file is empty",
        None,
    ]
    assert (lines[2]["pixels_in"], lines[2]["pixels_out"]) == (221, 3536)
    assert [list(line["seconds"]) for line in lines[:3]] == [[], ["read"], ["read", "network", "write"]]
    assert [line["status"] for line in lines[3:]] == ["failed", "failed", "skipped"]
    assert all(datetime.fromisoformat(line["time"]).tzinfo is not None for line in lines)
    capsys.readouterr()
    before = Path("photo.png").read_bytes()
    assert main(["upscale", "broken.jpg", "--log", "photo.png"]) == 1
    told = "photo.png: is there already and no log: lines are added to one, or to a file of a new name"
    assert told in capsys.readouterr().err
    assert Path("photo.png").read_bytes() == before
    Path("scores.json").write_text('{"results": []}')
    assert main(["upscale", "broken.jpg", "--log", "scores.json"]) == 1
    assert told.replace("photo.png", "scores.json", 1) in capsys.readouterr().err
    assert Path("scores.json").read_text() == '{"results": []}'
    whole = Path("log.jsonl").read_text()
    Path("log.jsonl").write_text(whole[:-9])  # as a kill leaves it
    assert main(["upscale", "broken.jpg", "--log", "log.jsonl"]) == 1
    *others, cut, last = Path("log.jsonl").read_text().splitlines()
    assert "\n".join([*others, cut]) == whole[:-9]
    assert json.loads(last)["source"] == "broken.jpg"
    capsys.readouterr()
    assert main(["upscale", "photo.png", "--log", "photo.png/log"]) == 1
    assert capsys.readouterr().err == "srgan: error: photo.png/log: cannot be written: Not a directory\n"


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="a system whose pipes have paths")
def test_the_log_may_be_a_pipe() -> None:
    read, write = os.pipe()
    assert main(["upscale", "gone.jpg", "--log", f"/dev/fd/{write}"]) == 1
    os.close(write)
    with os.fdopen(read) as told:
        assert json.loads(told.read())["error"] == "gone.jpg: no such file or folder"


@pytest.mark.usefixtures("shipped", "folder")
def test_jpegs_of_low_quality_go_through_the_network_that_repairs_them(
    capsys: pytest.CaptureFixture[str], noise: NDArray[np.uint8]
) -> None:
    def said(*arguments: str) -> str:
        assert main(["upscale", "--overwrite", *arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    for quality in (60, 90, 97, 98):
        Image.fromarray(noise).save(f"{quality}.jpg", quality=quality)
    pictures = ("photo.png", "60.jpg", "90.jpg", "97.jpg", "98.jpg")
    networks = "srgan-plus (2) and srgan-photo (2) and srgan-plus, repair 0.5 (1)"
    assert f" with {networks}, openvino in " in said(*pictures, "--log", "log.jsonl")
    lines = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [(line["codec_quality"], line["model"]) for line in lines] == [
        (None, "srgan-plus"),
        (60, "srgan-photo"),
        (90, "srgan-photo"),
        (97, "srgan-plus, repair 0.5"),
        (98, "srgan-plus"),
    ]
    Image.fromarray(as_jpeg(references.chelsea()[1][100:180, 130:210], 60)).save("once.png")
    assert " with srgan-photo, openvino in " in said("once.png", "--log", "once.jsonl")
    assert " with srgan-plus, openvino in " in said("once.png", "--log", "once.jsonl", "--model", "srgan-plus")
    lines = [json.loads(line) for line in Path("once.jsonl").read_text().splitlines()]
    assert [(line["codec"], line["codec_quality"]) for line in lines] == [("JPEG", 60), (None, None)]
    assert lines[0]["noise"] < 1
    assert lines[0]["blur"] < 0.25
    assert lines[1]["noise"] is None is lines[1]["blur"]  # not looked for
    noisy = with_noise(references.chelsea()[1][100:180, 130:210], 5, np.random.default_rng(0))
    Image.fromarray(noisy).save("noisy.png")
    assert " with srgan-photo, openvino in " in said("noisy.png", "--log", "noisy.jsonl")
    assert json.loads(Path("noisy.jsonl").read_text())["noise"] == pytest.approx(5, abs=1)
    Image.fromarray(with_blur(references.chelsea()[1][100:180, 130:210], 1.5)).save("soft.png")
    assert " with srgan-deblur, openvino in " in said("soft.png", "--log", "soft.jsonl")
    assert json.loads(Path("soft.jsonl").read_text())["blur"] == pytest.approx(1.5, abs=0.4)
    assert " with srgan-fast-deblur, openvino in " in said("soft.png", "--model", "auto-fast")
    assert " with srgan-plus, openvino in " in said("soft.png", "--consistent")
    networks = "srgan-fast (2) and srgan-fast-photo (2) and srgan-fast, repair 0.5 (1)"
    assert f" with {networks}, openvino in " in said(*pictures, "--model", "auto-fast")
    assert " with srgan-photo, openvino in " in said("60.jpg")
    assert " with srresnet, openvino in " in said("60.jpg", "--model", "srresnet")
    assert " with srgan-deblur, openvino in " in said("60.jpg", "--repair", "2")
    assert " with srgan-plus, detail 0.5, openvino in " in said("60.jpg", "--detail", "0.5")
    assert " with srgan-plus, repair 0.2, openvino in " in said("photo.png", "60.jpg", "--repair", "0.2")


@pytest.mark.usefixtures("folder")
def test_a_result_is_made_anew_where_either_network_of_auto_is_another(
    capsys: pytest.CaptureFixture[str], shipped: Path
) -> None:
    for outcome in ("1 done", "1 skipped"):
        assert main(["upscale", "photo.png"]) == 0
        assert outcome in capsys.readouterr().out
    (shipped / "srgan-photo.safetensors").write_bytes((shipped / "srresnet.safetensors").read_bytes())
    assert main(["upscale", "photo.png"]) == 0
    assert "1 of them anew" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="file systems whose names are any bytes")
@pytest.mark.usefixtures("shipped", "folder")
def test_the_log_has_names_that_are_not_unicode() -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.png")
    Path("photo.png").rename(name)
    assert main(["upscale", name, "--log", "log.jsonl"]) == 0
    text = Path("log.jsonl").read_text()
    assert r"caf\udce9 é.png" in text
    assert os.fsencode(json.loads(text)["source"]) == b"caf\xe9 \xc3\xa9.png"


def test_streams(folder: Path, tiny_onnx: Path) -> None:
    command = [sys.executable, "-m", "srgan", "upscale", "-", "--model", str(tiny_onnx), "--runtime", "openvino"]
    picture = Path("photo.png").read_bytes()
    result = subprocess.run([*command, "-o", "-"], input=picture, capture_output=True, check=True)
    assert re.match(rb"1 done, 0 skipped, 0 failed in \d", result.stderr)
    with Image.open(BytesIO(result.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (68, 52))
    result = subprocess.run([*command, "-o", "-", "--format", "webp"], input=picture, capture_output=True, check=True)
    assert result.stdout.startswith(b"RIFF")
    result = subprocess.run([*command, "-o", "-"], input=b"no picture", capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.splitlines()[0].startswith(b"srgan: error: standard input: not a picture")
    result = subprocess.run([*command, "-o", "large.jpg"], input=picture, capture_output=True, check=True)
    assert result.stdout.rstrip().endswith(b": large.jpg")
    assert sorted(path.name for path in folder.iterdir()) == ["large.jpg", "photo.png"]


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.usefixtures("folder")
def test_a_reader_that_goes_away_is_one_line(tiny_onnx: Path) -> None:
    command = [sys.executable, "-m", "srgan", "upscale", "photo.png", "-o", "-", "--model", str(tiny_onnx)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    lines = process.stderr.read().splitlines()
    process.stderr.close()
    assert process.wait(60) == 1
    assert lines[0] == "srgan: error: standard output: cannot be written: Broken pipe"
    assert lines[1].startswith("0 done, 0 skipped, 1 failed in ")
    assert len(lines) == 2


def test_the_formats_of_the_command_are_those_that_are_written() -> None:
    assert tuple(writing.FORMATS) == FORMATS
    grouped = [name for names in upscale.GROUPS.values() for name in names]
    others = {"inputs", "help", "debug"}
    assert sorted(grouped) == sorted({str(option.name) for option in upscale.upscale.params} - others)


@pytest.mark.usefixtures("shipped", "folder")
def test_results_of_the_same_format_have_what_each_knows_of_quality_and_compression(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Image.open("photo.png") as image:
        picture = image.convert("RGB")
    for name in ("in/a.jpg", "in/b.webp", "in/c.bmp"):
        Path(name).parent.mkdir(exist_ok=True)
        picture.save(name)
    Path("photo.png").rename("in/photo.png")
    asked = ["upscale", "in", "--format", "same", "--quality", "5", "--compression", "0", "-o"]
    assert main([*asked, "low"]) == 0
    assert main(["upscale", "in", "--format", "same", "-o", "high"]) == 0
    found = {}
    for path in Path("low").iterdir():
        with Image.open(path) as image:
            found[path.name] = image.format, path.stat().st_size < (Path("high") / path.name).stat().st_size
    assert found == {
        "a_x4.jpg": ("JPEG", True),
        "b_x4.webp": ("WEBP", True),
        "c_x4.png": ("PNG", False),
        "photo_x4.png": ("PNG", False),
    }
    assert main(["upscale", "in/c.bmp", "--format", "same", "--quality", "5"]) == 2
    assert capsys.readouterr().err.endswith("srgan: error: no result is of a format that has a quality\n")
    before = Path("low/a_x4.jpg").read_bytes()
    assert main(["upscale", "in/a.jpg", "--format", "JPG", "--quality", "5", "-o", "low"]) == 0  # the same: kept
    assert Path("low/a_x4.jpg").read_bytes() == before


@pytest.mark.usefixtures("shipped", "folder")
def test_every_option_reaches_the_result() -> None:
    assert main(["upscale", "photo.png", "--format", "jpeg", "--quality", "5", "-o", "low"]) == 0
    assert main(["upscale", "photo.png", "--format", "jpeg", "-o", "high"]) == 0
    assert Path("low/photo_x4.jpg").stat().st_size < Path("high/photo_x4.jpg").stat().st_size / 2
    assert main(["upscale", "photo.png", "--compression", "0", "-o", "large.png"]) == 0
    assert Path("large.png").stat().st_size > 68 * 52 * 3
    assert main(["upscale", "photo.png", "--max-input-pixels", "220", "-o", "large.webp"]) == 1
    assert main(["upscale", "photo.png", "--max-output-pixels", "3535", "-o", "large.webp"]) == 1
    assert not Path("large.webp").exists()
    for form in ("tif", "jpg"):
        options = ["--quality", "100"] if form == "jpg" else []
        assert main(["upscale", "photo.png", "--format", form, *options, "-o", "."]) == 0
        assert Path(f"photo_x4.{form}").is_file()
    assert main(["upscale", "photo.png", "--compression", "9", "-o", "small.png"]) == 0
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    Image.new("RGB", (5, 6)).save("marked.jpg", exif=exif)
    for option, kept, marked in ((), True, True), (("--strip",), False, True), (("--no-provenance",), True, False):
        assert main(["upscale", "marked.jpg", *option, "--overwrite", "-o", "large.jpg"]) == 0
        assert (b"A maker" in Path("large.jpg").read_bytes()) is kept
        assert is_marked(Path("large.jpg")) is marked


@pytest.mark.usefixtures("shipped", "folder")
def test_the_result_of_one_picture_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.png").write_bytes(Path("photo.png").read_bytes())
    Path("broken.png").write_bytes(b"")
    by = "with srgan-plus, openvino in [a-z0-9]+ on [^:\n]+"
    for names, status, line in (
        (["photo.png"], 0, rf"1 done, 0 skipped, 0 failed in \d+\.\d s {by}: photo_x4\.png\n"),
        (["photo.png"], 0, r"0 done, 1 skipped \(there already\), 0 failed in \d+\.\d s: photo_x4\.png\n"),
        (["photo.png", "other.png"], 0, rf"1 done, 1 skipped \(there already\), 0 failed in \d+\.\d s {by}\n"),
        (["broken.png"], 1, r"0 done, 0 skipped, 1 failed in \d+\.\d s\n"),
    ):
        assert main(["upscale", *names]) == status
        assert re.fullmatch(line, capsys.readouterr().out)


@pytest.mark.usefixtures("folder")
def test_a_picture_is_not_written_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["upscale", "photo.png", "-o", "-"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0][:54]) == ("", "srgan: error: standard output is a terminal: send the ")


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        ("2GB", 2_000_000_000),
        ("500 mb", 500_000_000),
        ("1.5GiB", 1_610_612_736),
        (" 3MiB ", 3_145_728),
        ("9KB", 9000),
        ("9KiB", 9216),
        ("7", 7),
        ("7B", 7),
    ],
)
def test_sizes_have_units(size: str, bytes_: int) -> None:
    assert size_in_bytes(None, None, size) == bytes_


@pytest.mark.parametrize("text", ["1920x1080", "1920X1080", " 1920x1080 "])
def test_a_width_and_a_height(text: str) -> None:
    assert sides(None, None, text) == (1920, 1080)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scale", "0"),
        ("--repair", "2.1"),
        ("--quality", "0"),
        ("--quality", "101"),
        ("--compression", "10"),
        ("--tile", "-1"),
        ("--max-input-pixels", "0"),
        ("--max-output-pixels", "0"),
        ("--threads", "0"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_number_outside_of_its_range_is_wrong_usage(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upscale", "photo.png", option, value]) == 2
    assert f"Invalid value for '{option}': {value} is not in the range" in capsys.readouterr().err.replace(
        ".0 is", " is"
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("2 bags", "'2 bags' is no size"),
        ("-1GB", "'-1GB' is no size"),
        ("0", "'0' is nothing"),
        ("9" * 400, "is no size: 2GB"),
        ("30MB", "30 MB of memory are too little"),
    ],
)
def test_a_size_that_cannot_be_is_wrong_usage(
    size: str, message: str, folder: Path, tiny_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upscale", "photo.png", "--model", str(tiny_onnx), "--memory", size]) == 2
    assert [path.name for path in folder.iterdir()] == ["photo.png"]
    assert message in capsys.readouterr().err


KILLED = """
import itertools, os, pathlib, signal, sys
from srgan.cli import main

place, count = sys.argv.pop(1), itertools.count(1)
rename, last = pathlib.Path.replace, int(sys.argv.pop(1))

def rename_and_die(self, target):
    number = next(count)
    if number == last and place == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)

pathlib.Path.replace = rename_and_die
sys.exit(main())
"""
"""srgan, killed before or after the result with a certain number gets its name."""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_batch_that_is_killed_goes_on_where_it_was(tmp_path: Path, tiny_onnx: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(200):
        pixels = random.integers(0, 256, (16, 20 + number % 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number:03}.png")
    out = tmp_path / "out"
    arguments = ["upscale", str(tmp_path / "in"), "-o", str(out), "--model", str(tiny_onnx), "--runtime", "openvino"]
    arguments += ["--log", str(tmp_path / "log.jsonl")]

    def made() -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("*_x4.png")}

    before: dict[str, tuple[int, int]] = {}
    for place in ("before", "after"):
        killed = [sys.executable, "-c", KILLED, place, "60", *arguments]
        assert subprocess.run(killed, capture_output=True, check=False).returncode == -signal.SIGKILL
        now = made()
        assert len(before) + 50 <= len(now) <= len(before) + 70, "other threads write as well"
        assert {name: now[name] for name in before} == before, "none was made twice"
        before = now
        for path in out.glob("*_x4.png"):
            with Image.open(path) as image:
                image.load()
    command = [sys.executable, "-m", "srgan", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{200 - len(before)} done, {len(before)} skipped (there already), 0 failed in ")
    now = made()
    assert len(now) == 200
    assert {name: now[name] for name in before} == before, "none was made twice"
    assert sorted(path.name for path in out.iterdir()) == sorted(now), "nothing else is left"
    for number in range(200):
        with Image.open(out / f"{number:03}_x4.png") as image:
            assert image.size == ((20 + number % 5) * 4, 64)
            image.load()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    done = [line["target"] for line in lines if line["status"] == "done"]
    assert len(done) == len(set(done))
    assert {line["status"] for line in lines} == {"done", "skipped"}


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.usefixtures("folder")
def test_files_that_cannot_grow_as_on_a_full_disk_are_errors_and_the_others_go_on(tiny_onnx: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save("large.png")
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
    limited += "from srgan.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        limited,
        "upscale",
        "large.png",
        "photo.png",
        "-o",
        "out",
        "--model",
        str(tiny_onnx),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "srgan: error: out/large_x4.png: cannot be written: File too large\n"
    assert result.stdout.startswith("1 done, 0 skipped, 1 failed in ")
    assert [path.name for path in Path("out").iterdir()] == ["photo_x4.png"]


@pytest.mark.usefixtures("shipped")
def test_sizes_details_and_a_map_by_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, name, size in [
        (["--scale", "2"], "photo_x2.png", (34, 26)),
        (["--scale", "0.5"], "photo_x0.5.png", (8, 6)),
        (["--width", "51"], "photo_51w.png", (51, 39)),
        (["--height", "26"], "photo_26h.png", (34, 26)),
        (["--fit", "100x52"], "photo_100x52.png", (68, 52)),
        (["--stretch", "10x20"], "photo_10x20.png", (10, 20)),
        (["--detail", "0.5", "--consistent", "--confidence", "map.png"], "photo_x4.png", (68, 52)),
    ]:
        assert main(["upscale", "photo.png", *options]) == 0
        with Image.open(folder / name) as image:
            assert image.size == size
    with Image.open(folder / "map.png") as image:
        assert image.size == (68, 52)
    capsys.readouterr()
    assert main(["upscale", "photo.png", "--detail", "0.5", "--consistent"]) == 0
    assert "1 skipped (there already)" in capsys.readouterr().out
    assert main(["upscale", "photo.png", "--detail", "0.6", "--consistent"]) == 0
    assert "1 done (1 of them anew)" in capsys.readouterr().out


@pytest.mark.usefixtures("shipped")
def test_an_ensemble_by_the_command(folder: Path, noise: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["upscale", "photo.png", "--model", "srresnet", "--precision", "fp32"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--ensemble"]) == 0
    said = capsys.readouterr().out
    assert "1 done (1 of them anew)" in said, "one orientation made the result that was there"
    assert "srresnet, ensemble" in said
    results = eight_by_hand(Upscaler("srresnet", precision="fp32").upscale, noise, 0)
    with Image.open(folder / "photo_x4.png") as result:
        apart = np.abs(np.asarray(result, np.float64) - results.mean(axis=0))
    unclipped = ((results > 0) & (results < 255)).all(axis=0)
    assert unclipped.mean() > 0.3
    assert apart[unclipped].max() <= 1, "the mean is rounded there, each of the eight here"
    assert main([*command, "--ensemble"]) == 0
    assert "1 skipped (there already)" in capsys.readouterr().out


@pytest.mark.usefixtures("shipped")
def test_a_texture_by_the_command(folder: Path, noise: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["upscale", "photo.png", "--model", "srresnet", "--precision", "fp32", "--threads", "1"]
    assert main(command) == 0
    assert main([*command, "--seamless"]) == 0
    assert "1 done (1 of them anew)" in capsys.readouterr().out
    wanted = Upscaler("srresnet", precision="fp32", threads=1, seamless=True).upscale(noise)
    with Image.open(folder / "photo_x4.png") as result:
        np.testing.assert_array_equal(np.asarray(result), wanted)
    assert main([*command, "--seamless"]) == 0
    assert "1 skipped (there already)" in capsys.readouterr().out
    narrow = [*command, "--overwrite", "--max-output-pixels", str(52 * 68)]  # what goes around it counts as well
    assert main(narrow) == 0
    capsys.readouterr()
    assert main([*narrow, "--seamless"]) == 1
    assert "pixels on the way to that size, more than the limit of 3,536 pixels" in capsys.readouterr().err


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scale", "2", "--width", "9"], "one of --scale, --width, --height, --fit and --stretch says the size"),
        (["--fit", "9x9", "--stretch", "9x9"], "one of --scale, --width, --height, --fit and --stretch says the size"),
        (["--fit", "30"], "'30' is no width and height: 1920x1080, say"),
        (["--detail", "2"], "2.0 is not in the range 0<=x<=1"),
        (
            ["--model", "srresnet", "--detail", "0.5"],
            "detail goes from 0, srresnet, to 1, srgan-plus; not 0.5 of srresnet",
        ),
        (["photo2.png", "--confidence", "map.png"], "--confidence is for one picture"),
        (["--scale", "5", "--max-output-pixels", "10000"], "on the way to that size, more than the limit"),
    ],
)
def test_sizes_and_details_that_cannot_be(
    folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "photo2.png").write_bytes((folder / "photo.png").read_bytes())
    assert main(["upscale", "photo.png", *options]) in (1, 2)
    assert message in capsys.readouterr().err
    assert len(list(folder.iterdir())) == 2


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--confidence", "photo.png"], 2, "photo.png is an input: a result cannot take its place"),
        (["-o", "s.png", "--confidence", "./s.png"], 2, "s.png is the result: the map needs a name of its own"),
        (["--confidence", "notes.txt"], 2, "notes.txt: results are written as .png"),
        (["--confidence", "notes.png"], 1, "notes.png: is there already and was not made by srgan; --overwrite"),
        (["--confidence", "notes.png/map.png"], 1, "notes.png/map.png: Not a directory"),
        (
            ["--confidence", "map.webp", "--width", "17000"],
            1,
            "map.webp: 17000x13000 pixels are more than WEBP can hold",
        ),
        (
            ["--confidence", "map.png", "--model", "own.onnx"],
            2,
            "--confidence compares srgan-plus, srgan-photo, srgan-deblur, srgan-fast, srgan-fast-photo, "
            "srgan-fast-deblur, srgan, srresnet;",
        ),
    ],
)
def test_a_map_that_cannot_be_is_refused_before_the_work(
    folder: Path, tiny_onnx: Path, options: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "notes.png").write_bytes(b"a picture of mine")
    (folder / "own.onnx").write_bytes(tiny_onnx.read_bytes())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["upscale", "photo.png", *options]) == status
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.usefixtures("shipped", "folder")
def test_a_map_is_kept_or_made_anew_as_a_result_is(capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (5, 6)).save("other.png")
    photo = ["upscale", "photo.png", "--confidence", "map.png"]

    def run(arguments: list[str]) -> str:
        status = main(arguments)
        captured = capsys.readouterr()
        return captured.err if status else captured.out.partition(" failed")[0]

    def size() -> tuple[int, int]:
        with Image.open("map.png") as image:
            return image.size

    assert run(photo[:2]) == "1 done, 0 skipped, 0"
    written = Path("photo_x4.png").stat().st_mtime_ns
    assert run(photo) == "1 done, 0 skipped, 0"
    assert run(photo) == "0 done, 1 skipped (there already), 0"
    assert run(["upscale", "other.png", "--confidence", "map.png"]) == "1 done, 0 skipped, 0"
    assert size() == (20, 24)
    assert run(photo) == "1 done (1 of them anew), 0 skipped, 0"
    assert size() == (68, 52)
    assert Path("photo_x4.png").stat().st_mtime_ns == written, "the map alone was made"
    assert run(["upscale", "photo.png", "-o", "map.png"]) == "1 done (1 of them anew), 0 skipped, 0", "no result"
    Path("map.png").write_bytes(b"a picture of mine")
    assert "was not made by srgan; --overwrite replaces it" in run(photo)
    assert run([*photo, "--no-provenance"]) == "1 done (1 of them anew), 0 skipped, 0"
    assert Path("map.png").read_bytes() == b"a picture of mine"
    assert run([*photo, "--overwrite"]) == "1 done (1 of them anew), 0 skipped, 0"
    assert size() == (68, 52)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("scale", ["nan", "inf", "1e308"])
def test_a_scale_without_end_is_wrong_usage(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "photo.png", "--scale", scale]) == 2
    assert "is no size: a number more than 0 and less than 2147483648" in capsys.readouterr().err


@pytest.mark.usefixtures("shipped", "folder")
def test_a_name_that_is_empty_is_not_the_folder_that_one_is_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", ""]) == 1
    assert capsys.readouterr().err == "srgan: error: '': no such file or folder\n"
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


@pytest.mark.skipif(os.name != "posix", reason="shells of POSIX")
@pytest.mark.usefixtures("folder")
def test_streams_that_are_closed_lead_nowhere_or_are_named(tiny_onnx: Path) -> None:
    def run(closed: str, *arguments: str) -> tuple[int, bytes, bytes]:
        command = [sys.executable, "-m", "srgan", "upscale", *arguments, "--model", str(tiny_onnx)]
        result = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, check=False)
        return result.returncode, result.stdout, result.stderr

    assert run("<&- >&- 2>&-", "photo.png") == (0, b"", b"")
    with Image.open("photo_x4.png") as image:
        assert image.size == (68, 52)
    closed = b"srgan: error: standard %b: cannot be %b: it is closed\n"
    assert run(">&-", "photo.png", "-o", "-") == (1, b"", closed % (b"output", b"written"))
    assert run("<&-", "-", "-o", "large.png") == (1, b"", closed % (b"input", b"read"))


@pytest.mark.usefixtures("shipped", "folder")
def test_results_are_called_as_people_want(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "photo.png", "--suffix", "-large"]) == 0
    assert Path("photo-large.png").is_file()
    assert main(["upscale", ".", "--suffix", "", "-o", "large"]) == 0
    assert [path.name for path in Path("large").iterdir()] == ["photo.png"]
    assert main(["upscale", ".", "--suffix=", "-o", "large"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 done, 1 skipped (there already), 0 failed")
    assert [path.name for path in Path("large").iterdir()] == ["photo.png"], "a result is known by its mark"


@pytest.mark.usefixtures("shipped", "folder")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["photo.png", "--suffix", "a/b"], "Invalid value for '--suffix': 'a/b' cannot stand in a file's name"),
        (["photo.png", "--suffix", "x\ny"], r"Invalid value for '--suffix': 'x\ny' cannot stand in a file's name"),
        (
            ["photo.png", "--suffix", "x" * 51],
            f"Invalid value for '--suffix': '{'x' * 51}' cannot stand in a file's name",
        ),
        (["photo.png", "--suffix", ""], "results without a suffix need a folder of their own: -o DIR"),
        (["photo.png", "--suffix", "a", "-o", "b.png"], "--suffix is for results in folders: b.png is called as it is"),
        (
            [".", "--suffix", "", "-o", "large", "--no-provenance"],
            "nothing would tell the results in large from the pictures in .",
        ),
    ],
)
def test_a_suffix_that_cannot_be_is_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upscale", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(reason)
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


@pytest.mark.usefixtures("shipped", "folder")
def test_without_suffix_and_provenance_results_lie_elsewhere(tmp_path: Path) -> None:
    Path("in").mkdir()
    Path("photo.png").rename("in/photo.png")
    assert main(["upscale", "in", "--suffix", "", "-o", str(tmp_path / "out"), "--no-provenance"]) == 0
    assert Path("out/photo.png").is_file()
