"""`khien audit`: the audit trail, checked from the command line."""

from __future__ import annotations

import typer

app = typer.Typer(help="The audit trail.", no_args_is_help=True)


@app.callback()
def _audit() -> None:
    pass
