"""What a trained network is, and what it is worth: the facts that travel with it, for machines.

They are the run's own, as its report has them. Names of hospitals, of persons and of folders stay behind: whoever
gets a model is told how many hospitals there were, and not which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import common
from common.learning.abilities import abilities, can
from common.learning.parameters import trainable
from common.study.catalogue import AUGMENTATIONS, DESIGNS, LOSSES, NETWORKS, OPERATORS, Catalogue
from common.study.options import Entry, options_of
from experiments.prediction.answers import value_name
from experiments.prediction.trained import Trained
from experiments.without_folders import without_folders
from server.reporting.folder import read_run
from server.reporting.records import Run

FORMAT = "wardround model 1"
INPUT, OUTPUT = "inputs", "answers"
LOSS = "loss"
"""The one option of a task that names an entry of another kind than a network."""
STAYS_BEHIND = ("folder",)
"""Options of a source that say where somebody's data are."""
SPLITS = ("train", "validation", "test")


def facts_of(trained: Trained) -> dict[str, Any]:
    """Plain JSON values. Raises WardroundError where the folder is no run folder any more."""
    run = read_run(trained.folder)
    found = {
        "format": FORMAT,
        "wardround": common.__version__,
        "title": trained.title,
        "description": run.about.description,
        "task": task_of(trained),
        "classes": list(trained.classes),
        "network": _network(trained),
        "preprocessing": preprocessing_of(trained),
        "training": _training(trained, run),
        "privacy": _privacy(run),
        "trusts": list(run.about.trusts),
        "scores": _scores(run),
    }
    told: dict[str, Any] = without_folders(found)
    return told


def preprocessing_of(trained: Trained) -> dict[str, Any]:
    """The study's source and all its options, defaults too, but for where the data were."""
    source = _spelled_out(trained.entries["source"], trained.source)
    return {name: value for name, value in source.items() if name not in STAYS_BEHIND}


def task_of(trained: Trained) -> dict[str, Any]:
    """The study's task, its network and all their options, defaults too: those of a later program may be others."""
    return _spelled_out(trained.entries["task"], trained.task)


def _spelled_out(entry: Entry, built: object) -> dict[str, Any]:
    given = options_of(type(built)) if is_dataclass(built) else {}
    options = {option: _plain(getattr(built, field.name), option) for option, field in given.items()}
    return {"name": entry.name, **{name: value for name, value in options.items() if value is not None}}


def _plain(value: Any, option: str = "") -> Any:
    """As TOML and JSON have it."""
    if isinstance(value, Entry):
        return _spelled_out(value, _catalogue_of(option).build(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(one, str(key)) for key, one in value.items()}
    return [_plain(one, option) for one in value] if isinstance(value, (list, tuple)) else value


def _catalogue_of(option: str) -> Catalogue:
    """Where an option's entry is from: `local_augmentation` is an augmentation."""
    last = option.rpartition("_")[2]
    return next((one for one in (LOSSES, AUGMENTATIONS, OPERATORS, DESIGNS) if one.kind == last), NETWORKS)


def _network(trained: Trained) -> dict[str, Any]:
    parameters = [parameter for _, parameter in trainable(trained.network)]
    return {
        "parameters": sum(parameter.numel() for parameter in parameters),
        "sha256": trained.model_sha256,
        "input": {"name": INPUT, "dtype": "float32", "shape": ["n", *trained.learned.shape.inputs]},
        "output": {"name": OUTPUT, "dtype": "float32", "meaning": meaning_of(trained)},
    }


def meaning_of(trained: Trained) -> str:
    """What the numbers are that the network answers, and what makes of them what a person wants to know."""
    if can(trained.task, "meaning"):
        return abilities(trained.task).meaning(value_name(trained))
    if trained.classes:
        return "one logit a class along axis 1; a softmax over that axis makes probabilities"
    return "numbers, as the study's task has them"


def _training(trained: Trained, run: Run) -> dict[str, Any]:
    table = trained.table
    return {
        "hospitals": len(run.roster.holdings) or run.about.hospitals_expected or None,
        "patients": _summed(run, "patients"),
        "cases": _summed(run, "cases"),
        "rounds": run.rounds_done,
        "state": run.about.state,
        "strategy": _named(table.get("strategy")),
        "aggregation": _named(table.get("aggregation")),
        "settings": table.get("training", {}),
        "seed": table.get("seed"),
        "engine": run.about.engine,
        "started": run.about.started,
        "seconds": run.about.seconds,
        "versions": dict(run.about.versions),
    }


def _summed(run: Run, what: str) -> dict[str, int] | None:
    """Of all hospitals together, by split; None where that was not told."""
    counts: Counter[str] = Counter()
    for holding in run.roster.holdings:
        counts.update(getattr(holding, what))
    return {name: counts[name] for name in SPLITS} if any(counts.values()) else None


def _named(entry: Any) -> Any:
    return dict(entry) if isinstance(entry, Mapping) else entry


def _privacy(run: Run) -> dict[str, Any] | None:
    """The promise, and the most that any hospital's patients have spent of it; None where there is none."""
    if run.privacy is None:
        return None
    spent = [one.epsilon for one in run.privacy.sites.values()]
    return {
        "mechanism": run.privacy.mechanism,
        "unit": run.privacy.unit,
        "epsilon": None if not spent or None in spent else max(one for one in spent if one is not None),
        "delta": run.privacy.delta,
        "relation": run.privacy.relation,
        "noise_source": run.privacy.noise_source,
        "not_covered": [asdict(one) for one in run.privacy.not_covered],
    }


def _scores(run: Run) -> dict[str, Any]:
    """Of the last model, on the patients of all hospitals together that no training saw."""
    split = next((name for name in ("test", "validation") if name in run.final and run.final[name].pooled), "")
    if not split:
        return {"split": None, "headline": run.about.headline, "values": {}}
    values = dict(run.final[split].pooled)
    return {"split": split, "headline": run.about.headline, "values": values}
