"""What a tracker is told of a run: settings, and numbers by name and round. No case, no picture, no patient's name.

A tracker can be a server elsewhere. So it gets what the coordinator knows of the run as numbers, and the study's
text; the report, which in a simulation shows patients' images, stays in the run folder.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from common.data.names import SiteId
from experiments.without_folders import without_folder, without_folders
from server.reporting.records import Evaluation, Round, Run, Scores


@dataclass(frozen=True)
class Scalar:
    """name: such as `validation/dice` or `validation by hospital/north/dice`. round: that the value is of."""

    name: str
    round: int
    value: float


class Tracker(Protocol):
    """Where a run is told. Its methods are called from one thread, in this order."""

    def begin(self, title: str, name: str, settings: Mapping[str, str]) -> None:
        """A run begins. name: of its folder."""
        ...

    def log(self, scalars: list[Scalar]) -> None:
        """More numbers."""
        ...

    def end(self, state: str, facts: Mapping[str, str]) -> None:
        """The run is over. facts: its model's digest, versions."""
        ...


def settings_of(study_text: str) -> dict[str, str]:
    """Every setting of a study by its dotted name, but for keys and where data lie; {} of a text that is no TOML.

    Of a plug-in's or model's path the last part: folders are called after persons and projects.
    """
    try:
        table = tomllib.loads(study_text)
    except (ValueError, RecursionError):
        return {}
    for name, hidden in {"federation": "roster", "source": "folder"}.items():
        if isinstance(table.get(name), dict):
            table[name].pop(hidden, None)
    return dict(_flat(table, ""))


def scalars_of_round(one: Round) -> list[Scalar]:
    """Training's numbers of a round, and the scores of the model that it began from."""
    found = [Scalar(f"train/{name}", one.number, value) for name, value in one.training_of_all.items()]
    for site, scores in one.training.items():
        found += _of_site("train", site, one.number, scores)
    found += [Scalar(f"round/{name} seconds", one.number, value) for name, value in one.seconds.items()]
    for name, number in {"bytes received": one.received, "bytes sent": one.sent}.items():
        found.append(Scalar(f"round/{name}", one.number, number))
    found.append(Scalar("round/hospitals", one.number, len(one.contributed)))
    return found if one.evaluation is None else [*found, *_of_evaluation(one.evaluation)]


def scalars_of_end(run: Run) -> list[Scalar]:
    """The final scores, and what was spent of a promise."""
    done = run.rounds_done
    found = [
        scalar
        for split, scores in run.final.items()
        for scalar in _of_evaluation(Evaluation(run.model_round, split, scores.sites, scores.pooled), prefix="final ")
    ]
    if run.privacy is not None:
        spent = [one.epsilon for one in run.privacy.sites.values() if one.epsilon is not None]
        found += [Scalar("privacy/largest epsilon", done, max(spent))] if spent else []
    return found


def facts_of(run: Run) -> dict[str, str]:
    """What is known at the end that is no number."""
    versions = {f"version of {name}": version for name, version in run.about.versions.items()}
    return {"model_sha256": run.about.model_sha256, "state": run.about.state, "seed": run.about.seed, **versions}


def in_a_line(error: Exception) -> str:
    """A foreign library's error, its kind and the beginning of its words."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _of_evaluation(one: Evaluation, prefix: str = "") -> list[Scalar]:
    word = f"{prefix}{one.split}"
    found = [Scalar(f"{word}/{name}", one.of_round, value) for name, value in one.pooled.items()]
    for site, scores in one.sites.items():
        found += _of_site(word, site, one.of_round, scores)
    return found


def _of_site(word: str, site: SiteId, number: int, scores: Scores) -> list[Scalar]:
    return [Scalar(f"{word} by hospital/{site}/{name}", number, value) for name, value in scores.items()]


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = f"{prefix}{without_folder(key)}"
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{name}.")
        else:
            told = without_folders(inner)
            yield name, told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, default=str)
