"""Keep freed memory while a hospital works, since every step asks for the same tensors, and give it back at rest.

The C library's allocator gives large blocks back to the operating system as they are freed, more eagerly still in
threads other than the first, and every return costs page faults when the next step asks again. Of a hundred
hospitals two work at a time: what the others once needed must not stay with them.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Make one arena for all threads that returns nothing below 1 GiB. Does nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Return what is kept and not used. Does nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
