"""The command line: one module a command, imported when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from khien import __version__
from khien.errors import KhienError

_INTERRUPTED = 130
"""What typer ends with after Ctrl-C."""

app = typer.Typer(
    name="khien",
    help="Find attacks in log files with the whole Sigma rule corpus.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Name: module of khien.cli, and the function or Typer in it.
COMMANDS = {
    "hunt": ("hunt", "hunt"),
    "explain": ("explain", "explain"),
    "rules": ("rules", "app"),
    "up": ("up", "up"),
    "status": ("up", "status"),
    "source": ("source", "app"),
    "query": ("query", "query"),
    "search": ("search", "search"),
    "lake": ("lake", "app"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "console": ("console", "app"),
    "audit": ("audit", "app"),
}


def register(arguments: list[str]) -> None:
    """Make the command known that the arguments ask for; all of them where they ask for none."""
    asked = [name for name in arguments[:1] if name in COMMANDS]
    for name in asked or COMMANDS:
        place, attribute = COMMANDS[name]
        module = import_module(f"khien.cli.{place}")
        found = getattr(module, attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, cls=getattr(module, "CommandClass", None))(found)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"khien {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command; what a person can put right is said in one line, exit code 2."""
    if sys.argv[1:] != ["--version"]:
        register(sys.argv[1:])
    try:
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            print("khien: stopped", file=sys.stderr)
        raise
    except KhienError as error:
        print(f"khien: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:  # such as a full disk: nothing the person typed is wrong
        where = f"{error.filename}: " if error.filename else ""
        print(f"khien: stopped: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
