"""What a study's privacy mechanism changes at the server, and what it claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

from common.data.names import SiteId
from common.privacy.abilities import abilities, can, grid_of, may_be_asked_again, statistics_of, weighs_alike
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.noise import SeededNoise, SystemNoise
from common.privacy.noise_source import NoiseSource
from common.privacy.study_facts import mechanism_of
from common.seeding import generator
from common.study.study import Study
from common.sums.abilities import room_for_whole_steps, stated_error
from common.sums.aggregation import Aggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Expected
from server.members import Member
from server.privacy_report import Claims
from server.public_numbers import training_sizes
from server.server_half import TOLD, CentralNoise


@dataclass(frozen=True)
class PrivateTerms:
    """claims: what is promised. weights: the largest an update may have, by hospital. statistics: what comes with it;
    a loss never does, since no noise is on it. step: of the grid values lie on. central: noise the server adds.
    clipping_is_noised: whether the share of values beyond the range of a sum follows from noised values alone.
    """

    claims: Claims
    weights: Mapping[SiteId, float]
    statistics: tuple[str, ...] = ()
    step: float | None = None
    central: CentralNoise | None = None
    clipping_is_noised: bool = False


def private_terms(
    study: Study, aggregation: Aggregation, members: Mapping[SiteId, Member], parameters: int, simulated: bool
) -> PrivateTerms | None:
    """None where the study promises no privacy. Raises StudyError where it cannot keep its promise here."""
    mechanism = mechanism_of(study)
    if mechanism is None:
        return None
    claims = Claims.of(study, mechanism, members, simulated)
    sizes = {site: float(size) for site, size in training_sizes(study, members).items()}
    facts = next(iter(claims.facts.values()))
    if can(mechanism, "value_room"):
        room = room_for_whole_steps(aggregation, study.aggregation.name, len(members))
        abilities(mechanism).value_room(facts, parameters, room)
    return PrivateTerms(
        claims,
        dict.fromkeys(sizes, 1.0) if weighs_alike(mechanism) else sizes,
        tuple(TOLD + name for name in statistics_of(mechanism)),
        grid_of(mechanism),
        _server_half(
            mechanism, facts, _Sources(study, simulated), _rounding(aggregation, parameters, tuple(members))
        ),
        clipping_is_noised=may_be_asked_again(mechanism),
    )


def _server_half(
    mechanism: Mechanism, facts: Facts, noise: Callable[[int], NoiseSource], rounding: float
) -> CentralNoise | None:
    """None where the mechanism has none."""
    if not can(mechanism, "release"):
        return None
    steers = can(mechanism, "asked_clip_norm")
    return CentralNoise(abilities(mechanism), facts, noise, rounding, statistics_of(mechanism), steers)


@dataclass(frozen=True)
class _Sources:
    """A source of the server's noise for a round."""

    study: Study
    simulated: bool

    def __call__(self, number: int) -> NoiseSource:
        if self.simulated:
            return SeededNoise(generator(self.study.seed, number, "server", "noise"))
        return SystemNoise()


def _rounding(aggregation: Aggregation, parameters: int, sites: tuple[SiteId, ...]) -> float:
    """How much farther apart two sums may be in L2 once updates of weight 1 are added up with the stated error."""
    one = Expected(parameters, 1, {"": 1.0}, cohort=Cohort(sites))
    return stated_error(aggregation, 1, one) * sqrt(parameters)
