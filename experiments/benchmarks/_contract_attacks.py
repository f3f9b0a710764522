"""What a coordinator tries: to open a second sum that lacks one hospital, or only to look on while hospitals fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.study.study import parse
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts
from common.sums.update import Sum
from experiments.benchmarks._contract_nodes import Hospitals, without_own_limits
from experiments.benchmarks._contract_sums import BASE_ROUND, NEARLY, Opened, Opener, estimate
from server.strategy import Contributions

LEGS: Mapping[str, tuple[str, ...]] = {
    "secagg": ("keys", "shares", "round", "survivors", "unmask"),
    "additive": ("keys", "round", "sums"),
    "bfv": ("keys", "shares", "round", "survivors", "unmask"),
    "bfv shared": ("keys", "shares", "round", "decrypt"),
    "ckks": ("keys", "shares", "round", "decrypt"),
}
WINDOWS = (8, 4, 2)
"""Rounds in a row, of which least squares is made as well as of all: models are more alike in fewer."""
ENOUGH = 0.9999
"""Of cosine: whoever has so much of a hospital's update tries no further."""


@dataclass(frozen=True)
class Learnt:
    """Of one hospital. cosine: of the best estimate with its update; of_sum: of the sum it may be known to be in.

    loss: how far its training loss was missed, over how far that of the sum misses it. attack: which came nearest.
    raw: as of_sum, before colluders took out what they sent.
    """

    victim: SiteId
    cosine: float
    of_sum: float
    loss: float
    attack: str
    raw: float

    @property
    def excess(self) -> float:
        """Of cosine, beyond what hospitals alike have in common with their sum."""
        return self.cosine - self.of_sum


def cheated(hospitals: Hospitals) -> list[Learnt]:
    """What a coordinator learns of each hospital that colludes not, with whatever second sum it can open."""
    opener, study = Opener(hospitals), hospitals.study
    cohort = Cohorts.of(study, hospitals.sites).of_round(BASE_ROUND)
    run, model = opener.new_run(), opener.start
    base = opener.open(opener.order(BASE_ROUND, model), run, cohort)
    assert base is not None, "an honest round failed"
    victims = [site for site in base.sites if site not in hospitals.colluders]
    with without_own_limits():
        return [_best(opener, _Cheat(opener, base, cohort.sites, run, victim)) for victim in victims]


@dataclass(frozen=True)
class _Cheat:
    """Second sums against one victim; each is None where hospitals refuse. All count nobody but themselves."""

    opener: Opener
    base: Opened
    sites: tuple[SiteId, ...]
    run: str
    victim: SiteId

    @property
    def others(self) -> tuple[SiteId, ...]:
        """All of the cohort but the victim."""
        return tuple(site for site in self.sites if site != self.victim)

    def ways(self) -> Mapping[str, Callable[[], Opened | None]]:
        """By name, the likeliest first."""
        leg, start, next_round = self._last_leg_to_be_lost_in(), self.opener.start, BASE_ROUND + 1
        lost = {leg: (self.victim,)}
        return {
            "lost, nearly the same model": partial(self._open, self._nearly(1), lost=lost),
            "all others lost": partial(self._open, self._nearly(2), lost={leg: self.others}),
            "another cohort": partial(self._open, self._nearly(3), named=self.others),
            "fewer in every leg": partial(self._open, self._nearly(4), lost=self._one_a_leg()),
            "lost, same model, next round": partial(self._open, start, lost=lost, run=self.run, number=next_round),
            "round before": partial(self._open, self._nearly(5), lost=lost, run=self.run, number=BASE_ROUND),
            "another title and run": partial(self._open, start, lost=lost, title=f"Without {self.victim}"),
        }

    def _last_leg_to_be_lost_in(self) -> str:
        """Later, a hospital is in the sum or, where every share is needed, there is none."""
        return "keys" if self.opener.hospitals.study.aggregation.name == "additive" else "round"

    def _nearly(self, times: int) -> NDArray[np.float32]:
        """A model that no memory of models knows, by an amount that is this victim's and way's own."""
        moved = times * (1 + self.sites.index(self.victim)) * NEARLY
        return (self.opener.start + moved).astype(np.float32)

    def _one_a_leg(self) -> dict[str, tuple[SiteId, ...]]:
        """All but one of the others fall silent, in legs one after the other; colluders stay."""
        colluders = self.opener.hospitals.colluders
        going = [site for site in self.others if site not in colluders]
        going = going if colluders else going[:-1]
        legs = ("keys", "shares", "round")
        return {leg: tuple(going[place :: len(legs)]) for place, leg in enumerate(legs)}

    def _open(
        self,
        model: NDArray[np.float32],
        *,
        lost: Mapping[str, Sequence[SiteId]] | None = None,
        named: tuple[SiteId, ...] | None = None,
        run: str = "",
        number: int = BASE_ROUND,
        title: str = "",
    ) -> Opened | None:
        study = self.opener.hospitals.study
        study = parse(study.text, [f'title="{title}"']) if title else study
        cohort = Cohort(named or self.sites)
        return self.opener.open(
            self.opener.order(number, model, study), run or self.opener.new_run(), cohort, lost or {}
        )


def _best(opener: Opener, cheat: _Cheat) -> Learnt:
    colluders, victim = opener.hospitals.colluders, cheat.victim
    base = _told(cheat.base, colluders)
    found = [_learnt(cheat.base, [base], base, victim, "none")]
    for name, way in cheat.ways().items():
        opened = way()
        if opened is not None:
            found.append(_learnt(cheat.base, [base, _told(opened, colluders)], base, victim, name))
            if found[-1].cosine > ENOUGH:
                break
    return max(found, key=lambda one: one.cosine)


def _told(opened: Opened, colluders: Sequence[SiteId]) -> Opened:
    for site in colluders:
        opened = opened.less(site)
    return opened


def _learnt(raw: Opened, opened: Sequence[Opened], base: Opened, victim: SiteId, attack: str) -> Learnt:
    own = base.sent[victim]
    true, true_loss = own.vectors[0].astype(np.float64), own.statistics["loss"].value
    values, loss = estimate([one for one in opened if one.sites], victim)
    missed = abs(loss - true_loss) / max(abs(base.loss / base.weight - true_loss), 1e-12)
    of_sum = cosine(base.values, true)
    return Learnt(victim, cosine(values, true), of_sum, missed, attack, cosine(raw.values, true))


def watched(hospitals: Hospitals, rounds: int) -> list[Learnt]:
    """What an honest coordinator reads off the sums of that many rounds."""
    return _read_off(list(_honest(Opener(hospitals), [{}] * rounds)))


def watched_while_failing(hospitals: Hospitals, legs: Sequence[str]) -> list[Learnt]:
    """The same where every hospital is killed once at every leg, one a round, and comes back for the next try."""
    killed = [{leg: (site,)} for leg in legs for site in hospitals.sites]
    return _read_off(list(_honest(Opener(hospitals), [{}, *killed])))


def _honest(opener: Opener, losses: Sequence[Mapping[str, Sequence[SiteId]]]) -> Iterator[Opened]:
    """Rounds as the server makes them: one that opened nothing is repeated with the very same orders."""
    study, strategy = opener.hospitals.study, opener.strategy
    cohorts, run = Cohorts.of(study, opener.hospitals.sites), opener.new_run()
    state, model, population = strategy.init(opener.start), opener.start, sum(opener.cases.values())
    for number, lost in zip(count(1), losses):
        order = opener.order(number, model)
        control = strategy.broadcast(state)
        order = replace(order, control=control[0]) if control else order
        cohort = cohorts.of_round(number)
        cohort = cohort.demanding(len(cohort.sites)) if cohort.groups else cohort
        opened = opener.open(order, run, cohort, lost) or opener.open(order, run, cohort)
        if opened is None:
            continue
        yield opened
        state, model = strategy.step(state, model, Contributions(opened.total, None, population))


def _read_off(opened: Sequence[Opened]) -> list[Learnt]:
    """Of every hospital, by least squares over all rounds or over fewer in a row: the best of them."""
    sites = sorted({site for one in opened for site in one.sites})
    windows = [
        opened[start : start + size]
        for size in (len(opened), *WINDOWS)
        for start in range(0, len(opened) - size + 1, max(size // 2, 1))
    ]
    return [max((_over(rows, site) for rows in windows if _in_any(rows, site)), key=_excess) for site in sites]


def _in_any(opened: Sequence[Opened], site: SiteId) -> bool:
    return any(site in one.sites for one in opened)


def _excess(one: Learnt) -> float:
    return one.excess


def _over(opened: Sequence[Opened], victim: SiteId) -> Learnt:
    """Against the mean of its updates in these rounds, and of the sums it was in."""
    own = [one for one in opened if victim in one.sites]
    true = np.mean([one.sent[victim].vectors[0].astype(np.float64) for one in own], axis=0)
    true_loss = float(np.mean([one.sent[victim].statistics["loss"].value for one in own]))
    of_sum: Sum = np.mean([one.values for one in own], axis=0)
    sums_loss = sum(one.loss for one in own) / sum(one.weight for one in own)
    values, loss = estimate(opened, victim)
    missed, alike = abs(loss - true_loss) / max(abs(sums_loss - true_loss), 1e-12), cosine(of_sum, true)
    return Learnt(victim, cosine(values, true), alike, missed, f"{len(opened)} rounds", alike)


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """0 where one of them is nothing."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norms if norms else 0.0
