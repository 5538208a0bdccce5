import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import click
import pytest
import torch

from srgan import __version__
from srgan.cli import COMMANDS, Command, cli, main
from srgan.errors import ArgumentError, RecipeError, SrganError


def loaded(*arguments: str) -> tuple[set[str], str]:
    """Run the command in a fresh interpreter; return the packages that it imported, and its output."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "srgan", *arguments], capture_output=True, text=True, check=True
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}, result.stdout


@pytest.mark.parametrize("command", ["", "upscale", "train", "evaluate", "data check", "export"])
def test_help_is_quick_since_it_imports_nothing_heavy(command: str) -> None:
    packages, output = loaded(*command.split(), "--help")
    assert "click" in packages
    assert packages.isdisjoint({"numpy", "PIL", "openvino", "onnxruntime", "torch", "tqdm"})
    assert ("Examples:" in output) == (command not in ("train", "export"))


def test_help_lists_every_command_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    output = capsys.readouterr().out
    for name, (_, text, _) in COMMANDS.items():
        assert f"  {name} " in output
        assert text in output
    names = {"upscale", "serve", "bulk", "models", "train", "evaluate", "data", "fetch", "export", "adopt"}
    assert set(COMMANDS) == names


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"srgan {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["upscael"], ["upscale"], ["upscale", "a.png", "--tile", "x"], ["--what"]])
def test_wrong_usage_is_status_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage: srgan" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        ["upscale", "a.png", "-o", ""],
        ["upscale", "a.png", "--log", ""],
        ["train", "", "--data", "a", "--out", "run"],
        ["train", "a.toml", "--data", "a", "--out", ""],
        ["train", "a.toml", "--data", "a", "--out", "run", "--validate", ""],
        ["evaluate", "bicubic", "--data", ""],
        ["data", "check", ""],
    ],
)
def test_a_path_without_a_name_is_not_the_folder_that_one_is_in(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(": an empty name\n")


def failing(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (SrganError("two  spaces\nand a line"), 1, "srgan: error: two  spaces and a line\n"),
        (RecipeError("no key 'x'"), 1, "srgan: error: no key 'x'\n"),
        (ArgumentError("a contradiction"), 2, "srgan: error: a contradiction\n"),
        (
            OSError(28, "No space left on device"),
            1,
            "srgan: error: standard output: cannot be written: No space left on device\n",
        ),
        (OSError(5, "Input/output error", "a.png"), 1, "srgan: error: [Errno 5] Input/output error: 'a.png'\n"),
        (
            OSError("a stream without a number"),
            1,
            "srgan: error: standard output: cannot be written: a stream without a number\n",
        ),
        (MemoryError(), 1, "srgan: error: not enough memory\n"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            1,
            "srgan: error: not enough memory on the GPU: smaller batches, patches or tiles take less\n",
        ),
        (KeyboardInterrupt(), 130, "srgan: interrupted\n"),
    ],
)
def test_errors_are_one_line_and_a_status(
    error: BaseException, status: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "get_command", lambda *_: failing(error))
    assert main(["anything"]) == status
    assert capsys.readouterr().err.lstrip("\n") == line


def test_debug_shows_the_traceback_before_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "get_command", lambda *_: failing(SrganError("what and where")))
    assert main(["--debug", "anything"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "srgan: error: what and where"
    monkeypatch.setattr(cli, "get_command", lambda *_: failing(OSError(28, "No space left on device")))
    assert main(["--debug", "anything"]) == 1
    assert "\nOSError: [Errno 28] No space left on device\nsrgan: error: " in capsys.readouterr().err


def test_a_command_that_needs_a_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "needy_command.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "train", Command("needy_command:train", "Train.", "train"))
    assert main(["train"]) == 1
    expected = "srgan: error: srgan train needs a_package_that_is_not_there, which is not installed"
    assert capsys.readouterr().err.startswith(f"{expected}: pip install 'srgan[train]'")


def test_a_package_that_a_command_needs_when_it_runs_is_named_as_well(tmp_path: Path) -> None:
    """Its help is there without."""
    code = "import sys; sys.modules['torch'] = None; from srgan.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "evaluate"]
    assert subprocess.run([*command, "--help"], capture_output=True, check=False).returncode == 0
    result = subprocess.run([*command, "bicubic", "--data", str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    expected = "srgan: error: srgan evaluate needs torch, which is not installed: pip install 'srgan[train]'\n"
    assert result.stderr == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_causes_where_it_is_asked(name: str) -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        assert "--debug" in [flag for parameter in one.params for flag in parameter.opts]


def test_names_that_are_not_unicode_are_printed_with_backslashes() -> None:
    code = "from srgan.cli import _open_streams; _open_streams(); print('caf\\udce9 \xe9')"
    for errors, printed in {"strict": b"caf\\udce9 \xc3\xa9\n", "surrogateescape": b"caf\xe9 \xc3\xa9\n"}.items():
        environment = os.environ | {"PYTHONIOENCODING": f"utf-8:{errors}"}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        assert result.stdout == printed


def test_what_ctrl_c_ended_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network in the middle of a window would be waited for: the process ends with it instead."""

    class Held:
        pass

    seen: list[weakref.ref[Held]] = []

    @click.command()
    def interrupted() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "get_command", lambda *_: interrupted)
    assert main(["anything"]) == 130
    gc.collect()
    assert seen[0]() is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("srgan ", [f"plain,{name}" for name in COMMANDS]),
        ("srgan ev", ["plain,evaluate"]),
        ("srgan --v", ["plain,--version"]),
        ("srgan upscale --model srgan-p", ["plain,srgan-plus", "plain,srgan-photo"]),
        ("srgan upscale --model auto", ["plain,auto", "plain,auto-fast"]),
        ("srgan upscale --model runs/", ["file,runs/"]),
    ],
)
def test_a_shell_completes_commands_and_networks(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without what commands need: none of them is imported to be named."""
    asked = {"_SRGAN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    for name in ("serve", "train"):
        monkeypatch.setitem(COMMANDS, name, COMMANDS[name]._replace(place="a_package_that_is_not_there:command"))
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.splitlines() == expected


def test_a_command_that_is_none_is_met_with_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, end in {
        "photo.jpg": " Did you mean srgan upscale photo.jpg?",
        "photos": " Did you mean srgan upscale photos?",
        "upsacle": " Did you mean srgan upscale?",
        "zzzz": "",
    }.items():
        assert main([name]) == 2
        assert capsys.readouterr().err.endswith(f"Error: No such command '{name}'.{end}\n")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("upscale -i photo.jpg -o large.png", "srgan upscale INPUT..."),
        ("upscale photo.jpg -s 2", "--scale"),
        ("upscale photo.jpg --fp32", "--precision fp32"),
        ("bulk --input photos large", "srgan bulk SOURCE DESTINATION"),
        ("bulk photos large -x", "--ensemble"),
        ("upscale photo.jpg --ensembl", "--ensemble"),
        ("upscale photo.jpg -k", ""),
        ("train --fp32", ""),
    ],
)
def test_options_of_other_programs_are_told_what_is_meant(
    arguments: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("Error: No such option")
    assert meant in last
    assert ("mean" in last) == bool(meant)


def test_a_mistake_of_the_program_s_is_not_called_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "get_command", lambda *_: failing(RuntimeError("a mistake")))
    with pytest.raises(RuntimeError, match="a mistake"):
        main(["anything"])
