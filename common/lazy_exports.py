"""What a room hands on by its own name, so that imports hold while files move: `from common.data import Cases`.

A name's file is imported only when the name is asked for: a study is read without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def handed_on(room: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A module's `__getattr__`. names: by the file of `room`, those that it hands on."""
    places = {name: f"{room}.{file}" for file, several in names.items() for name in several}

    def of(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    return of
