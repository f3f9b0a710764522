"""A child process starts from our modules, and from nothing of the script or notebook that started it.

`multiprocessing` runs the starting program's `__main__` in every child again: a script without a main guard would
start another federation there, and an interactive session has no file to run. Nothing of ours needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType

_ONE_AT_A_TIME = Lock()


@contextmanager
def without_main() -> Iterator[None]:
    """While the block lasts, processes that are started do not run this one's `__main__`."""
    with _ONE_AT_A_TIME:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
