"""`khien rules`: check, list, test and fetch rules."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from khien.errors import UsageError
from khien.findings.table import counted, printable
from khien.hunt.rule_tests import run_rule_tests
from khien.rules import folders as rule_folders
from khien.rules.collection import LEVELS, load_placeholders, load_rules
from khien.rules.model import RuleSet, Unusable
from khien.rules.sync import SIGMA_RELEASE, sync

app = typer.Typer(help="Check, list, test and fetch Sigma rules.", no_args_is_help=True)

Folders = Annotated[list[Path] | None, typer.Argument(help="Rule files or folders (default: those of a hunt).")]
Given = Annotated[Path | None, typer.Option("--placeholders", help="YAML file with placeholder values.")]


def _load(folders: list[Path] | None, placeholders: Path | None) -> RuleSet:
    chosen = folders or [p for p in (rule_folders.starter_folder(), rule_folders.synced_folder()) if p.is_dir()]
    return load_rules(chosen, load_placeholders(placeholders) if placeholders else {})


@app.command()
def check(folders: Folders = None, placeholders: Given = None) -> None:
    """Say how many rules load, and why any cannot be used. Exit code 3 if there are such."""
    rules = _load(folders, placeholders)
    if not (rules.rules or rules.correlations or rules.unusable):
        raise UsageError("there is no rule file here", ", ".join(map(str, folders or ())), "Rules are .yml files")
    out = Console(highlight=False, soft_wrap=True)
    for problem in rules.unusable:
        out.print(printable(_line("unusable", problem)), markup=False)
    for warning in rules.warnings:
        out.print(printable(_line("warning", warning)), markup=False)
    out.print(
        f"{counted(len(rules.rules), 'rule')} and {counted(len(rules.correlations), 'correlation')} loaded, "
        f"{len(rules.unusable):,} not usable, {len(rules.warnings):,} with a warning",
        markup=False,
    )
    if rules.unusable:
        raise typer.Exit(3)


def _line(word: str, what: Unusable) -> str:
    where = f"{what.path}, {what.place}" if what.place and not what.place.startswith(what.path) else what.place
    title = f" ({what.title})" if what.title else ""
    return f"{word}: {where or what.path}{title}: {what.reason}"


@app.command("list")
def list_rules(
    folders: Folders = None,
    placeholders: Given = None,
    level: Annotated[str | None, typer.Option(help="Only rules of this level and above.")] = None,
    product: Annotated[str | None, typer.Option(help="Only rules for this product.")] = None,
    search: Annotated[str | None, typer.Option(help="Only rules with this text in title, id or tags.")] = None,
) -> None:
    """List rules: level, id, log source and title."""
    if level is not None and level not in LEVELS:
        raise UsageError(f"there is no level '{level}'", remedy=f"Known: {', '.join(LEVELS)}")
    rules = _load(folders, placeholders)
    if rules.unusable:
        typer.echo(f"{counted(len(rules.unusable), 'rule')} not usable, see: khien rules check", err=True)
    least = LEVELS.index(level) if level else 0
    rows = [(r.level, r.id, str(r.logsource), r.title, r.tags) for r in rules.rules]
    rows += [(c.level, c.id, f"correlation/{c.type}", c.title, c.tags) for c in rules.correlations]
    wanted = [
        row
        for row in rows
        if LEVELS.index(row[0]) >= least
        and (not product or row[2].startswith(f"{product.lower()}/"))
        and (not search or search.lower() in " ".join((row[1], row[3], *row[4])).lower())
    ]
    if not sys.stdout.isatty():
        for row in wanted:
            typer.echo("\t".join(row[:4]))
        return
    table = Table("level", box=None, header_style="bold", pad_edge=False)
    table.add_column("id", no_wrap=True, min_width=36)
    table.add_column("log source", ratio=1, overflow="fold")
    table.add_column("title", ratio=2, overflow="fold")
    for row in sorted(wanted, key=lambda row: (-LEVELS.index(row[0]), row[2], row[3])):
        table.add_row(*(Text(printable(cell)) for cell in row[:4]))
    Console(highlight=False).print(table)
    typer.echo(counted(len(wanted), "rule"))


@app.command()
def test(folders: Folders = None, placeholders: Given = None) -> None:
    """Run the test events that stand beside rules (`*.tests.yml`). Exit code 1 if any fails."""
    chosen = folders or [rule_folders.starter_folder()]
    results = run_rule_tests(chosen, _load(chosen, placeholders))
    if not results:
        where = ", ".join(map(str, chosen))
        raise UsageError("there are no test events here", where, "Put them beside the rule, in NAME.tests.yml")
    out = Console(highlight=False, soft_wrap=True)
    failed = [result for result in results if result.failure]
    for result in failed:
        out.print(printable(f"FAILED {result.path}: {result.name}: {result.failure}"), markup=False)
    out.print(f"{len(results) - len(failed)} passed, {len(failed)} failed", markup=False)
    if failed:
        raise typer.Exit(1)


@app.command("sync")
def sync_rules(
    url: Annotated[str, typer.Option(help="Address of the release archive (zip).")] = SIGMA_RELEASE,
    sha256: Annotated[str | None, typer.Option(help="What the archive's SHA-256 must be.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust instead of the system's.")] = None,
) -> None:
    """Fetch the current SigmaHQ rules; the last good ones stay if anything is wrong."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError("the certificates cannot be read", str(ca_file), "Give a PEM file") from error
    typer.echo(f"fetching {url}", err=True)
    result = sync(url, rule_folders.data_folder() / "sigma", sha256, context)
    word = "fetched" if result.changed else "already current:"
    typer.echo(f"{word} {result.rules} rule files in {result.folder}")
