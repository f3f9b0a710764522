"""The files of a plug-in: the one that is named, and those of its own folder or package that it imports.

They are found by reading `import` lines, from file to file, and importing nothing. What is imported by a name that
is only made while the code runs is not found; nor is what belongs to Python, to this program or to another package,
which their versions stand for.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath

from common.errors import FileError, StudyError
from common.files.access import read_all

LARGEST_BYTES = 1 << 26
MOST_FILES = 4000
OURS = frozenset({"common", "client", "server", "experiments", "wardround"})
VERSIONED = frozenset({"torch", "numpy", "scipy", "sklearn", "torchvision", "pandas"})
"""Packages so large that their version, which a run writes down, stands for their files."""
DISTRIBUTED = {"sklearn": "scikit_learn"}
"""Packages whose distribution has another name."""
NOT_FOLLOWED = OURS | VERSIONED | sys.stdlib_module_names
INSTALLED = frozenset(
    Path(place).resolve() for key, place in sysconfig.get_paths().items() if key in ("purelib", "platlib", "stdlib")
)
"""Folders where modules of many packages lie side by side: a file there is no neighbour of another."""


@dataclass(frozen=True)
class Files:
    """code: of the file that is named. beside: the bytes of the others, by their paths from `root`. blank: of those
    that say nothing, as an `__init__.py` often does, and are in no digest.
    """

    path: Path
    code: bytes
    root: Path
    beside: Mapping[str, bytes] = field(default_factory=dict)
    blank: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal: of the one file, or of the digests of all with their places in the folder."""
        own = sha256(self.code).hexdigest()
        if not self.beside:
            return own
        lines = [f"{own}\n", *(f"{sha256(code).hexdigest()} {name}\n" for name, code in sorted(self.beside.items()))]
        return sha256("".join(lines).encode()).hexdigest()

    @property
    def others(self) -> Mapping[str, bytes]:
        """All files but the one that is named."""
        return {**self.blank, **self.beside}

    @property
    def modules(self) -> Mapping[str, Path]:
        """The other files by the names that they are imported by; a package hides a file of its name, as ever."""
        files_first = sorted(self.others, key=lambda name: name.endswith("/__init__.py"))
        return {_dotted(name): self.root / name for name in files_first}


def files_of_file(path: Path, code: bytes) -> Files:
    """Of a plug-in that is named by its path: whatever it imports from its folder."""
    return _followed(path, code, path.parent, None)


def files_of_module(name: str, path: Path, code: bytes) -> Files:
    """Of a plug-in that is named as a module: what it imports of its package, or, if it is in none, from beside."""
    parts = name.split(".")
    inner = path.parent if path.name == "__init__.py" else path
    root = inner.parents[len(parts) - 1]
    if len(parts) == 1 and path.name != "__init__.py":
        loose = root.resolve() not in INSTALLED
        return _followed(path, code, root, None) if loose else Files(path, code, root)
    return _followed(path, code, root, parts[0])


def _followed(path: Path, code: bytes, root: Path, package: str | None) -> Files:
    """package: the only top-level name that is followed; None: any that lies in `root`."""
    own = path.relative_to(root).as_posix()
    found: dict[str, bytes] = {}
    waiting = [*_imported(own, code), *(_initial(own) if package else ())]
    while waiting:
        dotted = waiting.pop()
        top = dotted.partition(".")[0]
        if _stands_for_itself(top, root) or package not in (None, top):
            continue
        for name in _files_that_may_be(dotted):
            if name == own or name in found or not (root / name).is_file():
                continue
            found[name] = _read(root / name)
            waiting += _imported(name, found[name])
            if len(found) > MOST_FILES:
                raise StudyError(f"plug-in {path} imports more than {MOST_FILES} files of its own package.")
    blank = {name: held for name, held in found.items() if not held.strip()}
    return Files(path, code, root, {name: held for name, held in found.items() if name not in blank}, blank)


def _stands_for_itself(top: str, root: Path) -> bool:
    """Whether a version says what would be imported: a file that only has the name of a package that is not installed
    there is the plug-in's own."""
    if top not in VERSIONED:
        return top in NOT_FOLLOWED
    lies_here = (root / top).is_dir() or (root / f"{top}.py").is_file()
    return not lies_here or any(root.glob(f"{DISTRIBUTED.get(top, top)}-*.dist-info"))


def _initial(own: str) -> Iterator[str]:
    """The packages that a module is in, which are imported before it."""
    yield from (".".join(parent.parts) for parent in PurePosixPath(own).parents if parent.parts)


def _files_that_may_be(dotted: str) -> Iterator[str]:
    parts = dotted.split(".")
    for length in range(1, len(parts) + 1):
        place = "/".join(parts[:length])
        yield f"{place}/__init__.py"
        yield f"{place}.py"


def _imported(name: str, code: bytes) -> list[str]:
    """Dotted names that a file may import: `from a import b` is of a, and of a.b if that is a module."""
    package = PurePosixPath(name).parent.parts
    found = []
    for level, module, names in _lines(code):
        base = package[: len(package) - level + 1] if level else ()
        start = ".".join((*base, *((module,) if module else ())))
        found += [start, *(f"{start}.{one}" if start else one for one in names)]
    return [one for one in found if one]


@lru_cache(maxsize=8192)
def _lines(code: bytes) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """(level, module, names) of every import; none where the code cannot be read, which its import will say."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, one.name, ()) for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(one.name for one in node.names if one.name != "*")))
    return tuple(found)


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _read(path: Path) -> bytes:
    try:
        return read_all(path, LARGEST_BYTES)
    except FileError as error:
        raise StudyError(f"a file that a plug-in imports cannot be read: {error}") from error
