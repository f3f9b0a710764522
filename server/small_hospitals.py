"""Whose scores are told alone, where hospitals are too small for that: the score of one patient is that patient's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from common.data.names import SiteId
from common.study.held_out import LEAST_SCORED
from common.study.study import Study

if TYPE_CHECKING:
    from server.members import Member

LEAST_PERSONS = 5
"""Behind a score that is told of one hospital, where a study divides hospitals."""


def told_alone(
    study: Study, members: Mapping[SiteId, Member], split: str, scored: Collection[SiteId]
) -> frozenset[SiteId]:
    """Those of `scored`, which are in one score together, whose own is told too.

    What is told of all, less what is told of some, is the score of the rest: either nobody is in that rest, or
    LEAST_PERSONS or more in LEAST_SCORED hospitals or more, of which none learns another's by taking off its own. The
    smallest of the others are put to them for that.
    """
    if not study.split.is_by_hospital:
        return frozenset(scored)
    persons = _persons(members, split, scored)
    ordered = sorted(persons, key=lambda site: (persons[site], site))
    hidden = [site for site in ordered if persons[site] < LEAST_PERSONS]
    while hidden and len(hidden) < len(ordered) and _are_few(hidden, persons):
        hidden.append(ordered[len(hidden)])
    return frozenset(ordered) - set(hidden)


def told_together(study: Study, members: Mapping[SiteId, Member], split: str, scored: Collection[SiteId]) -> bool:
    """Whether the score of all `scored` is: not of one or two whose own are not, as where others were lost."""
    if not study.split.is_by_hospital:
        return True
    persons = _persons(members, split, scored)
    return len(persons) >= LEAST_SCORED or len(persons) == len(told_alone(study, members, split, scored)) > 0


def _persons(members: Mapping[SiteId, Member], split: str, scored: Collection[SiteId]) -> dict[SiteId, int]:
    """Of those that have any."""
    known = {site: members[site].patients.get(split, 0) for site in scored}
    return {site: many for site, many in known.items() if many}


def _are_few(hidden: Collection[SiteId], persons: Mapping[SiteId, int]) -> bool:
    return len(hidden) < LEAST_SCORED or sum(persons[site] for site in hidden) < LEAST_PERSONS
