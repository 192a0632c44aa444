"""`khien explain`: why a rule matches an event, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from khien.errors import UsageError
from khien.findings.table import printable
from khien.formats.inputs import find_inputs
from khien.hunt.explanation import Branch, Explanation, explain_inputs
from khien.rules import folders as rule_folders
from khien.rules.collection import load_placeholders, load_rules
from khien.rules.model import Rule


def explain(
    rule: Annotated[str, typer.Argument(help="A rule file, or the id of a default rule.")],
    event_file: Annotated[str, typer.Argument(help="A file with events, or - for standard input.")],
    limit: Annotated[int, typer.Option(min=1, help="How many events to show, those that match first.")] = 3,
    placeholders: Annotated[Path | None, typer.Option(help="YAML file with placeholder values.")] = None,
) -> None:
    """Show a rule's condition as a tree for each event: what held, what did not, and the values."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 10_000
    chosen = _rule(rule, placeholders)
    problems: list[object] = []
    inputs = list(find_inputs([event_file], problems.append))
    explanations, events = explain_inputs(chosen, inputs, limit, problems.append)
    for problem in problems:
        Console(stderr=True, highlight=False, soft_wrap=True).print(printable(str(problem)), markup=False)
    console.print(printable(f"{chosen.title} ({chosen.id}), log source {chosen.logsource}"), markup=False)
    if not explanations:
        console.print(
            f"none of the {events:,} events belongs to this log source, so the rule was not tried", markup=False
        )
    for each in explanations:
        console.print(_tree(each))
    if problems:
        raise typer.Exit(3)


def _rule(name: str, placeholders: Path | None) -> Rule:
    path = Path(name)
    given = load_placeholders(placeholders) if placeholders else {}
    if path.exists():
        loaded = load_rules([path], given)
        if loaded.rules:
            return loaded.rules[0]
        reason = loaded.unusable[0].reason if loaded.unusable else "it holds no detection rule"
        raise UsageError(f"the rule cannot be used: {reason}", name)
    for rule in rule_folders.load(None, placeholders).rules:
        if rule.id == name:
            return rule
    raise UsageError(f"there is no rule file and no default rule '{name}'", remedy="See: khien rules list")


def _tree(explanation: Explanation) -> Tree:
    verdict = Text("matches" if explanation.matches else "does not match", "bold")
    top = Tree(Text(printable(f"{explanation.path}, record {explanation.record}: ")) + verdict)
    for branch in explanation.conditions:
        _grow(top, branch)
    return top


def _grow(tree: Tree, branch: Branch) -> None:
    mark = Text("yes ", "green") if branch.holds else Text("no  ", "red")
    label = mark + Text(printable(branch.label), "" if branch.holds else "dim")
    if branch.value is not None:
        label += Text(printable(f"   value: {branch.value}"), "cyan")
    inner = tree.add(label)
    for each in branch.items:
        _grow(inner, each)
