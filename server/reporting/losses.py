"""Who was expected, who took part, and what was left out: hospitals, rounds, scores, cases, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from common.data.names import SiteId
from server.problems import Problem, without_stop
from server.reporting.kept_here import FOLDER, Named
from server.reporting.records import Run
from server.reporting.tally import Tally, tally_of
from server.reporting.wording import count, listed

MOST_CASES_NAMED = 20
MOST_REASONS = 3
UNKNOWN = "it did not introduce itself at the start"


@dataclass(frozen=True)
class Missed:
    """Rounds in which a hospital was asked to train, or for scores, and its reply was not used."""

    site: SiteId
    rounds: tuple[int, ...]
    reasons: tuple[str, ...]
    what: str = "missed"

    @property
    def sentence(self) -> str:
        """In words."""
        named = _ranges(self.rounds)
        word = "round" if len(self.rounds) == 1 else "rounds"
        return f"{self.site} {self.what} {word} {named}: {_reasons(self.reasons)}"


@dataclass(frozen=True)
class LeftOutCases:
    """Cases of a hospital that could not be used. named: which and why, where that is known on this machine."""

    site: SiteId
    number: int
    named: Named = ()

    @property
    def sentence(self) -> str:
        """In words."""
        lost = f"{self.site}: {count(self.number, 'case')} could not be used"
        if not self.named:
            return f"{lost}; the hospital's own {FOLDER.removesuffix('s')} folder says which, in quarantined.txt"
        return f"{lost}; which and why is in {FOLDER}/{self.site}/quarantined.txt"


@dataclass(frozen=True)
class Losses:
    """Of one run. in_full: with texts of foreign exceptions, which are for the screen of a simulation alone."""

    run: Run
    in_full: bool = False

    @cached_property
    def expected(self) -> int:
        """Hospitals that the study counted on."""
        return max(self.run.about.hospitals_expected, len(self.run.about.sites_expected), len(self.run.sites))

    @cached_property
    def took_part(self) -> tuple[SiteId, ...]:
        """Hospitals in the roster, but for those that were asked to train and never contributed."""
        known = [holding.site for holding in self.run.roster.holdings]
        used, asked = self._tally.contributed, self._tally.selected
        known = known or [site for site in self.run.sites if site in used]
        return tuple(site for site in known if site in used or site not in asked)

    @property
    def has_begun(self) -> bool:
        """Whether it was settled who takes part."""
        return bool(self.run.roster.holdings or self.run.rounds)

    @property
    def census(self) -> str:
        """How many of the expected hospitals took part, in words."""
        took_part, expected = len(self.took_part), self.expected
        did = "took part" if self.run.rounds else "came up"
        if took_part == expected:
            all_of_them = {1: "The one expected hospital", 2: "Both expected hospitals"}
            return f"{all_of_them.get(expected, f'All {expected} expected hospitals')} {did}"
        if not self.has_begun:
            return f"The run did not begin; {count(expected, 'hospital was', 'hospitals were')} expected"
        return f"{took_part} of {count(expected, 'expected hospital')} {did}"

    @cached_property
    def hospitals(self) -> tuple[Problem, ...]:
        """Whoever took no part in any round, and why."""
        at_start = _of_stage(self.problems, "start", keep=True)
        named = {problem.site for problem in at_start} | set(self.took_part)
        silent = [
            Problem("start", _reasons(self._tally.reasons(site)) or UNKNOWN, site)
            for site in self._everybody
            if site not in named and self.has_begun
        ]
        return (*at_start, *(replace(one, reason=self._explained(one.reason, one.site)) for one in silent))

    @cached_property
    def steps(self) -> tuple[Problem, ...]:
        """What was lost after the rounds."""
        return tuple(_of_stage(self.problems, "start", keep=False))

    @cached_property
    def rounds(self) -> tuple[Missed, ...]:
        """Rounds, and scores between rounds, that went on without a hospital that took part in others."""
        found = [self._missed(site) for site in self.took_part]
        found += [self._without_scores(site) for site in self.took_part]
        return tuple(one for one in found if one.rounds)

    @cached_property
    def cases(self) -> tuple[LeftOutCases, ...]:
        """Cases that could not be used, hospital by hospital."""
        told = {holding.site: holding.quarantined for holding in self.run.roster.holdings}
        named = self.run.kept.quarantined
        sites = dict.fromkeys([*told, *named])
        found = [LeftOutCases(s, max(told.get(s, 0), len(named.get(s, ()))), tuple(named.get(s, ()))) for s in sites]
        return tuple(one for one in found if one.number)

    @property
    def removed(self) -> tuple[str, ...]:
        """What preprocessing cut away of the truth, in words, where that is known on this machine."""
        return tuple(
            f"{site}: of the class {name}, {what} were cut away; they count as missed"
            for site, named in self.run.kept.removed.items()
            for name, what in named
        )

    @property
    def grave(self) -> tuple[str, ...]:
        """What makes a run one with problems: hospitals, rounds and steps that were lost, in words."""
        problems, rounds = (*self.hospitals, *self.steps), self.rounds
        return (*(one.sentence for one in problems), *(one.sentence for one in rounds))

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that was left out."""
        return (*self.grave, *(one.sentence for one in self.cases), *self.removed)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """As the run recorded them, once each, by the name that the hospital's own log tells where it is here."""
        found = [self._resolved(problem) for problem in self.run.lost]
        by_node = {(one.stage, one.site) for one in found if one.site and one.node is not None}
        kept = [one for one in found if one.node is not None or (one.stage, one.site) not in by_node]
        last = {(one.stage, one.who, "" if one.who else one.reason): one for one in kept}
        return tuple(last.values())

    @cached_property
    def _tally(self) -> Tally:
        return tally_of(self.run.rounds)

    @property
    def _everybody(self) -> tuple[SiteId, ...]:
        return tuple(dict.fromkeys([*self.run.about.sites_expected, *self.run.sites]))

    def _resolved(self, problem: Problem) -> Problem:
        site = problem.site or self.run.kept.site_of(problem.reason)
        return replace(problem, site=site, reason=self._explained(problem.reason, site))

    def _explained(self, reason: str, site: SiteId) -> str:
        return self.run.kept.explained(reason, site, self.in_full)

    def _missed(self, site: SiteId) -> Missed:
        rounds = tuple(one.number for one in self._tally.lost.get(site, ()))
        lost = set(rounds)
        found = (drop.reason for one, drop in self._tally.drops.get(site, ()) if one.number in lost)
        return Missed(site, rounds, tuple(self._explained(reason, site) for reason in dict.fromkeys(found)))

    def _without_scores(self, site: SiteId) -> Missed:
        """Hospitals whose update was used, or not asked for, and whose scores were not used."""
        lost = {one.number: drop.reason for one, drop in self._tally.unscored.get(site, ())}
        reasons = tuple(dict.fromkeys(self._explained(reason, site) for reason in lost.values()))
        return Missed(site, tuple(lost), reasons, "has no scores of")


def losses_table(losses: Losses) -> dict[str, Any]:
    """For machines: `left_out` of `summary.json`."""
    return {
        "hospitals": [one.table for one in losses.hospitals],
        "rounds": [
            {"site": one.site, "what": one.what, "rounds": list(one.rounds), "reasons": list(one.reasons)}
            for one in losses.rounds
        ],
        "steps": [one.table for one in losses.steps],
        "cases": {one.site: _cases_table(one) for one in losses.cases},
        "removed": {site: dict(named) for site, named in losses.run.kept.removed.items() if named},
    }


def _cases_table(one: LeftOutCases) -> Mapping[str, Any]:
    named = [{"name": name, "reason": reason} for name, reason in one.named[:MOST_CASES_NAMED]]
    return {"number": one.number, "named": named, "not_named": one.number - len(named)}


def _of_stage(problems: Iterable[Problem], stage: str, keep: bool) -> list[Problem]:
    return [problem for problem in problems if (problem.stage == stage) is keep]


def _reasons(reasons: Sequence[str]) -> str:
    shown = [without_stop(reason) for reason in reasons[:MOST_REASONS]]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"{more} more reasons in rounds.jsonl"] if more else [])])


def _ranges(numbers: Sequence[int]) -> str:
    """`1, 3 to 5 and 9`."""
    groups = [list(group) for _, group in groupby(enumerate(numbers), key=lambda at: at[1] - at[0])]
    words = [str(group[0][1]) + (f" to {group[-1][1]}" if len(group) > 1 else "") for group in groups]
    return listed(words)
