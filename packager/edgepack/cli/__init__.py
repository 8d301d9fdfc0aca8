"""The command line. Each command lives in a module of its own that is imported when it is used."""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

import click

from edgepack import __version__
from edgepack.errors import BUG, INTERRUPTED, EdgepackError

COMMANDS = {
    "build": "Convert, quantize, verify and package a model.",
    "app": "Generate an app project to work on, or bring one up to date.",
    "init": "Write an edgepack.toml for a model.",
    "inspect": "Show what a model or an artifact takes and gives.",
    "validate": "Compare an artifact with its source model.",
    "verify-app": "Prove that a generated app is well, as far as this machine can.",
    "targets": "List the targets, their precisions and options.",
    "doctor": "Prove that every environment works.",
    "explain": "Explain an error code.",
    "cache": "List, explain and clear what is cached.",
}


class Commands(click.Group):
    """Commands by name, imported on use, so that --help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module's `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgepack.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        """As click does, with a suggestion for a mistyped name."""
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, COMMANDS, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {name!r}.{meant}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepack")
def edgepack() -> None:
    """Take a trained model to a phone and prove that it still works there.

    \b
    Example:
      edgepack build model.pt2 --target android --target ios
    """


def main() -> None:
    """Run the command line; every expected failure ends in its family's exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = edgepack.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except EdgepackError as error:
        from edgepack.console import Console

        Console(json="--json" in sys.argv).error(error)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("interrupted; the last good output is as it was\n")
        sys.exit(INTERRUPTED)
    except Exception:  # noqa: BLE001 a bug of ours: say so, with all there is
        import traceback

        traceback.print_exc()
        sys.stderr.write(
            "error[E901]: this is a bug in edgepack; please report it with the lines above\n"
        )
        sys.exit(BUG)
