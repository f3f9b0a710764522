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
LARGE_VALUES = 1 << 20
"""Of a model beside which what was freed is not to lie."""
_keeps: set[bool] = set()
"""Whether this process keeps freed memory: empty where it does not."""


def keep_freed_memory() -> None:
    """Make one arena for all threads that returns nothing below 1 GiB. Does nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        _keeps.add(True)


def give_back_freed_memory() -> None:
    """Return what is kept and not used. Does nothing where there is no glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def make_room_for(values: int) -> None:
    """Return what this process keeps and does not use before so many values are taken at once, if they are many.

    Freed blocks of layers are no room for a whole model: it would be taken beside them.
    """
    if _keeps and values >= LARGE_VALUES:
        give_back_freed_memory()
