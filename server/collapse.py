"""Whether a network has collapsed: from its evaluations alone, so that a run, its report and a reader say the same.

A collapsed network answers all cases alike, and its loss may look fine. What is looked at are the scores that a task
declares as `watched`: 0 where all answers are one. They mean little by themselves, since features of an untrained
network differ by a few hundredths too; they are compared with what they were before the first round. Thresholds are
those of `experiments/benchmarks/collapse.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from common.data.names import SiteId

FEATURES, FEATURES_FALLEN, FALLEN, PLUNGED = "spread", 0.2, 0.1, 0.01
"""Shares of what a score was before the first round, of features and of other answers: below them twice running, or
once below the last."""
ALIKE = 1e-4
"""Below it cases are not told apart, whatever it was at first."""
NARROW, BROAD = 1.02, 2.0
"""Directions: one is left where there were some."""
UNLEARNED, FLAT_LOOKS, FLAT_FROM, SHRUNK = 0.01, 4, 8, 0.4
"""Share of the trivial loss that is explained: so little in so many looks in a row, from that round on, is none;
where all that is watched lies below the last share of its first value too, it is a collapse."""
LEAST_CASES = 16
"""Of fewer cases nothing is said: they lie in few directions by themselves."""
RANK, EXPLAINED = "effective_rank", "explained"
Kind = Literal["fallen", "alike", "narrow", "trivial", "lost", "unlearned"]
Series = list[tuple[int, Mapping[str, float]]]
"""Of one hospital, or of all: after which round, and its scores."""
GRAVE: tuple[Kind, ...] = ("fallen", "alike", "narrow", "trivial")


@dataclass(frozen=True)
class Look:
    """One evaluation, of the model after round `of_round`. sites: of single hospitals, where they are seen."""

    of_round: int
    pooled: Mapping[str, float]
    sites: Mapping[SiteId, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """site: "" where it is of all hospitals together. since: the first look of those in a row that show it.
    at_first: before the first round; None where nobody looked then, or it does not matter.
    """

    kind: Kind
    score: str
    since: int
    of_round: int
    value: float | None
    at_first: float | None = None
    site: SiteId = ""

    @property
    def is_grave(self) -> bool:
        """Whether it is a collapse, and no mere doubt."""
        return self.kind in GRAVE


@dataclass(frozen=True)
class Verdict:
    """standing: what the last look shows. passed: collapses that earlier ones showed, and the last does not.
    last_well: the last model that told cases apart. is_of_few: whether there are too few cases to say anything.
    """

    looks: tuple[Look, ...]
    watched: tuple[str, ...]
    standing: tuple[Finding, ...] = ()
    passed: tuple[Finding, ...] = ()
    last_well: int | None = None
    is_of_few: bool = False

    @property
    def unseen(self) -> tuple[str, ...]:
        """What is watched, and was not measured in the last look."""
        return tuple(name for name in self.watched if self.looks and name not in self.looks[-1].pooled)

    @property
    def is_seen(self) -> bool:
        """Whether somebody looked, at all that is watched, of cases enough: else no finding is no good sign."""
        return bool(self.looks) and not self.unseen and not self.is_of_few

    @property
    def collapsed(self) -> bool:
        """Whether the answers of all hospitals' cases are alike now."""
        return any(one.is_grave and not one.site for one in self.standing)

    @property
    def has_reference(self) -> bool:
        """Whether somebody looked before the first round."""
        return bool(self.looks) and self.looks[0].of_round == 0


@dataclass
class Watching:
    """Takes in looks one by one. cases: that each hospital scores; one that is missing does not say."""

    watched: tuple[str, ...]
    cases: Mapping[SiteId, int] = field(default_factory=dict)
    _looks: list[Look] = field(default_factory=list)
    _series: dict[SiteId, Series] = field(default_factory=dict)
    _standing: tuple[Finding, ...] = ()
    _seen: dict[tuple[str, str, SiteId], Finding] = field(default_factory=dict)
    _last_well: int | None = None

    def add(self, look: Look) -> None:
        """The next look."""
        self._looks.append(look)
        for site, scores in (("", look.pooled), *look.sites.items()):
            self._series.setdefault(site, []).append((look.of_round, scores))
        self._standing = tuple(self._findings(look))
        self._seen |= {_key(one): one for one in self._standing if one.is_grave}
        is_measured = any(name in look.pooled for name in self.watched)
        if is_measured and not any(one.is_grave and not one.site for one in self._standing):
            self._last_well = look.of_round

    @property
    def verdict(self) -> Verdict:
        """Up to now."""
        now = {_key(one) for one in self._standing}
        passed = tuple(one for key, one in self._seen.items() if key not in now)
        return Verdict(tuple(self._looks), self.watched, self._standing, passed, self._last_well, self._is_of_few)

    @property
    def _is_of_few(self) -> bool:
        return 0 < sum(self.cases.values()) < LEAST_CASES

    def _findings(self, look: Look) -> list[Finding]:
        """What a look shows, of all together, and of single hospitals where it is theirs alone."""
        pooled = [] if self._is_of_few else self._of("")
        shared, alone = {(one.kind, one.score) for one in pooled}, list[Finding]()
        for site in look.sites if len(look.sites) > 1 else ():
            if self.cases.get(site, 0) >= LEAST_CASES:
                alone += [one for one in self._of(site) if one.is_grave and (one.kind, one.score) not in shared]
        return [*pooled, *alone]

    def _of(self, site: SiteId) -> list[Finding]:
        looks = self._series[site]
        found = [one for name in self.watched if (one := _spread(name, looks, site)) is not None]
        if not any(one.is_grave for one in found):
            found += [one for one in (_rank(looks, site), _loss(self.watched, looks, site)) if one is not None]
        return found


def verdict(watched: Iterable[str], looks: Iterable[Look], cases: Mapping[SiteId, int]) -> Verdict:
    """Of looks in order."""
    watching = Watching(tuple(watched), cases)
    for look in looks:
        watching.add(look)
    return watching.verdict


def _key(one: Finding) -> tuple[str, str, SiteId]:
    return one.kind, one.score, one.site


def _spread(name: str, looks: Series, site: SiteId) -> Finding | None:
    """Alike, fallen, or not to be measured any more."""
    (number, scores), first = looks[-1], _at_first(name, looks)
    value = scores.get(name)
    if value is None:
        was_there = any(name in before for _, before in looks)
        return Finding("lost", name, number, number, None, first, site) if was_there else None
    if value < ALIKE:
        return Finding("alike", name, _since(looks, name, ALIKE), number, value, first, site)
    limit = (FEATURES_FALLEN if name == FEATURES else FALLEN) * (first or 0.0)
    if first is None or value >= limit:
        return None
    since = _since(looks, name, limit)
    if since == number and value >= PLUNGED * first:
        return None
    return Finding("fallen", name, since, number, value, first, site)


def _rank(looks: Series, site: SiteId) -> Finding | None:
    (number, scores), first = looks[-1], _at_first(RANK, looks)
    value = scores.get(RANK)
    if value is None or first is None or value >= NARROW or first < BROAD:
        return None
    return Finding("narrow", RANK, _since(looks, RANK, NARROW), number, value, first, site)


def _loss(watched: Iterable[str], looks: Series, site: SiteId) -> Finding | None:
    """Whether the loss stands at what it is where nothing was learned: of DINO ln K, of NT-Xent ln(2 N - 1)."""
    last = [(number, scores.get(EXPLAINED)) for number, scores in looks[-FLAT_LOOKS:]]
    if len(last) < FLAT_LOOKS or last[0][0] < FLAT_FROM:
        return None
    if any(value is None or abs(value) >= UNLEARNED for _, value in last):
        return None
    now, first = looks[-1][1], {name: _at_first(name, looks) for name in watched}
    shares = [now[name] / value for name, value in first.items() if value and name in now]
    kind: Kind = "trivial" if shares and max(shares) < SHRUNK else "unlearned"
    return Finding(kind, EXPLAINED, last[0][0], *last[-1], _at_first(EXPLAINED, looks), site)


def _at_first(name: str, looks: Series) -> float | None:
    """Before the first round."""
    number, scores = looks[0]
    return scores.get(name) if number == 0 else None


def _since(looks: Series, name: str, limit: float) -> int:
    """The first of the looks in a row, the last one's included, at which a score is below the limit."""
    since = looks[-1][0]
    for number, scores in reversed(looks):
        if scores.get(name, limit) >= limit:
            break
        since = number
    return since
