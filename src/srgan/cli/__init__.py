"""The command line. A command parses, calls one function and prints; it is imported when it is called."""

import atexit
import difflib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from srgan import __version__
from srgan.errors import ArgumentError, RuntimeMissingError, SrganError
from srgan.memory import is_out_of_memory

_F = TypeVar("_F", bound=Callable[..., Any])


class Command(NamedTuple):
    """Where a command is, its short help, and the extra that installs what it needs beyond the core."""

    place: str
    help: str
    extra: str = ""


COMMANDS = {
    "upscale": Command("srgan.cli.upscale:upscale", "Make pictures four times as wide and high."),
    "serve": Command("srgan.cli.serve:serve", "Serve a page to drop pictures on, and an HTTP API.", "web"),
    "bulk": Command("srgan.cli.bulk:bulk", "Upscale a great many pictures, each once.", "bulk"),
    "models": Command("srgan.cli.models:models", "List the networks that are shipped."),
    "train": Command("srgan.cli.train:train", "Train a network by a recipe.", "train"),
    "evaluate": Command("srgan.cli.evaluate:evaluate", "Measure networks on test pictures.", "train"),
    "fetch": Command("srgan.cli.fetch:fetch", "Download the perceptual networks of losses and metrics.", "train"),
    "data": Command("srgan.cli.data:data", "Check folders of pictures.", "train"),
    "export": Command("srgan.cli.export:export", "Turn a checkpoint into weights files to run.", "train"),
    "adopt": Command("srgan.cli.adopt:adopt", "Let a network of another program run here."),
}
"""Every command: `srgan --help` imports none of them."""

EXAMPLES = """\b
Examples:
  srgan upscale photo.jpg              writes photo_x4.png beside it
  srgan upscale photos -o large        a folder and all below it
  srgan models                         what there is to choose from
"""


@dataclass
class Settings:
    """What holds for every command; the `obj` of click's context.

    command  the name of the one that is run
    """

    debug: bool = False
    command: str = ""


pass_settings = click.make_pass_decorator(Settings, ensure=True)
"""Give a command the Settings as its first argument."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        ctx.ensure_object(Settings).command = cmd_name
        module, name = COMMANDS[cmd_name].place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            meant = f"upscale {click.format_filename(name)}" if Path(name).exists() else close[0] if close else None
            ctx.fail(f"No such command {name!r}." + (f" Did you mean srgan {meant}?" if meant else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, none of which is imported, and the options."""
        found = [CompletionItem(name, help=c.help) for name, c in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


class NamedPath(click.Path):
    """A path that has a name: that of a variable which is not set would be the folder that one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises BadParameter."""
        if value == "":
            self.fail("an empty name", param, ctx)
        return super().convert(value, param, ctx)


FILE, FOLDER = NamedPath(dir_okay=False, path_type=Path), NamedPath(file_okay=False, path_type=Path)


def debug_option(command: _F) -> _F:
    """Give a command the option --debug."""

    def switch_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Settings).debug = True

    option = click.option(
        "--debug", is_flag=True, expose_value=False, callback=switch_on, help="Show the cause of an error as well."
    )
    return option(command)


@click.group(cls=_LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="srgan", message="%(prog)s %(version)s")
@debug_option
def cli() -> None:
    """SRGAN (Ledig et al. 2017): photo-realistic pictures of four times the size."""


_interrupted: list[BaseException] = []
"""What Ctrl-C ended, with all that it holds: to free a network would wait until it is through with its window."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    settings = Settings()
    try:
        status = cli.main(arguments, prog_name="srgan", standalone_mode=False, obj=settings)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        _interrupted[:] = [error]
        click.echo("srgan: interrupted", err=True)
        return 130
    except SrganError as error:
        print_error(error, debug=settings.debug)
        return 2 if isinstance(error, ArgumentError) else 1
    except ModuleNotFoundError as error:  # of a command's module, or of what it imports when it is run
        command = COMMANDS.get(settings.command)
        if error.name is None or error.name.split(".")[0] == "srgan" or command is None or not command.extra:
            raise
        text = f"srgan {settings.command} needs {error.name}, which is not installed"
        missing = RuntimeMissingError(f"{text}: pip install 'srgan[{command.extra}]'")
        print_error(missing, debug=settings.debug, cause=error)
        return 1
    except OSError as error:  # what concerns a file of the user's is an SrganError
        text = str(error) if error.filename else f"standard output: cannot be written: {error.strerror or error}"
        print_error(SrganError(text), debug=settings.debug, cause=error)
        return 1
    except MemoryError as error:
        print_error(SrganError("not enough memory"), debug=settings.debug, cause=error)
        return 1
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        where = " on the GPU" if type(error).__name__ == "OutOfMemoryError" else ""
        text = f"not enough memory{where}: smaller batches, patches or tiles take less"
        print_error(SrganError(text), debug=settings.debug, cause=error)
        return 1
    return status if isinstance(status, int) else 0


def program() -> NoReturn:
    """Be the command srgan: run it and end the process.

    It ends at once: taking a network and its memory apart first would be a tenth of a second of every command.
    """
    _open_streams()
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to be interrupted
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever reads has gone
        status = status or 1
    os._exit(status)


def _open_streams() -> None:
    """Let standard streams lead nowhere that the process was started without, as daemons are.

    `sys.__stdin__` and the like still say so. On standard output, as on standard error, names that are not Unicode
    have backslashes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, errors="backslashreplace"))  # noqa: SIM115 - to the end
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def print_error(error: SrganError, *, debug: bool, cause: BaseException | None = None) -> None:
    """Print one line for an error on stderr, after the traceback of it and its causes with `debug`."""
    if debug:
        traceback.print_exception(cause or error, file=sys.stderr)
    click.echo(f"srgan: error: {' '.join(str(error).splitlines())}", err=True)
