"""Where a command's result goes: standard output, or a file that appears whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from khien.errors import UsageError

_BUFFER = 1 << 20


@contextmanager
def target(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output (None or `-`), or a file written beside and then renamed; devices and pipes are written through.

    Raises UsageError.
    """
    if output is None or str(output) == "-":
        yield cast(BinaryIO, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    part = output if output.exists() and not output.is_file() else output.with_name(f".{output.name}.part")
    try:
        stream = part.open("wb", buffering=_BUFFER)
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}", str(output)) from error
    try:
        with stream:
            yield stream
        if part != output:
            part.replace(output)
    finally:
        if part != output:
            part.unlink(missing_ok=True)
