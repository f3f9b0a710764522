"""How many hospitals have to collude with the coordinator until it reads a single update, and by what."""

from __future__ import annotations

from dataclasses import replace

from common.aggregation._threshold import Threshold
from common.privacy.accounting import epsilon_of
from common.privacy.facts import facts_of, mechanism_of
from common.privacy.mechanisms.distributed import Distributed
from common.protocol import Aggregation
from common.study import Study
from experiments.audit.replay import aggregation_of


def opening_hospitals(study: Study, hospitals: int) -> int:
    """Of a round of so many: 0 where the coordinator alone is enough. Raises StudyError for impossible settings."""
    aggregation = aggregation_of(study)
    if aggregation.reveals == "each":
        return 0
    if getattr(aggregation, "keys", "") == "shared":
        return 1
    if not hasattr(aggregation, "threshold"):
        return hospitals - 1
    return min(_threshold(aggregation, hospitals), hospitals - 1)


def opening_if_cheating(study: Study, hospitals: int) -> int:
    """The same for a coordinator that cheats in any message.

    It tells two groups of honest hospitals two sets of survivors, and the colluders sign both: with threshold t and n
    hospitals, 2 t - n colluders are enough (Bonawitz et al. 2017, section 6.3, read the other way round).
    """
    aggregation, count = aggregation_of(study), opening_hospitals(study, hospitals)
    if count < 2:
        return 0
    if not hasattr(aggregation, "threshold"):
        return count
    return min(2 * _threshold(aggregation, hospitals) - hospitals, count)


def in_words(study: Study, hospitals: int) -> str:
    """What each such number rests on, in a sentence that goes on after a semicolon."""
    aggregation, count = aggregation_of(study), opening_hospitals(study, hospitals)
    if aggregation.reveals == "each":
        return "no hospital has to help: the coordinator alone reads every single update"
    if getattr(aggregation, "keys", "") == "shared":
        return "one hospital is enough, for it holds the key of all; what it would decrypt is not played here"
    if count == hospitals - 1:
        return f"fewer than {count} of {hospitals} hospitals open no single update, not even with their secret shares"
    return (
        f"{count} of {hospitals} hospitals are enough if they keep the secret shares that they are sent: together "
        "with the coordinator these rebuild any other hospital's masks. Keys and shares are never drawn from the "
        "seed, so that is not played on the recorded run"
    )


def paid_for(study: Study) -> int:
    """Hospitals whose shares of the noise may be known to the coordinator without harm to the promise."""
    mechanism = mechanism_of(study)
    return mechanism.colluding if isinstance(mechanism, Distributed) else 0


def epsilon_of_one_share(study: Study, hospitals: int) -> float | None:
    """What is left of the promise where all others collude: one hospital's noise. None without distributed noise."""
    mechanism = mechanism_of(study)
    if not isinstance(mechanism, Distributed):
        return None
    facts = replace(facts_of(study, 1, 1, hospitals), reveals="each")
    return epsilon_of(mechanism.round_releases(facts) * study.rounds, mechanism.delta).epsilon


def _threshold(aggregation: Aggregation, hospitals: int) -> int:
    """How many shares open a mask."""
    chosen, colluding = getattr(aggregation, "threshold", None), getattr(aggregation, "colluding", 0)
    return Threshold(chosen, colluding).of(hospitals)
