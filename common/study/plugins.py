"""Plug-ins: code that is not ours, which a study names by module, by file or by entry point, and who may run it here.

    source = "my_hospital.sources"          what the module binds to the kind's word, `source`
    source = "my_hospital.sources:Ward"     a class of it
    source = "ward:"                        the same where the module's name is one word, as an entry of ours has
    source = "ward.py:Ward"                 a class of a file beside the study
    source = "ward"                         an entry point of the group `wardround.sources`

To import is to run. So nothing is imported unless whoever began the work has said so, for as long as a block lasts:

    with trusting(ANYTHING):                a researcher's own study, on the researcher's own machine
    with trusting(policy.trust):            a hospital: the modules that its own policy lists, and no file

Outside of such a block, as where a run folder of somebody else is read, every plug-in is refused by name. What was
imported is known by the SHA-256 of its file, and of those of its own folder or package that it imports
(`common/study/plugin_files.py`), which the study then carries (`Study.plugins`): a plug-in that has changed since is
refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.metadata import packages_distributions, version
from pathlib import Path
from traceback import extract_tb
from types import FunctionType, ModuleType
from typing import Any

from common.errors import FileError, StudyError
from common.files.access import read_all
from common.study.plugin_files import LARGEST_BYTES, Files, files_of_file, files_of_module
from common.study.plugin_import import import_from, spec_of
from common.study.spelling import unknown

_FILE = re.compile(r"(?P<place>[^\0\n*?\[\]]*\.py)(?::(?P<attribute>[^\W\d]\w*))?")
_MODULE = re.compile(r"(?P<place>[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::(?P<attribute>[^\W\d]\w*)?)?")


@dataclass(frozen=True)
class Trust:
    """What may be imported. files: by path. modules: exactly these; None: any. digests: of those that may be imported
    in one version only. remedy: what to do where it is not. models: the folder of model files that were installed
    here; None where there is none.
    """

    files: bool = False
    modules: tuple[str, ...] | None = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    remedy: str = "Code is run only where whoever began the work has agreed to it."
    models: Path | None = None


ANYTHING = Trust(files=True, modules=None)
NOTHING = Trust()
_trust: ContextVar[Trust] = ContextVar("plug-ins that may be imported", default=NOTHING)
_used: ContextVar[dict[str, str] | None] = ContextVar("plug-ins that were used", default=None)
_expected: ContextVar[tuple[Mapping[str, str], str]] = ContextVar("digests of plug-ins", default=({}, ""))
_digests: dict[str, str] = {}
"""Of modules, as this process first saw them: Python imports each once, whatever becomes of its file."""
_neighbours: dict[str, tuple[Path, bytes]] = {}
"""Modules that files imported from beside them, with what was in them: two plug-ins may each have a `helper.py`."""
_folders: set[str] = set()
"""Folders of plug-ins, which stay on the path for what they import while they run."""


def current_trust() -> Trust:
    """What whoever began the work has agreed to."""
    return _trust.get()


@contextmanager
def trusting(trust: Trust) -> Iterator[None]:
    """Plug-ins that `trust` allows may be imported while the block lasts, by this thread."""
    token = _trust.set(trust)
    try:
        yield
    finally:
        _trust.reset(token)


@contextmanager
def noted() -> Iterator[dict[str, str]]:
    """The digests of all plug-ins that are used while the block lasts, by module or path."""
    used: dict[str, str] = {}
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


@contextmanager
def expecting(known: object, since: str) -> Iterator[None]:
    """A plug-in with another digest than it has in `known`, by module or path, is not run while the block lasts.

    since: what it was known from, for whoever is told. `known` may come from a file: what is no table says nothing.
    """
    token = _expected.set((known if isinstance(known, Mapping) else {}, since))
    try:
        yield
    finally:
        _expected.reset(token)


@dataclass(frozen=True)
class Reference:
    """place: a module's dotted name, or a file's path. attribute: a name in it; "" for what a kind's word binds."""

    place: str
    attribute: str
    is_file: bool

    @classmethod
    def of(cls, text: str) -> Reference | None:
        """What `text` refers to; None where it is a plain name, such as of an entry of ours."""
        file = _FILE.fullmatch(text)
        if file is not None:
            return cls(file["place"], file["attribute"] or "", True)
        module = _MODULE.fullmatch(text)
        if module is None or not set(".:") & set(text):
            return None
        return cls(module["place"], module["attribute"] or "", False)

    def digest(self) -> str:
        """SHA-256 of the plug-in's files, hexadecimal. Imports nothing."""
        return self.files().digest

    def module(self) -> ModuleType:
        """The module, imported. Raises StudyError where it is not allowed, not there, or fails, with its error."""
        files = self.files()
        with _telling(self.place):
            if self.is_file:
                return _module_of_file(files)
            import_from(files, self.place)
            return import_module(self.place)

    def value(self, default: str) -> Any:
        """What the reference names, or what is bound to `default` where it names only a module or a file."""
        module, name = self.module(), self.attribute or default
        if hasattr(module, name):
            return getattr(module, name)
        own = [key for key, value in vars(module).items() if _is_of(value, module) and not key.startswith("_")]
        if self.attribute:
            raise unknown(f"name in {self.place}", name, own)
        example = f"{self.place}:{own[0] if own else 'YourClass'}"
        raise StudyError(
            f"{self.place} binds no {default!r}: name a class of it, {example!r}, or end it with "
            f"`{default} = {own[0] if own else 'YourClass'}`."
        )

    def files(self) -> Files:
        """Where the file is, what is in it and what it imports from beside it, once it may be used; noted."""
        trust = self._demand_trust()
        origin = Path(self.place if self.is_file else _origin(self.place))
        code = _read(self.place, origin)
        files = files_of_file(origin, code) if self.is_file else files_of_module(self.place, origin, code)
        digest = files.digest
        if trust.digests.get(self.place, digest) != digest:
            raise StudyError(
                f"module {self.place!r} was not run: here it is the version {digest}, and what may be run is "
                f"{trust.digests[self.place]}. {trust.remedy}"
            )
        if not self.is_file and _digests.setdefault(self.place, digest) != digest:
            raise StudyError(f"{self.place} has changed since this process imported it: start Python again.")
        known, since = _expected.get()
        if known.get(self.place, digest) != digest:
            raise StudyError(
                f"plug-in {self.place} is not the one that {since}: its file has changed, or another version is "
                "installed here. Put that back, or begin a new run."
            )
        used = _used.get()
        if used is not None:
            used[self.place] = digest
        return files

    def _demand_trust(self) -> Trust:
        trust = _trust.get()
        allowed = trust.files if self.is_file else trust.modules is None or self.place in trust.modules
        if not allowed:
            kind = "file" if self.is_file else "module"
            raise StudyError(
                f"the study names code of its own, {kind} {self.place!r}, which was not run. {trust.remedy}"
            )
        return trust


def resolved(text: str, folder: Path) -> str:
    """`text` with the absolute path of a file it refers to: from `folder`, or from here if it is only here."""
    found = Reference.of(text)
    if found is None or not found.is_file:
        return text
    path = Path(found.place).expanduser()
    place = folder / path
    if not place.exists() and path.exists():
        place = path
    return os.path.abspath(place) + (f":{found.attribute}" if found.attribute else "")  # noqa: PTH100 - links stay


def origin_of(module: str) -> str:
    """Words for the installed package that a module comes from, with its version: " of my-hospital 1.2"; or ""."""
    names = packages_distributions().get(module.partition(".")[0], [])
    return f" of {' and '.join(f'{name} {version(name)}' for name in sorted(set(names)))}" if names else ""


def _read(place: str, path: Path) -> bytes:
    try:
        return read_all(path, LARGEST_BYTES)
    except FileError as error:
        there = "" if path.exists() else " A relative path begins at the folder of the study's file."
        raise StudyError(f"plug-in {place}: {error}{there}") from error


def _origin(name: str) -> str:
    """The file of a module. Raises StudyError where there is none."""
    with _telling(name):
        try:
            spec = spec_of(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            spec = None
    if spec is None:
        raise StudyError(
            f"there is no module {name!r} here: install it, or have PYTHONPATH name its folder; a file is named by "
            f"its path, '{name.replace('.', '/')}.py:YourClass'."
        )
    if spec.origin is None or not spec.has_location:
        raise StudyError(f"module {name!r} has no file of its own: name a module that binds a class.")
    return spec.origin


def _module_of_file(files: Files) -> ModuleType:
    """The very bytes that were digested are run. Files beside it can be imported by it, after everything else."""
    path = files.path
    name = f"wardround_plugin_{path.stem}_{sha256(str(path).encode() + files.digest.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        with _its_neighbours_found(files):
            import_from(files)
            exec(compile(files.code, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _its_neighbours_found(files: Files) -> Iterator[None]:
    """While the block lasts, imports find the files beside this plug-in, as they are now, and not another's."""
    for dotted, (path, code) in list(_neighbours.items()):
        wanted = files.modules.get(dotted)
        if wanted is not None and (path, code) != (wanted, files.others[_place_of(wanted, files)]):
            sys.modules.pop(dotted, None)
            del _neighbours[dotted]
    folder, before = str(files.path.parent), list(sys.path)
    sys.path[:] = [*(one for one in before if one not in _folders), folder]
    invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        if folder not in before:
            _folders.add(folder)
            sys.path.append(folder)
        for dotted, path in files.modules.items():
            if getattr(sys.modules.get(dotted), "__file__", None) == str(path):
                _neighbours[dotted] = path, files.others[_place_of(path, files)]


def _place_of(path: Path, files: Files) -> str:
    return path.relative_to(files.root).as_posix()


@contextmanager
def _telling(place: str) -> Iterator[None]:
    """Whatever code that is not ours raises becomes one line with its place."""
    try:
        yield
    except (Exception, SystemExit) as error:
        line = ""
        with suppress(IndexError):
            last = extract_tb(error.__traceback__)[-1]
            line = f", line {last.lineno} of {last.filename}" if last.filename != __file__ else ""
        raise StudyError(f"plug-in {place} cannot be imported: {type(error).__name__}: {error}{line}.") from error


def _is_of(value: object, module: ModuleType) -> bool:
    return isinstance(value, type | FunctionType) and value.__module__ == module.__name__
