"""Rule files to YAML documents, with what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from khien.errors import RuleError, UsageError
from khien.rules.yaml_loader import load_documents

SUFFIXES = (".yml", ".yaml")
TEST_SUFFIX = ".tests.yml"
_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document of a rule file; `number` counts from 1."""

    path: str
    number: int
    body: dict[str, Any]


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """All rule files at or below the paths, sorted, each once. Raises UsageError where a path does not exist."""
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            files = [
                p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and (p.is_file() or p.is_symlink())
            ]
        elif path.exists():
            files = [path]
        else:
            raise UsageError("there is no such rule file or folder", str(path))
        for file in files:
            if not file.name.endswith(TEST_SUFFIX):
                found.setdefault(file.resolve(), file)
    return list(found.values())


def read_sources(files: Sequence[Path]) -> list[tuple[str, bytes | OSError]]:
    """Each file's path with its bytes, or with the reason why it cannot be read."""
    found: list[tuple[str, bytes | OSError]] = []
    for file in files:
        try:
            found.append((str(file), file.read_bytes()))
        except OSError as error:
            found.append((str(file), error))
    return found


def parse_documents(path: str, data: bytes) -> Iterator[Document]:
    """The documents of one file. Raises RuleError with line and column where YAML does not parse.

    `action: global` documents (an old way to write several rules in a file) are merged into those
    after them, until `action: reset`.
    """
    if len(data) > _MOST_BYTES:
        raise RuleError(f"the file is larger than {_MOST_BYTES >> 20} MB", path, "No rule needs that much")
    shared: dict[str, Any] = {}
    previous: dict[str, Any] = {}
    try:
        for number, body in enumerate(load_documents(data), 1):
            if body is None:
                continue
            if not isinstance(body, dict):
                raise RuleError(f"document {number} is not a map", path)
            action = body.pop("action", None)
            if action == "global":
                shared = _merged(shared, body)
                continue
            if action == "reset":
                shared = {}
            if action == "repeat":
                body = _merged(previous, body)
            elif shared:
                body = _merged(shared, body)
            previous = body
            yield Document(path, number, body)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else path
        raise RuleError(f"not valid YAML: {error.problem or error}", place) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RuleError(
            f"not valid YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}", path
        ) from error


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        mine = out.get(key)
        out[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return out
