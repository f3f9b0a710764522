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
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.extras import needed_by
from common.study.fitting import Role, fitted
from common.study.options import Entry, build, options_of
from common.study.plugins import Reference
from common.study.spelling import unknown


@dataclass(frozen=True)
class Catalogue:
    """Entries of one kind. `kind` is the word for messages and the name each file binds.

    package: "" for a kind of which there are none of ours. role: `module:Protocol` that a plug-in must fit. optional:
    members of the role that it may lack. beside: `module:Protocol` of members that it may have as well. plain:
    `module:function` that makes an entry's class of something plainer, such as an nn.Module's class, or gives None.
    known: the names, where they must be known without the package.
    """

    kind: str
    package: str
    role: str
    optional: tuple[str, ...] = ()
    beside: str = ""
    plain: str = ""
    known: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Names of all entries of ours, sorted; nothing is imported but the package itself."""
        if self.known or not self.package:
            return self.known
        return _files_of(tuple(import_module(self.package).__path__))

    def plugged(self) -> Mapping[str, str]:
        """Entry points of installed packages, `module:Name` by name, none of them imported. Our names stay ours."""
        return {one.name: one.value for one in self._points()}

    def origins(self) -> Mapping[str, str]:
        """The package and version that each of `plugged` comes from, such as "my-hospital 1.2"."""
        return {one.name: f"{one.dist.name} {one.dist.version}" if one.dist else "" for one in self._points()}

    def has(self, name: str) -> bool:
        """Whether `name` is of an entry of ours, of an entry point, or refers to a module or file."""
        return name in self.names() or Reference.of(name) is not None or name in self.plugged()

    def _points(self) -> list[EntryPoint]:
        ours = self.names()
        return [one for one in sorted(entry_points(group=f"wardround.{self.plural}")) if one.name not in ours]

    @property
    def plural(self) -> str:
        """The kind's word for several."""
        word = self.kind
        if word.endswith("sis"):
            return f"{word.removesuffix('is')}es"
        if word.endswith("y"):
            return f"{word.removesuffix('y')}ies"
        return f"{word}es" if word.endswith("s") else f"{word}s"

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
        """SHA-256 of a plug-in's files, hexadecimal; None of an entry of ours, which the program's version covers."""
        return None if name in self.names() else self._reference(name).digest()

    def build(self, entry: Entry) -> Any:
        """The object an entry describes, its options checked."""
        return build(self.load(entry.name), entry.options, f"{self.kind} {entry.name!r}")

    def options(self, name: str) -> tuple[str, ...]:
        """Names of the options of entry `name`."""
        return tuple(options_of(self.load(name)))

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
        found = Reference.of(plugged.get(name, name))
        if found is None:
            raise unknown(self.kind, name, (*self.names(), *plugged))
        return found

    def _plug_in(self, name: str) -> Any:
        loaded = self._reference(name).value(self.kind)
        made = _named(self.plain)(loaded, name) if self.plain else None
        return fitted(loaded, name, self._role()) if made is None else made

    def _role(self) -> Role:
        beside = _named(self.beside) if self.beside else None
        return Role(self.kind, self.plural, _named(self.role), self.optional, beside)


@cache
def _files_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    """A study asks for names some hundred times."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(paths) if not (m.ispkg or m.name.startswith("_"))))


def _named(place: str) -> Any:
    """What `module:name` refers to."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


TASKS = Catalogue(
    "task", "common.learning.tasks", "common.learning.task:Task", beside="common.learning.abilities:Abilities"
)
NETWORKS = Catalogue(
    "network",
    "common.learning.networks",
    "common.learning.task:Network",
    ("has_weights",),
    plain="common.learning.plain_network:plain_network",
)
AUGMENTATIONS = Catalogue(
    "augmentation", "common.selfsupervision.augmentations", "common.selfsupervision.augmentation:Augmentation"
)
OPERATORS = Catalogue(
    "operator", "common.reconstruction.operators", "common.reconstruction.imaging_operator:Operator"
)
REGULARISERS = Catalogue(
    "regulariser", "common.reconstruction.regularisers", "common.reconstruction.regulariser:Regulariser"
)
METHODS = Catalogue("method", "common.reconstruction.methods", "common.reconstruction.problem:Method")
DESIGNS = Catalogue("design", "common.reconstruction.designs", "common.reconstruction.design:Design")
LOSSES = Catalogue(
    "loss",
    "common.reconstruction.losses",
    "common.learning.own_loss:Loss",
    beside="common.learning.own_loss:LossAbilities",
    plain="common.learning.own_loss:plain_loss",
)
ATTRIBUTIONS = Catalogue(
    "attribution",
    "common.attribution.methods",
    "common.attribution.attribution:Attribution",
    beside="common.attribution.attribution:AttributionAbilities",
)
PERTURBATIONS = Catalogue(
    "perturbation", "common.adversarial.perturbations", "common.adversarial.perturbation:Perturbation"
)
RECIPES = Catalogue("recipe", "common.adversarial.recipes", "common.adversarial.recipe:Recipe")
CORRUPTIONS = Catalogue(
    "corruption",
    "common.corruptions.artefacts",
    "common.corruptions.corruption:Corruption",
    beside="common.corruptions.corruption:CorruptionAbilities",
)
AGGREGATIONS = Catalogue(
    "aggregation",
    "common.sums.aggregations",
    "common.sums.aggregation:Aggregation",
    beside="common.sums.abilities:AggregationAbilities",
)
SOURCES = Catalogue(
    "source",
    "client.sources",
    "client.source:Source",
    ("pooled_statistics", "persons"),
    beside="client.source_abilities:SourceAbilities",
)
PARTITIONS = Catalogue("partition", "client.partitions", "client.partition:Partition", ("pooled_statistics",))
MECHANISMS = Catalogue(
    "mechanism",
    "common.privacy.mechanisms",
    "common.privacy.mechanism:Mechanism",
    beside="common.privacy.abilities:MechanismAbilities",
)
ANALYSES = Catalogue(
    "analysis",
    "common.analyses",
    "common.asking.analysis:Analysis",
    beside="common.asking.abilities:AnalysisAbilities",
)
STRATEGIES = Catalogue(
    "strategy", "server.strategies", "server.strategy:Strategy", beside="server.strategy:StrategyAbilities"
)
ENGINES = Catalogue(
    "engine",
    "experiments.engines",
    "experiments.engine:Engine",
    known=("deployment", "inline", "nodes", "processes", "simulation"),
)
