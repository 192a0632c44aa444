"""Every action in the audit trail has words."""

from __future__ import annotations

import re
from pathlib import Path

import khien.console
from khien.console.audit.actions import label


def test_what_services_record_is_shown_in_words() -> None:
    """The actions are read from the sources: `record(by, "incident.open", ...)` and the steps of tasks and sessions."""
    sources = [
        path.read_text(encoding="utf-8")
        for path in Path(khien.console.__file__).parent.rglob("*.py")
        if "node_modules" not in path.parts
    ]
    said = {each for text in sources for each in re.findall(r'(?<!_)record\(\s*[^"()]+"([a-z_]+\.[a-z_]+)"', text)}
    said |= {f"task.{verb}" for text in sources for verb in re.findall(r'finish_step\(by, task, "(\w+)"', text)}
    said |= {f"session.{verb}" for text in sources for verb in re.findall(r'_keep\(by, session, "(\w+)"', text)}
    said |= {f"directive.{verb}" for text in sources for verb in re.findall(r'_keep\(by, directive, "(\w+)"', text)}
    assert len(said) > 80
    assert [each for each in sorted(said) if label(each) == each] == []
