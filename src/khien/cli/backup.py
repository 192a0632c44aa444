"""`khien backup` and `khien restore`: the data folder of the live service, saved and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khien.cli.up import default_folder
from khien.findings.table import bytes_text, counted
from khien.flow.backup import back_up
from khien.flow.restoring import restore as bring_back
from khien.flow.settings import FlowSettings

DataOption = Annotated[Path | None, typer.Option(help="Data folder; default: in the user's data folder.")]


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or that of an earlier backup.")],
    data: DataOption = None,
    sources: Annotated[Path | None, typer.Option(help="Sources file, if it is not in the data folder.")] = None,
    lake: Annotated[str, typer.Option(help="Lake, if it is not in the data folder.")] = "",
) -> None:
    """Back up alerts, lake, spool and sources while the service runs; only what is new is copied again."""
    folder = (data or default_folder()).resolve()
    settings = FlowSettings(folder=folder, rules=(), sources=sources or folder / "sources.toml", lake=lake)
    taken = back_up(settings, target)
    sizes = f"{bytes_text(taken.size)}, of which {bytes_text(taken.copied)} were copied now"
    typer.echo(f"{counted(len(taken.files), 'file')}, {sizes}; senders waited {taken.halted * 1000:.0f} ms")
    if lake.startswith("s3://"):
        typer.echo(f"the lake stays where it is: {lake}")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a backup.")],
    data: DataOption = None,
) -> None:
    """Bring a backup back into an empty data folder. Start it there with `khien up --data`."""
    folder = (data or default_folder()).resolve()
    manifest = bring_back(backup.resolve(), folder)
    typer.echo(f"restored the backup of {manifest.taken} into {folder}")
    if manifest.lake:
        typer.echo(f"its lake is {manifest.lake}: start with --lake {manifest.lake}")
