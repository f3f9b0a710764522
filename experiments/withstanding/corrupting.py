"""Cases of a hospital as they would have come with an artefact, and the scores of a model on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.corruptions.corruption import Corruption, CorruptionAbilities
from common.data.cases import Cases, SiteId
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import CORRUPTIONS
from common.study.options import Entry
from experiments.withstanding.scored import scored

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
OUTSIDE = 0.001
"""Share of values beyond black, and beyond white: a single bright pixel is no white."""


@dataclass(frozen=True)
class Curve:
    """Of one corruption. rows: by hospital its scores at SEVERITIES, None where there are none."""

    corruption: str
    source: str
    modalities: tuple[str, ...]
    score: str
    rows: Mapping[SiteId, tuple[float | None, ...]]

    def lost(self, site: SiteId) -> float | None:
        """Degradation: which share of the score at severity 0 is lost, on average over the others."""
        first, *others = self.rows[site]
        known = [one for one in others if one is not None]
        if first is None or not first > 0 or not known:
            return None
        return 1 - sum(known) / len(known) / first

    @property
    def mean(self) -> tuple[float | None, ...]:
        """Over hospitals, each counting one."""
        columns = zip(*self.rows.values(), strict=True)
        return tuple(_mean([one for one in column if one is not None]) for column in columns)

    @property
    def mean_lost(self) -> float | None:
        """Of all hospitals."""
        return _mean([one for one in map(self.lost, self.rows) if one is not None])

    @property
    def worst(self) -> SiteId | None:
        """The hospital that loses most."""
        known = {site: lost for site in self.rows if (lost := self.lost(site)) is not None}
        return max(known, key=lambda site: known[site]) if known else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def span_of(tests: Mapping[SiteId, Cases]) -> tuple[float, float]:
    """Black and white of all the data: of every case all but a few values."""
    ends = [np.quantile(case, (OUTSIDE, 1 - OUTSIDE)) for cases in tests.values() for case in cases.pieces("inputs")]
    low, high = float(min(one for one, _ in ends)), float(max(one for _, one in ends))
    return (low, high) if high > low else (low, low + 1.0)


def are_images(cases: Cases) -> bool:
    """Whether inputs have places: two axes or three."""
    return len(cases.shape.inputs) in (3, 4)


def curve(
    entry: Entry, task: Task, network: nn.Module, tests: Mapping[SiteId, Cases], span: tuple[float, float], seed: int
) -> Curve:
    """Every hospital's cases at every severity, by draws of their own. Raises StudyError as the entry does."""
    corruption = cast(Corruption, CORRUPTIONS.build(entry))
    name, rows = task.headline, {}
    for site, cases in tests.items():
        found = []
        for severity in SEVERITIES:
            name, value = scored(
                task, network, corrupted(cases, corruption, severity, span, (seed, site, entry.name))
            )
            found.append(value)
        rows[site] = tuple(found)
    return Curve(entry.name, corruption.source, tuple(corruption.modalities), name, rows)


def corrupted(
    cases: Cases, corruption: Corruption, severity: float, span: tuple[float, float], seed: tuple[int, str, str]
) -> Cases:
    """The same cases with the artefact, and their truth where their anatomy has moved."""
    first, *words = seed
    inputs = [
        corruption.corrupt(case, severity, span, generator(first, *words, index, "corruption"))
        for index, case in enumerate(cases.pieces("inputs"))
    ]
    changed: dict[str, Any] = {"inputs": _column(inputs)}
    if hasattr(corruption, "moved") and len(cases.columns["targets"].item) >= 2:
        able = cast(CorruptionAbilities, corruption)
        labels = [
            able.moved(case.astype(np.int64), severity, generator(first, *words, index, "corruption")).astype(
                case.dtype
            )
            for index, case in enumerate(cases.pieces("targets"))
        ]
        changed["targets"] = _column(labels)
    return cases.with_columns(**changed)


def _column(values: list[NDArray[Any]]) -> NDArray[Any] | list[NDArray[Any]]:
    return np.stack(values) if len({one.shape for one in values}) == 1 else values
