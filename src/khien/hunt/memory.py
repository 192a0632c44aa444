"""How the C library hands out memory, tuned for blocks that come and go."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_blocks() -> None:
    """Keep freed blocks for the next one instead of returning them to the kernel (glibc; else nothing).

    Without it every block of a file is mapped, faulted in page by page and unmapped again: a tenth
    to a third of a hunt's time on virtual machines.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_M_MMAP_THRESHOLD, 64 << 20)
        library.mallopt(_M_TRIM_THRESHOLD, 256 << 20)


def give_back() -> None:
    """Give memory that is free now back to the kernel (glibc; else nothing)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
