"""Extension by file name: a package's files are its entries, and a file is imported only when it is used.

A file `common/tasks/segmentation.py` is the task `segmentation`. It ends by binding its class to the kind's
word, `task: type[Task] = Segmentation`; the fields of that frozen dataclass are its options. Files that begin
with an underscore are helpers, not entries. The package is named by a word, not imported from here, so the
layers stay apart: nothing of a hospital's code is loaded until a study names it.
"""

from __future__ import annotations

import ast
import pkgutil
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.options import Entry, build
from common.spelling import unknown


@dataclass(frozen=True)
class Catalogue:
    """Entries of one kind. `kind` is the word for messages and the name each file binds."""

    kind: str
    package: str

    def names(self) -> tuple[str, ...]:
        """Names of all entries, sorted; nothing is imported but the package itself."""
        paths = import_module(self.package).__path__
        return tuple(sorted(m.name for m in pkgutil.iter_modules(paths) if not m.name.startswith("_")))

    def load(self, name: str) -> Any:
        """The class of entry `name`. Raises UnknownNameError with the nearest name."""
        if name not in self.names():
            raise unknown(self.kind, name, self.names())
        module = import_module(f"{self.package}.{name}")
        if not hasattr(module, self.kind):
            raise StudyError(f"{module.__name__} binds no '{self.kind}': end it with `{self.kind} = YourClass`.")
        return getattr(module, self.kind)

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


TASKS = Catalogue("task", "common.tasks")
NETWORKS = Catalogue("network", "common.networks")
AGGREGATIONS = Catalogue("aggregation", "common.aggregation")
SOURCES = Catalogue("source", "client.sources")
PARTITIONS = Catalogue("partition", "client.partitions")
MECHANISMS = Catalogue("mechanism", "common.privacy.mechanisms")
STRATEGIES = Catalogue("strategy", "server.strategies")
