"""Plug-ins run from the bytes that were digested.

Python by itself takes what else lies there: a compiled file whose source says something else (`__pycache__`, which it
need not even compare), a library beside the source that has the same name, or what was written there since. None of
it is in the digest that somebody approved, so none of it is run in the place of a file that is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from common.study.plugin_files import Files

INITIAL = "__init__.py"


class _Digested(SourceFileLoader):
    """The source at `path` as it was when it was digested."""

    def __init__(self, name: str, path: str, code: bytes) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        """Compiled here, and from these bytes."""
        code: CodeType = compile(self._code, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    """Finds modules of plug-ins; another package of that name that Python would find first stays first."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Files, Path, bytes]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None where the name is no plug-in's, or another's before."""
        if fullname not in self.held:
            return None
        files, place, code = self.held[fullname]
        if path is None:
            other = self._found_by_others(fullname, target)
            if other is not None and not _lies_in(other, files.root):
                return other
        elif not any(Path(one).is_relative_to(files.root) for one in path):
            return None
        inner = [str(place.parent)] if place.name == INITIAL else None
        loader = _Digested(fullname, str(place), code)
        return spec_from_file_location(fullname, place, loader=loader, submodule_search_locations=inner)

    def _found_by_others(self, name: str, target: ModuleType | None) -> ModuleSpec | None:
        others = (one.find_spec(name, None, target) for one in sys.meta_path if one is not self)
        return next((spec for spec in others if spec is not None), None)


_FINDER = _Finder()


def import_from(files: Files, name: str = "") -> None:
    """What is imported of these files from now on is what was digested. name: of `files.path`, if it is a module."""
    if name:
        _FINDER.held[name] = files, files.path, files.code
    for dotted, path in files.modules.items():
        _FINDER.held[dotted] = files, path, files.others[path.relative_to(files.root).as_posix()]
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def spec_of(name: str) -> ModuleSpec | None:
    """Where a module is, found without importing the packages that it is in; None where nothing is found so."""
    top, *inner = name.split(".")
    spec, dotted = find_spec(top), top
    for part in inner:
        loaded = sys.modules.get(dotted)
        path = getattr(loaded, "__path__", None) if loaded else spec.submodule_search_locations if spec else None
        if path is None:
            return None
        dotted = f"{dotted}.{part}"
        found = (one.find_spec(dotted, path) for one in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
    return spec


def _lies_in(spec: ModuleSpec, root: Path) -> bool:
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(Path(one).is_relative_to(root) for one in places if one)
