"""How a score changed over rounds, per hospital and over all, and its spread where hospitals are many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from common.data.names import SiteId
from server.reporting.records import Round, Run, Scores, SiteScores

Points = tuple[tuple[float, float | None], ...]
"""(round, value), by round; None where the value is not defined."""


@dataclass(frozen=True)
class Curves:
    """One score over rounds. split: of the cases it was measured on. pooled: over all hospitals together."""

    split: str
    sites: Mapping[SiteId, Points]
    pooled: Points

    def quantile(self, share: float) -> Points:
        """The value that a `share` of the hospitals lie under, round by round."""
        return tuple((x, float(np.quantile(ys, share)) if ys else None) for x, ys in self._by_round)

    @cached_property
    def _by_round(self) -> list[tuple[float, list[float]]]:
        """All hospitals' values, round by round."""
        values: dict[float, list[float]] = {}
        for points in self.sites.values():
            for x, y in points:
                values.setdefault(x, []).extend([] if y is None else [y])
        return sorted(values.items())


def evaluation_curves(run: Run, score: str) -> Curves:
    """The score after every evaluated round, the final model's included, on the split that rounds evaluate."""
    evaluations = [one.evaluation for one in run.rounds if one.evaluation is not None]
    split = evaluations[-1].split if evaluations else "validation"
    rows = [(one.of_round, one.sites, one.pooled) for one in evaluations if one.split == split]
    if split in run.final:
        rows = [row for row in rows if row[0] != run.model_round]
        rows.append((run.model_round, run.final[split].sites, run.final[split].pooled))
        rows.sort(key=lambda row: row[0])
    sites = {site: _points((x, scores.get(site)) for x, scores, _ in rows) for site in run.sites}
    chosen = {site: _one_score(points, score) for site, points in sites.items()}
    return Curves(split, _without_empty(chosen), _one_score(_points((x, pooled) for x, _, pooled in rows), score))


def training_curves(run: Run, score: str = "loss") -> Curves:
    """The training loss of every round; over all hospitals, weighted as the server weighted them."""
    sites = {site: _points((one.number, one.training.get(site)) for one in run.rounds) for site in run.sites}
    chosen = {site: _one_score(points, score) for site, points in sites.items()}
    pooled = tuple((float(one.number), training_mean(one, score)) for one in run.rounds)
    return Curves("train", _without_empty(chosen), pooled)


def training_mean(one: Round, name: str) -> float | None:
    """A training score over all hospitals: as their sum says, or from the single ones where they are known."""
    return one.training_of_all[name] if name in one.training_of_all else weighted_mean(one.training, one, name)


def weighted_mean(scores: SiteScores, one: Round, name: str) -> float | None:
    """The mean over hospitals that have the score; where no weight is known each counts once."""
    pairs = [(entry[name], one.weights.get(site, 0.0)) for site, entry in scores.items() if name in entry]
    if not pairs:
        return None
    total = sum(weight for _, weight in pairs)
    if total <= 0:
        return sum(value for value, _ in pairs) / len(pairs)
    return sum(value * weight for value, weight in pairs) / total


def _points(rows: Iterable[tuple[int, Scores | None]]) -> list[tuple[int, Scores]]:
    return [(x, scores) for x, scores in rows if scores is not None]


def _one_score(rows: Iterable[tuple[int, Scores]], name: str) -> Points:
    return tuple((float(x), scores.get(name)) for x, scores in rows)


def _without_empty(curves: Mapping[SiteId, Points]) -> dict[SiteId, Points]:
    return {site: points for site, points in curves.items() if any(y is not None for _, y in points)}
