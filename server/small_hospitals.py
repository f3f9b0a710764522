"""Whose scores are told alone, where hospitals are too small for that: the score of one patient is that patient's."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from common.study.study import Study
from server.members import Member

LEAST_PERSONS = 5
"""Behind a score that is told of one hospital, where a study divides hospitals."""


def told_alone(study: Study, members: Mapping[SiteId, Member], split: str) -> frozenset[SiteId]:
    """Hospitals whose own scores on `split` are told. Those of others are in the score of all together alone.

    What is told of all, less what is told of some, is the score of the rest: either nobody is in that rest, or
    LEAST_PERSONS or more, for which the smallest of the others are put to them.
    """
    if not study.split.is_by_hospital:
        return frozenset(members)
    persons = {site: one.patients.get(split, 0) for site, one in members.items()}
    ordered = sorted((site for site in persons if persons[site]), key=lambda site: (persons[site], site))
    hidden = [site for site in ordered if persons[site] < LEAST_PERSONS]
    while hidden and len(hidden) < len(ordered) and sum(persons[site] for site in hidden) < LEAST_PERSONS:
        hidden.append(ordered[len(hidden)])
    return frozenset(ordered) - set(hidden)
