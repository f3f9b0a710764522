"""Epsilons of a promise, from what a round lets out and how often each hospital was charged for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

from common.data.names import SiteId
from common.privacy.accounting import epsilon_curve, epsilon_of
from common.privacy.beside import RELATED, exchanged, in_hospitals, together
from common.privacy.release import Release

MOST_POINTS = 40


def spent_by(releases: Sequence[Release], rounds: int, delta: float) -> dict[str, Any]:
    """One hospital's part of `privacy.json`: rounds charged, what each lets out, epsilon and its curve."""
    found: dict[str, Any] = {
        "rounds": rounds,
        "releases": [asdict(release) for release in releases],
        "epsilon": 0.0,
        "epsilon_rdp": 0.0,
        "curve": [],
    }
    if not rounds:
        return found
    bound = epsilon_of(_times(releases, rounds), delta)
    every = max(1, -(-rounds // MOST_POINTS))
    after = sorted({*range(every, rounds + 1, every), rounds})
    curve = zip(after, map(_finite, epsilon_curve(releases, rounds, delta, after)), strict=True)
    epsilons = {"epsilon": _finite(bound.epsilon), "epsilon_rdp": _finite(bound.epsilon_rdp)}
    return {**found, **epsilons, "curve": [list(point) for point in curve]}


def beside(sites: Mapping[SiteId, Mapping[str, Any]], delta: float, own_noise: bool) -> dict[str, Any]:
    """What else the hospital that spent most has spent by it, and one person in several hospitals.

    Of hospitals that spent the same, the one that draws a patient most often: there an exchange costs most.
    own_noise: whether every hospital's noise is its own, so that what several let out adds up.
    """
    spent = {site: _times(releases_of(one), one["rounds"]) for site, one in sites.items() if one["rounds"]}
    order = sorted(spent, key=lambda site: (-_or_most(sites[site]["epsilon"]), -_share_drawn(spent[site]), site))
    if not order:
        return {"site": None, "exchanged": 0.0, "together": [], "in_hospitals": []}
    worst = spent[order[0]]
    hospitals = [k for k in RELATED if k <= len(order)]
    alone = {k: in_hospitals([spent[site] for site in order[:k]], delta) for k in hospitals if own_noise}
    return {
        "site": order[0],
        "exchanged": exchanged(worst, delta),
        "together": [{"units": k, "epsilon": together(worst, delta, k)} for k in RELATED],
        "in_hospitals": [
            {"hospitals": k, "epsilon": alone[k] if own_noise else together(worst, delta, k)} for k in hospitals
        ],
    }


def releases_of(one: Mapping[str, Any]) -> tuple[Release, ...]:
    """What one round lets out, as `spent_by` wrote it."""
    return tuple(Release(**release) for release in one["releases"])


def _times(releases: Sequence[Release], rounds: int) -> tuple[Release, ...]:
    return tuple(replace(release, steps=release.steps * rounds) for release in releases)


def _finite(epsilon: float) -> float | None:
    """None is without bound, for JSON has no infinity."""
    return epsilon if isfinite(epsilon) else None


def _or_most(epsilon: float | None) -> float:
    """As it is printed, so that a search for noise that ends a hair earlier makes no difference."""
    return float("inf") if epsilon is None else round(epsilon, 3)


def _share_drawn(releases: Sequence[Release]) -> float:
    return max((release.sampling_rate for release in releases), default=0.0)
