"""Lines no longer than allowed."""

from __future__ import annotations


def bounded(block: bytes, max_line: int) -> tuple[bytes, int]:
    """(the whole lines of `block` cut off at `max_line` bytes, how many were).

    Where none is too long, it costs a search every `max_line` bytes.
    """
    at, size = 0, len(block)
    while size - at > max_line:
        end = block.rfind(b"\n", at, at + max_line + 1)
        if end < 0:
            break
        at = end + 1
    else:
        return block, 0
    lines = block.split(b"\n")
    return b"\n".join([line[:max_line] for line in lines]), sum(1 for line in lines if len(line) > max_line)
