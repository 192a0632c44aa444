"""`khien source`: keys for the sources of the live service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khien.collect.keys import new_key
from khien.collect.sources import load_sources

app = typer.Typer(no_args_is_help=True, help="Keys and checks of the sources file.")


@app.command()
def key(source: Annotated[str, typer.Argument(help="The source's id.")]) -> None:
    """Make a key. The sender gets the key; the sources file gets its hash."""
    made = new_key(source)
    typer.echo(f"user (id):                       {made.source}")
    typer.echo(f"secret (password), shown once:   {made.secret}")
    typer.echo(f"both, as API key or bearer:      {made.encoded}")
    typer.echo(f"hash, for the sources file:      {made.hashed}")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The sources file.")]) -> None:
    """Read a sources file and say what is in it, or what is wrong."""
    config = load_sources(file)
    for each in config.sources:
        typer.echo(
            f"{each.id}: {each.kind}{', ' + each.format if each.format else ''}{', ' + each.unit if each.unit else ''}"
        )
    typer.echo(f"{len(config.sources)} sources")
