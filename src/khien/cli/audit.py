"""`khien audit`: the audit trail, checked from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from khien.cli.console import DataOption, first_line, set_up
from khien.errors import KhienError, UsageError

app = typer.Typer(help="The audit trail.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    pass


@app.command()
def verify(
    data: DataOption = None,
    anchors: Annotated[
        Path | None, typer.Option(help="A kept copy of audit-anchor.jsonl, instead of the data folder's.")
    ] = None,
) -> None:
    """Check the whole chain of the audit trail. Exit code 1 when an entry was changed, taken out or cut off."""
    if data is not None and not data.is_dir():
        raise UsageError("there is no such data folder", str(data), "Mend --data")
    set_up(data)
    from django.db import DatabaseError

    from khien.console.audit.anchors import anchor_file
    from khien.console.audit.verification import verify as check

    try:
        verdict = check(anchors or anchor_file())
    except DatabaseError as error:
        raise KhienError(
            f"the audit trail cannot be read ({first_line(error)}): is {anchor_file().parent} the data folder?"
        ) from error
    if verdict.finding is None:
        typer.echo(f"intact: {verdict.entries:,} entries, the last is {verdict.last}; {verdict.anchors} anchors agree")
        return
    finding = verdict.finding
    typer.echo(f"broken at entry {finding.number}: {finding.kind}: {finding.text}")
    typer.echo(f"{verdict.last:,} entries before it are intact")
    raise typer.Exit(1)
