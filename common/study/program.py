"""What a hospital runs, as one digest: the installed packages `common` and `client`, and what they compute with.

The same version gives the same digest from a checkout, an installed wheel and the bundle that Flower is given. It is
what a process says of itself: whoever may write to a hospital's disk, or owns its machine, can have it say anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from common import __version__
from common.errors import EngineError
from common.files.access import read_all

PACKAGES = ("client", "common")
COMPUTES_WITH = ("flwr", "numpy", "tenseal", "torch")
"""Of these the version decides too what a study computes, and what leaves."""
UNREAD = ("py.typed",)
DIGITS_SHOWN = 12
_Signature = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class Program:
    """digest: SHA-256, hexadecimal. version: of Wardround. packages: versions of what it computes with, by name."""

    digest: str
    version: str
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """`wardround 0.2.0`, `flwr 1.41.0` and so on."""
        return [f"wardround {self.version}", *(f"{name} {one}" for name, one in self.packages.items())]

    @property
    def sentence(self) -> str:
        """For people."""
        return f"Program {self.digest} ({', '.join(self.words)})"


@lru_cache(maxsize=1)
def this_program() -> Program:
    """That of this process, worked out once: a node asks as it starts, before anybody could change what it loaded."""
    _signature_at_start()
    packages = {name: one for name in COMPUTES_WITH if (one := _version(name))}
    return Program(digest_of({name: _place(name) for name in PACKAGES}, packages), __version__, packages)


def has_changed() -> bool:
    """Whether a file of the program was written, added or removed since `this_program` was first asked.

    What a process imports late would then be of another program than it says.
    """
    this_program()
    return _signature() != _signature_at_start()


def digest_of(places: Mapping[str, Path], packages: Mapping[str, str]) -> str:
    """Of the files in folders, each by its package's name, and of the versions beside them."""
    files = [
        [f"{name}/{path.relative_to(place).as_posix()}", sha256(read_all(path)).hexdigest()]
        for name, place in places.items()
        for path in _files(place)
    ]
    return sha256(json.dumps([sorted(files), sorted(packages.items())]).encode()).hexdigest()


def _files(place: Path) -> Iterator[Path]:
    """All that may decide something: neither what Python compiled, nor what an editor or a desktop hides there."""
    for folder, inner, names in os.walk(place):
        inner[:] = [name for name in inner if name != "__pycache__" and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith((".pyc", "~")) and name not in UNREAD:
                yield Path(folder, name)


def _place(package: str) -> Path:
    """Where this process has it from, or would have it from."""
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise EngineError(f"the package {package} is not installed beside {Path(__file__).parents[1]}.")
    return Path(places[0])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@lru_cache(maxsize=1)
def _signature_at_start() -> _Signature:
    return _signature()


def _signature() -> _Signature:
    """What changes when a file does, without reading any."""
    found = set()
    for package in PACKAGES:
        for path in _files(_place(package)):
            try:
                told = path.stat()
            except FileNotFoundError:  # it was removed as we looked
                continue
            found.add((str(path), told.st_size, told.st_mtime_ns, told.st_ctime_ns))
    return frozenset(found)
