"""The tests of whatever a file binds: `task = Mine` gets those of tasks, with the makers that stand beside it.

def cases(): ...                of a task: tiny cases, where none of those that are made fit
shape = Shape((1, 8, 8), 2)     of a network; shape = (1, 8, 8) of an augmentation, a corruption or an operator
def make(folder): ...           of a source: fills the folder; returns the source, or its options
def spoil(folder): ...          of a source: breaks the file of one case
changes = (another_scan, ...)   of a source: each changes one person's data in the folder
wanted = (Enlargement(...), )   of a design: what it can do, where not all that are tried
shapes = ((1, 8, 8), ...)       of an attribution or a perturbation: of inputs, where not all that are tried
facts = Facts(...)              of a privacy mechanism
def records(): ...              of an analysis: tables of some hospitals, where `tiny_records` do not fit
levels = {"sex": ("f", "m")}    of an analysis: the categories of their columns
easy = ("rounds=1", ...)        of an attack: a run in which it must find something
test_options = {"task": {...}}  options of an entry that has no defaults for them, by kind
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import StudyError
from common.study import catalogue as common_catalogue
from common.study.catalogue import Catalogue
from common.study.options import Entry, build
from common.study.plugins import Reference
from common.study.spelling import unknown
from experiments import catalogue as experiments_catalogue


@dataclass(frozen=True)
class Kind:
    """tests: the class to inherit. makers: names in a person's file that take the place of the class's own. beside:
    kinds that the tests use where the same file binds them.
    """

    tests: str
    makers: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def inherited(self) -> type:
        """The class of tests."""
        tests: type = getattr(import_module("wardround.testing"), self.tests)
        return tests


CATALOGUES = {
    one.kind: one
    for module in (common_catalogue, experiments_catalogue)
    for one in vars(module).values()
    if isinstance(one, Catalogue)
}
TESTED = {
    "task": Kind("TaskTests", ("cases", "loss_left", "headline_reached")),
    "network": Kind("NetworkTests", ("shape",)),
    "loss": Kind("LossTests", ("answers",)),
    "augmentation": Kind("AugmentationTests", ("shape",)),
    "corruption": Kind("CorruptionTests", ("shape",)),
    "operator": Kind("OperatorTests", ("shape",)),
    "design": Kind("DesignTests", ("wanted",)),
    "attribution": Kind("AttributionTests", ("shapes",)),
    "perturbation": Kind("PerturbationTests", ("shapes",)),
    "recipe": Kind("RecipeTests"),
    "source": Kind("SourceTests", ("make", "spoil", "changes")),
    "partition": Kind("PartitionTests", ("persons_a_hospital",)),
    "strategy": Kind("StrategyTests"),
    "aggregation": Kind("AggregationTests", ("largest",)),
    "mechanism": Kind("MechanismTests", ("facts",)),
    "analysis": Kind("AnalysisTests", ("records", "levels")),
    "attack": Kind("AttackTests", ("budget_seconds", "easy"), ("question",)),
    "question": Kind("QuestionTests", ("findings",)),
    "adversary": Kind("AdversaryTests"),
    "engine": Kind("EngineTests", ("keeps_processes",)),
    "benchmark": Kind("BenchmarkTests"),
}
KINDS = {word: kind for word, kind in TESTED.items() if word in CATALOGUES}


def classes_of(reference: str, kind: str | None = None) -> dict[str, type]:
    """Test classes by name, one for each kind that the file binds; of `kind` alone where it is given.

    reference: a file's path, with `:Name` where a class of it is meant that no kind's word binds. Must be called, and
    the tests run, where the file is trusted. Raises StudyError where there is nothing to test.
    """
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    found = Reference.of(_absolute(reference))
    if found is None or not found.is_file:
        raise StudyError(f"{reference!r} is no Python file: name one by its path, such as mine.py.")
    if found.attribute and kind is None:
        raise StudyError(f"{reference!r} names a class; say with --kind what it is: {', '.join(KINDS)}.")
    if not Path(found.place).is_file():
        raise StudyError(f"there is no file {found.place}.")
    module = found.module()
    bound = [word for word in KINDS if hasattr(module, word)]
    wanted = [kind] if kind is not None else bound
    if not wanted:
        raise StudyError(
            f"{found.place} binds none of {', '.join(KINDS)}: end it with, for example, `task = YourClass`."
        )
    text = _absolute(reference)
    return {f"Test{word.capitalize()}": _class_of(word, text, module) for word in wanted}


def _class_of(word: str, text: str, module: ModuleType) -> type:
    kind = KINDS[word]
    inherited = kind.inherited()
    members: dict[str, Any] = {"__doc__": inherited.__doc__, "word": word}
    for name in kind.makers:
        if hasattr(module, name):
            members[name] = _maker(getattr(module, name), name)
    place = text.partition(".py:")[0] + ".py" * (".py:" in text)
    members |= {other: _built(other, place, module) for other in kind.beside if hasattr(module, other)}
    built = partial(_built, word, text, module)
    if "make" in members:
        members["make"] = staticmethod(partial(_made, getattr(module, "make"), built))  # noqa: B009 - a module's
    else:
        entry = built()
        members[word] = entry if isinstance(entry, type) or not callable(entry) else staticmethod(entry)
    return type(f"Test{word.capitalize()}", (inherited,), members)


def _maker(value: Any, name: str) -> Any:
    """Functions of a file take no self; a tuple of changes is what the class's method returns."""
    if name == "changes" and not callable(value):
        return staticmethod(lambda: tuple(value))
    return staticmethod(value) if callable(value) else value


def _made(make: Callable[[Path], Any], built: Callable[..., Any], folder: Path) -> Any:
    """A source, or options of it."""
    given = make(folder)
    return built(given) if isinstance(given, Mapping) else given


def _built(word: str, text: str, module: ModuleType, more: Mapping[str, Any] | None = None) -> Any:
    options = {**getattr(module, "test_options", {}).get(word, {}), **(more or {})}
    catalogue = CATALOGUES[word]
    if catalogue.role and word != "benchmark":
        return catalogue.build(Entry(text, options))
    found = Reference.of(text)
    assert found is not None
    value = found.value(word)
    return build(value, options, f"{word} {text!r}") if isinstance(value, type) else value


def _absolute(reference: str) -> str:
    """With the absolute path of the file, so that it is the same wherever tests are run."""
    place, colon, name = reference.rpartition(":") if ".py:" in reference else (reference, "", "")
    return f"{Path(place).expanduser().absolute()}{colon}{name}"
