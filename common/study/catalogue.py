"""Extension by file name: a package's files are its entries, and a file is imported only when it is used.

A file `common/learning/tasks/segmentation.py` is the task `segmentation`. It ends by binding its class to the kind's
word, `task: type[Task] = Segmentation`; the fields of that frozen dataclass are its options. Files that begin
with an underscore are helpers, not entries. The package is named by a word, not imported from here, so the
layers stay apart: nothing of a hospital's code is loaded until a study names it.

Wherever a study names an entry, it may name a plug-in instead: `common/study/plugins.py`.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.extras import needed_by
from common.learning.abilities import NAMES as ABILITIES
from common.study.options import Entry, build
from common.study.plugins import Reference
from common.study.spelling import unknown


@dataclass(frozen=True)
class Catalogue:
    """Entries of one kind. `kind` is the word for messages and the name each file binds.

    role: `module:Protocol` that a plug-in must fit; "" for a kind that takes none. optional: members that it
    may have, of the role or beside it, and may lack.
    """

    kind: str
    package: str
    role: str = ""
    optional: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Names of all entries of ours, sorted; nothing is imported but the package itself."""
        paths = import_module(self.package).__path__
        return tuple(sorted(m.name for m in pkgutil.iter_modules(paths) if not m.name.startswith("_")))

    def plugged(self) -> Mapping[str, str]:
        """Entry points of installed packages, `module:Name` by name, none of them imported. Our names stay ours."""
        if not self.role:
            return {}
        found = entry_points(group=f"wardround.{self.plural}")
        return {one.name: one.value for one in sorted(found) if one.name not in self.names()}

    @property
    def plural(self) -> str:
        """The kind's word for several."""
        return f"{self.kind.removesuffix('y')}ies" if self.kind.endswith("y") else f"{self.kind}s"

    def load(self, name: str) -> Any:
        """The class of entry `name`. Raises UnknownNameError with the nearest name, StudyError for a bad plug-in."""
        if name not in self.names():
            return self._plug_in(name)
        with needed_by(f"{self.kind} {name!r}"):
            module = import_module(f"{self.package}.{name}")
        if not hasattr(module, self.kind):
            raise StudyError(f"{module.__name__} binds no '{self.kind}': end it with `{self.kind} = YourClass`.")
        return getattr(module, self.kind)

    def digest(self, name: str) -> str | None:
        """SHA-256 of a plug-in's file, hexadecimal; None of an entry of ours, which the program's version covers."""
        return None if name in self.names() else self._reference(name).digest()

    def build(self, entry: Entry) -> Any:
        """The object an entry describes, its options checked."""
        return build(self.load(entry.name), entry.options, f"{self.kind} {entry.name!r}")

    def options(self, name: str) -> tuple[str, ...]:
        """Names of the options of entry `name`."""
        return tuple(field.name for field in fields(self.load(name)) if field.init)

    def summary(self, name: str) -> str:
        """First line of the entry's docstring, read without importing it."""
        if name not in self.names():
            raise unknown(self.kind, name, self.names())
        spec = find_spec(f"{self.package}.{name}")
        assert spec is not None and spec.origin is not None
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
        return (text or "").partition("\n")[0]

    def _reference(self, name: str) -> Reference:
        plugged = {} if Reference.of(name) else self.plugged()
        found = Reference.of(plugged.get(name, name)) if self.role else None
        if found is None:
            raise unknown(self.kind, name, (*self.names(), *plugged))
        return found

    def _plug_in(self, name: str) -> Any:
        loaded = self._reference(name).value(self.kind)
        if not isinstance(loaded, type):
            raise StudyError(f"{self.kind} {name!r} is no class, but {type(loaded).__name__}.")
        missing = [each for each in self._members() if not _has(loaded, each)]
        if missing:
            lacking = ", ".join(missing)
            raise StudyError(f"{self.kind} {name!r} lacks {lacking}: see {self.plural} in CONTRIBUTING.md.")
        if not is_dataclass(loaded):
            raise StudyError(f"{self.kind} {name!r} must be a dataclass, whose fields are its options: @dataclass.")
        return loaded

    def _members(self) -> tuple[str, ...]:
        module, _, protocol = self.role.partition(":")
        role = getattr(import_module(module), protocol)
        names = {*vars(role), *role.__annotations__}
        return tuple(sorted(each for each in names if not each.startswith("_") and each not in self.optional))


def _has(cls: type, member: str) -> bool:
    """Also a field without a default, which is no attribute of the class."""
    return hasattr(cls, member) or any(member in vars(base).get("__annotations__", {}) for base in cls.__mro__)


TASKS = Catalogue("task", "common.learning.tasks", "common.learning.task:Task", ABILITIES)
NETWORKS = Catalogue("network", "common.learning.networks", "common.learning.task:Network")
AGGREGATIONS = Catalogue("aggregation", "common.sums.aggregations", "common.sums.aggregation:Aggregation")
SOURCES = Catalogue("source", "client.sources", "client.source:Source", ("pooled_statistics", "persons"))
PARTITIONS = Catalogue("partition", "client.partitions", "client.partition:Partition", ("pooled_statistics",))
MECHANISMS = Catalogue(
    "mechanism", "common.privacy.mechanisms", "common.privacy.mechanism:Mechanism", ("secret_rounding",)
)
STRATEGIES = Catalogue("strategy", "server.strategies", "server.strategy:Strategy", ("averages_companion",))
