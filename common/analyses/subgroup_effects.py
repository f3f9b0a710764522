"""A treatment's effect at every hospital, or in every group of patients, and whether it differs between them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._design import levels_named, words_of
from common.analyses._effect_answer import Contrasts, Found, census_numbers, contrasts_of, found_of
from common.analyses._effect_rows import SITE, census, census_sums, ready
from common.analyses._estimation import estimated, sums
from common.analyses._point_effect import PointEffect, family_told
from common.asking.analysis import Analysis, Public, Query, Told
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts
from common.asking.records import Records
from common.causality.contrasts import Interval, quantile
from common.causality.effects import GROUP, Method, blocks_of, means
from common.causality.regressions import Family
from common.errors import AnalysisError, StudyError

FEWEST_IN_AN_ARM = 2
GROUPS = "groups"


@dataclass(frozen=True)
class SubgroupEffects(PointEffect):
    """group: the hospital, or a column of which the levels are known.

    Groups share the models; each has its own means.

    A group with fewer than two treated or two untreated persons has no effect of its own, and is named.
    """

    discloses: ClassVar[str] = (
        PointEffect.discloses + " How many treated and untreated there are in every group, and the effect in each."
    )
    method: ClassVar[Method] = "aipw"
    compared: ClassVar[str] = "group"
    group: str = SITE

    @property
    def of_hospitals(self) -> bool:
        """Also where hospitals are the groups."""
        return super().of_hospitals or self.group == SITE

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round of counts by group and arm more than an effect of all."""
        known = yield from census(self.wanted, public)
        groups = self._groups(public)
        tells: dict[str, Told] = {**known.tells, GROUPS: groups}
        total = yield Query({"arms": counts(len(groups), 2)}, tells, "groups")
        arms = total.count("arms")
        kept = tuple(group for group, arm in zip(groups, arms, strict=True) if arm.min() >= FEWEST_IN_AN_ARM)
        if len(kept) < 2:
            raise AnalysisError(
                f"{len(kept)} groups of {self.group!r} have two treated and two untreated rows; "
                "a comparison needs two."
            )
        family: Family = "logistic" if known.binary else "linear"
        plan = self.plan(family, len(known.names), len(kept))
        tells = {**tells, GROUPS: kept, "family": (family,)}
        estimate = yield from estimated(blocks_of(plan), tells, self.bootstrap, self.seed)
        found = found_of(estimate, means(plan), known, plan, self.wanted)
        sizes = np.array([arm.sum() for group, arm in zip(groups, arms, strict=True) if group in kept])
        lacking = tuple(group for group in groups if group not in kept)
        return _answer(self, found, kept, sizes, lacking)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """This hospital's part of a round's sums."""
        if query.step == "census":
            return census_sums(self.wanted, records, query)
        found = ready(self.wanted, records, query.tells, also=(self.group,))
        groups = words_of(query.tells, GROUPS)
        member = (found.words[self.group][:, None] == np.array(groups)[None, :]).astype(np.float64)
        if query.step == "groups":
            treated = found.rows["treatment"]
            arms = [member[treated == arm].sum(axis=0) for arm in (0, 1)]
            return {"arms": np.stack(arms, axis=1).astype(np.int64)}
        plan = self.plan(family_told(query), found.rows["x"].shape[1], len(groups))
        return sums(blocks_of(plan), {**found.rows, GROUP: member}, found.persons, query)

    def _groups(self, public: Public) -> tuple[str, ...]:
        if self.group == SITE:
            return public.sites
        levels = {**public.levels, **levels_named(self.levels)}
        if self.group not in levels:
            asked = f'levels = ["{self.group}=one|two"]'
            raise StudyError(f"group = {self.group!r} needs that column's levels, such as {asked}.")
        return levels[self.group]


@dataclass(frozen=True)
class _Differing:
    """Whether effects differ. between: standard deviation of true effects (DerSimonian and Laird 1986)."""

    statistic: float
    degrees: int
    p: float
    share: float
    between: float

    def as_numbers(self) -> dict[str, float]:
        return {
            "statistic": self.statistic,
            "degrees": self.degrees,
            "p": self.p,
            "i_squared": self.share,
            "between_groups": self.between,
        }


def _differing(differences: NDArray[np.float64], covariance: NDArray[np.float64], degrees: float) -> _Differing:
    """Wald's test that all are one, with the groups' common models in the covariance, against F."""
    count = len(differences)
    against = np.hstack([np.eye(count - 1), -np.ones((count - 1, 1))])
    apart, spread = against @ differences, against @ covariance @ against.T
    statistic = float(apart @ np.linalg.pinv(spread) @ apart)
    weights = 1 / np.maximum(np.diag(covariance), 1e-300)
    q = float(weights @ (differences - weights @ differences / weights.sum()) ** 2)
    room = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, (q - (count - 1)) / room) if room > 0 else 0.0
    share = max(0.0, (q - (count - 1)) / q) if q > 0 else 0.0
    p = float(stats.f.sf(statistic / (count - 1), count - 1, max(degrees, 1.0)))
    return _Differing(statistic, count - 1, p, share, sqrt(between))


def _answer(
    asked: SubgroupEffects, found: Found, groups: tuple[str, ...], sizes: NDArray[np.int64], lacking: tuple[str, ...]
) -> Answer:
    count = len(groups)
    apart = np.hstack([np.eye(count), -np.eye(count)])
    covariance = apart @ found.covariance @ apart.T
    differing = _differing(apart @ found.means, covariance, found.degrees)
    shares = sizes / sizes.sum()
    value, error = float(shares @ apart @ found.means), float(np.sqrt(max(shares @ covariance @ shares, 0.0)))
    half = quantile(found.degrees) * error
    overall = Interval(value, value - half, value + half, error)
    each = {group: contrasts_of(found, index) for index, group in enumerate(groups)}
    numbers: dict[str, Any] = {
        **census_numbers(found.census),
        "difference": overall.as_numbers(),
        "groups": {
            group: {"n": int(size), **contrasts.as_numbers()}
            for (group, contrasts), size in zip(each.items(), sizes, strict=True)
        },
        "heterogeneity": differing.as_numbers(),
        "groups_without_an_effect": list(lacking),
    }
    return Answer(
        numbers,
        (_table(asked, each, overall, sizes, differing),),
        (_forest(asked, each, overall),),
        _words(asked, overall, differing, lacking),
    )


def _table(
    asked: SubgroupEffects,
    each: Mapping[str, Contrasts],
    overall: Interval,
    sizes: NDArray[np.int64],
    differing: _Differing,
) -> Table:
    rows = [
        (group, int(size), one.difference.estimate, one.difference.low, one.difference.high)
        for (group, one), size in zip(each.items(), sizes, strict=True)
    ]
    rows.append(("all", int(sizes.sum()), overall.estimate, overall.low, overall.high))
    note = f"effects differ between groups: p = {differing.p:.3g}, I2 = {differing.share:.0%}"
    title = f"Effect of {asked.treatment} on {asked.outcome} by {asked.group}"
    return Table(title, (asked.group, "n", "difference", "95 % from", "to"), tuple(rows), note)


def _forest(asked: SubgroupEffects, each: Mapping[str, Contrasts], overall: Interval) -> Figure:
    intervals = [*(one.difference for one in each.values()), overall]
    series = Series(
        "difference",
        (*each, "all"),
        tuple(one.estimate for one in intervals),
        tuple(one.low for one in intervals),
        tuple(one.high for one in intervals),
    )
    return Figure("points", f"Effect by {asked.group}", asked.group, f"difference in {asked.outcome}", (series,))


def _words(
    asked: SubgroupEffects, overall: Interval, differing: _Differing, lacking: tuple[str, ...]
) -> tuple[str, ...]:
    said = [
        f"Over all groups {asked.treatment} changes {asked.outcome} by {overall.estimate:.4g} "
        f"(95 % {overall.low:.4g} to {overall.high:.4g}).",
        f"That its effect is the same in every group of {asked.group} "
        + ("is hardly tenable" if differing.p < 0.05 else "is not contradicted")
        + f" (p = {differing.p:.3g}); between groups it differs by a standard deviation of {differing.between:.3g}.",
    ]
    if lacking:
        said.append(f"Too few treated or untreated for an effect of their own: {', '.join(lacking)}.")
    return tuple(said)


analysis: type[Analysis] = SubgroupEffects
