"""Cases of a hospital as they would have come with an artefact, and the scores of a model on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from torch import nn

from common.corruptions.corruption import Corruption, CorruptionAbilities
from common.data.cases import Cases, SiteId
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import CORRUPTIONS
from common.study.options import Entry
from experiments.withstanding.scored import Rows, Scored, beside_of, mean_of, means, rows_of, scored

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
OUTSIDE = 0.001
"""Share of values beyond black, and beyond white: a single bright pixel is no white."""


@dataclass(frozen=True)
class Curve:
    """Of one corruption. rows: by hospital its scores at SEVERITIES. beside: other scores, by their names."""

    corruption: str
    source: str
    modalities: tuple[str, ...]
    score: str
    rows: Rows
    beside: Mapping[str, Rows] = field(default_factory=dict)

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
        return means(self.rows)

    @property
    def mean_lost(self) -> float | None:
        """Of all hospitals."""
        return mean_of([one for one in map(self.lost, self.rows) if one is not None])

    @property
    def worst(self) -> SiteId | None:
        """The hospital that loses most."""
        known = {site: lost for site in self.rows if (lost := self.lost(site)) is not None}
        return max(known, key=lambda site: known[site]) if known else None


def span_of(tests: Mapping[SiteId, Cases]) -> tuple[float, float]:
    """Black and white of all the data: of every case all but a few values."""
    ends = [np.quantile(case, (OUTSIDE, 1 - OUTSIDE)) for cases in tests.values() for case in cases.pieces("inputs")]
    low, high = float(min(one for one, _ in ends)), float(max(one for _, one in ends))
    return (low, high) if high > low else (low, low + 1.0)


def are_images(cases: Cases) -> bool:
    """Whether inputs have places: two axes or three."""
    return len(cases.shape.inputs) in (3, 4)


def curve(
    entry: Entry,
    task: Task,
    network: nn.Module,
    tests: Mapping[SiteId, Cases],
    clean: Mapping[SiteId, Scored],
    span: tuple[float, float],
    seed: int,
) -> Curve:
    """Every hospital's cases at every severity, by draws of their own. clean: of severity 0, which changes nothing.

    Raises StudyError as the entry does.
    """
    corruption = cast(Corruption, CORRUPTIONS.build(entry))
    found: dict[SiteId, list[Scored]] = {}
    for site, cases in tests.items():
        worse = (
            corrupted(cases, corruption, severity, span, (seed, site, entry.name)) for severity in SEVERITIES[1:]
        )
        found[site] = [clean[site], *(scored(task, network, one) for one in worse)]
    name = next(iter(clean.values())).name
    return Curve(entry.name, corruption.source, tuple(corruption.modalities), name, rows_of(found), beside_of(found))


def corrupted(
    cases: Cases, corruption: Corruption, severity: float, span: tuple[float, float], seed: tuple[int, str, str]
) -> Cases:
    """The same cases with the artefact, and their truth where their anatomy has moved."""
    first, *words = seed
    inputs = [
        corruption.corrupt(case, severity, span, generator(first, *words, index, "corruption"))
        for index, case in enumerate(cases.pieces("inputs"))
    ]
    changed: dict[str, Any] = {"inputs": inputs}
    if hasattr(corruption, "moved") and len(cases.columns["targets"].item) >= 2:
        able = cast(CorruptionAbilities, corruption)
        labels = [
            able.moved(case.astype(np.int64), severity, generator(first, *words, index, "corruption")).astype(
                case.dtype
            )
            for index, case in enumerate(cases.pieces("targets"))
        ]
        changed["targets"] = labels
    return cases.with_columns(**changed)
