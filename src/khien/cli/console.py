"""`khien console`: the web console of the office and the agencies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The web console: alerts, incidents, directives and tasks.", no_args_is_help=True)
DataOption = Annotated[Path | None, typer.Option(help="The console's data folder.")]


def set_up(data: Path | None) -> None:
    """Load Django with the console's settings."""
    import django

    if data is not None:
        os.environ["KHIEN_CONSOLE_DATA"] = str(data.resolve())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khien.console.settings")
    django.setup()


@app.command()
def migrate(data: DataOption = None) -> None:
    """Bring the database to this version's tables; safe to repeat."""
    set_up(data)
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def manage(context: typer.Context, data: DataOption = None) -> None:
    """Any management command of Django, such as `shell` or `dbshell`."""
    set_up(data)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["khien console manage", *context.args])
